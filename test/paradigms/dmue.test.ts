/** The losses of DMUE against the authors' way in float64: every branch on the faces of the other classes alone. */
import { branchLoss, latentDistributions, latentLoss, similarityLoss } from '#src/paradigms/dmue.js';
import { softmaxRow } from '../reference/partial-label.js';
import { assert, gpuSuite } from '../support/suite.js';
import { assertClose, checkGradients, randomArray, runOp } from '../support/tensors.js';

const WIDTH = 6;

function example(batch: number, classes: number) {
  const label = (face: number) => (face * face + 1) % (classes - 1); // the last class has no face
  const oneHot = Float32Array.from({ length: batch * classes }, (_, i) => (i % classes === label(Math.floor(i / classes)) ? 1 : 0));
  return {
    label,
    inputs: {
      scores: { shape: [classes, batch, classes], data: randomArray([classes, batch, classes], 1, 3), differentiable: true },
      labels: { shape: [batch, classes], data: oneHot },
      logits: { shape: [batch, classes], data: randomArray([batch, classes], 2, 3), differentiable: true },
      features: { shape: [batch, WIDTH], data: randomArray([batch, WIDTH], 3), differentiable: true },
    },
  };
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const without = <T>(row: readonly T[], own: number) => row.filter((_, c) => c !== own);
const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, i) => sum + x * b[i], 0);

gpuSuite('DMUE', (test) => {
  for (const [batch, classes] of [
    [5, 3],
    [13, 8],
    [67, 5],
  ]) {
    const { label, inputs } = example(batch, classes);
    const { data } = inputs.scores;
    const scoreRow = (branch: number, face: number) => range(classes).map((c) => data[(branch * batch + face) * classes + c]);
    const rowOf = (values: Float32Array, face: number, width: number) => [...values.subarray(face * width, (face + 1) * width)];
    const faces = range(batch);
    const othersOf = (branch: number) => faces.filter((face) => label(face) !== branch);

    test(`branches learn from the faces of other classes, [${batch}, ${classes}]`, async (gpu) => {
      const { outputs } = await runOp(gpu, inputs, (tape, parts) => branchLoss(tape, parts));
      const losses = range(classes).map((branch) =>
        mean(
          othersOf(branch).map((face) => {
            const told = without(range(classes), branch).indexOf(label(face));
            return -Math.log(softmaxRow(without(scoreRow(branch, face), branch))[told]);
          }),
        ),
      );
      assertClose(outputs.output, [mean(losses)]);
    });

    test(`latent distributions and their loss, [${batch}, ${classes}]`, async (gpu) => {
      const temperature = 1.2;
      const { outputs } = await runOp(gpu, inputs, (tape, parts) => {
        const latent = latentDistributions(tape, parts, temperature);
        return { latent, loss: latentLoss(tape, parts.logits, parts.labels, latent) };
      });
      const latent = faces.map((face) => {
        const p = softmaxRow(without(scoreRow(label(face), face), label(face))).map((share) => share ** (1 / temperature));
        const sum = p.reduce((a, b) => a + b, 0);
        return p.map((share) => share / sum).toSpliced(label(face), 0, 0);
      });
      assertClose(outputs.latent, latent.flat());
      const squares = faces.flatMap((face) =>
        softmaxRow(rowOf(inputs.logits.data, face, classes)).map((p, c) => ((c === label(face) ? 0 : p) - latent[face][c]) ** 2),
      );
      assertClose(outputs.loss, [mean(squares)]);
    });

    test(`similarity within branches and features, [${batch}, ${classes}]`, async (gpu) => {
      const { outputs } = await runOp(gpu, inputs, (tape, parts) => similarityLoss(tape, parts, parts.features));
      const errors = range(classes).map((branch) => {
        const own = othersOf(branch);
        const products = (rows: number[][]) => {
          const table = rows.map((a) => rows.map((b) => dot(a, b)));
          return table.map((row) => row.map((x) => x / Math.hypot(...row)));
        };
        const left = products(own.map((face) => without(scoreRow(branch, face), branch))).flat();
        const right = products(own.map((face) => rowOf(inputs.features.data, face, WIDTH))).flat();
        return mean(left.map((x, i) => (x - right[i]) ** 2));
      });
      assertClose(outputs.output, [mean(errors)], { relative: 5e-5 });
    });
  }

  test('gradients agree with finite differences, and none flows through latent distributions', async (gpu) => {
    const { inputs } = example(5, 3);
    await checkGradients(gpu, inputs, (tape, parts) => branchLoss(tape, parts));
    await checkGradients(gpu, inputs, (tape, parts) => similarityLoss(tape, parts, parts.features), { epsilon: 3e-3 });
    await checkGradients(gpu, { ...inputs, scores: { ...inputs.scores, differentiable: false } }, (tape, parts) =>
      latentLoss(tape, parts.logits, parts.labels, latentDistributions(tape, parts, 1.2)),
    );
    const { gradients } = await runOp(
      gpu,
      inputs,
      (tape, parts) => latentLoss(tape, parts.logits, parts.labels, latentDistributions(tape, parts, 1.2)),
      { outputGradient: Float32Array.of(1) },
    );
    assert.not(
      gradients.scores?.some((value) => value !== 0),
      'a gradient reached the branches',
    );
  });

  test('a class that is all of the batch leaves finite numbers', async (gpu) => {
    const { inputs } = example(4, 3);
    const labels = { shape: [4, 3], data: Float32Array.from({ length: 12 }, (_, i) => (i % 3 === 1 ? 1 : 0)) };
    const { outputs } = await runOp(gpu, { ...inputs, labels }, (tape, parts) => ({
      branches: branchLoss(tape, parts),
      alike: similarityLoss(tape, parts, parts.features),
    }));
    for (const [value] of [outputs.branches, outputs.alike]) assert.ok(Number.isFinite(value), `${value}`);
  });
});
