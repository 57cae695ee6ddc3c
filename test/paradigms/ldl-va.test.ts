import { mixedTargets, trustAfter } from '#src/paradigms/ldl-va.js';
import { softmaxDivergence } from '#src/tensor/ops/softmax-divergence.js';
import { softmaxRow } from '../reference/partial-label.js';
import { gpuSuite } from '../support/suite.js';
import { assertClose, randomArray, runOp } from '../support/tensors.js';

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

gpuSuite('LDL-VA', (test) => {
  for (const [batch, classes] of [
    [1, 2],
    [7, 3],
    [65, 8],
  ]) {
    test(`targets and trust of [${batch}, ${classes}]`, async (gpu) => {
      const rate = 10;
      const shape = [batch, classes];
      const labels = Float32Array.from({ length: batch * classes }, (_, i) => (i % classes === Math.floor(i / classes) % classes ? 1 : 0));
      const neighbours = randomArray(shape, 1, 2);
      const rowOf = (values: Float32Array, face: number) => [...values.subarray(face * classes, (face + 1) * classes)];
      for (let face = 0; face < batch; face++) neighbours.set(softmaxRow(rowOf(neighbours, face)), face * classes);
      const logits = randomArray(shape, 2, 3);
      const trust = randomArray([batch, 1], 3, 2);
      const { outputs, gradients } = await runOp(
        gpu,
        {
          logits: { shape, data: logits, differentiable: true },
          labels: { shape, data: labels },
          neighbours: { shape, data: neighbours },
          trust: { shape: [batch, 1], data: trust, differentiable: true },
        },
        (tape, parts) => {
          const targets = mixedTargets(tape, parts);
          const { loss } = softmaxDivergence(tape, parts.logits, targets, { kind: 'cross-entropy' });
          return { output: loss, targets, after: trustAfter(tape, parts.logits, parts, rate) };
        },
        { outputGradient: Float32Array.of(1) },
      );
      const wanted = Array.from(labels, (label, i) => {
        const lambda = sigmoid(trust[Math.floor(i / classes)]);
        return lambda * label + (1 - lambda) * neighbours[i];
      });
      assertClose(outputs.targets, wanted);
      // −Σ t log p of a face as a function of its s, and its central difference in float64.
      const loss = (face: number, s: number) =>
        -softmaxRow(rowOf(logits, face)).reduce((sum, p, c) => {
          const [label, theirs] = [labels, neighbours].map((table) => table[face * classes + c]);
          return sum + (sigmoid(s) * label + (1 - sigmoid(s)) * theirs) * Math.log(p);
        }, 0);
      const slopes = Array.from(trust, (s, face) => (loss(face, s + 1e-4) - loss(face, s - 1e-4)) / 2e-4 / batch);
      assertClose(
        outputs.after,
        slopes.map((slope, face) => trust[face] - rate * slope),
        { absolute: 1e-5 },
      );
      assertClose(gradients.trust, slopes, { absolute: 1e-6, relative: 1e-4 }, 'the gradient of the tape');
    });
  }
});
