import { meanOfDraws } from '#src/paradigms/distribution.js';
import { softmaxDivergence } from '#src/tensor/ops/softmax-divergence.js';
import type { Tape } from '#src/tensor/tape.js';
import type { Tensor } from '#src/tensor/tensor.js';
import { softmaxRow } from '../reference/partial-label.js';
import { gpuSuite } from '../support/suite.js';
import { assertClose, checkGradients, randomArray, runOp } from '../support/tensors.js';

function example(rows: number, draws: number, classes: number) {
  const shares = randomArray([rows, classes], 4, 2);
  const targets = Array.from({ length: rows }, (_, row) => softmaxRow([...shares.subarray(row * classes, (row + 1) * classes)]));
  return {
    logits: { shape: [rows, classes], data: randomArray([rows, classes], 1, 3), differentiable: true },
    deviation: { shape: [rows, classes], data: randomArray([rows, classes], 2).map((x) => 1.5 + x), differentiable: true },
    noise: { shape: [rows, draws, classes], data: randomArray([rows, draws, classes], 3, 2) },
    targets: { shape: [rows, classes], data: Float32Array.from(targets.flat()) },
  };
}

type Parts = Record<'logits' | 'deviation' | 'noise' | 'targets', Tensor>;
const lossOf = (tape: Tape, { logits, deviation, noise, targets }: Parts) =>
  softmaxDivergence(tape, meanOfDraws(tape, logits, deviation, noise), targets, { kind: 'cross-entropy' }).loss;

gpuSuite('Gaussian logits', (test) => {
  for (const [rows, draws, classes] of [
    [1, 1, 2],
    [7, 5, 3],
    [65, 20, 8],
  ]) {
    test(`predict the mean of ${draws} draws, [${rows}, ${classes}]`, async (gpu) => {
      const inputs = example(rows, draws, classes);
      const { outputs } = await runOp(gpu, inputs, (tape, parts) => lossOf(tape, parts));
      const losses = Array.from({ length: rows }, (_, row) => {
        const mean = new Float64Array(classes);
        for (let draw = 0; draw < draws; draw++) {
          const z = Array.from(mean, (_, c) => {
            const i = row * classes + c;
            return inputs.logits.data[i] + inputs.deviation.data[i] * inputs.noise.data[(row * draws + draw) * classes + c];
          });
          softmaxRow(z).forEach((p, c) => {
            mean[c] += p / draws;
          });
        }
        return -mean.reduce((sum, p, c) => sum + inputs.targets.data[row * classes + c] * Math.log(p), 0);
      });
      assertClose(outputs.output, [losses.reduce((a, b) => a + b, 0) / rows]);
    });
  }

  test('gradients agree with finite differences', async (gpu) => {
    await checkGradients(gpu, example(5, 4, 3), (tape, parts) => lossOf(tape, parts));
  });

  test('a draw that is all but impossible leaves the others to count', async (gpu) => {
    const inputs = example(1, 2, 2);
    inputs.logits.data.set([0, 0]);
    inputs.deviation.data.set([1, 1]);
    inputs.noise.data.set([-300, 300, 0, 0]); // probabilities e^−600, 1 and ½, ½
    inputs.targets.data.set([1, 0]);
    const { outputs } = await runOp(gpu, inputs, (tape, parts) => lossOf(tape, parts));
    assertClose(outputs.output, [-Math.log(0.25)], { relative: 1e-4 });
  });
});
