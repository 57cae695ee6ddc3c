import { ShapeError } from '#src/errors.js';
import { partialLabelLoss, updateConfidence } from '#src/tensor/ops/partial-label.js';
import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import { type ConfidenceKind, confidence, type PartialLabelKind, partialLabelLoss as reference } from '../reference/partial-label.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, type Build, checkGradients, randomArray, runOp } from '../support/tensors.js';

const LEVERAGE = 2;

/** Candidate sets with at least one class in and, from two classes on, one out. */
function candidatesOf(rows: number, classes: number): Float32Array {
  const sets = randomArray([rows, classes], 5).map((x) => (x > 0.2 ? 1 : 0));
  for (let row = 0; row < rows; row++) {
    sets[row * classes + (row % classes)] = 1;
    if (classes > 1) sets[row * classes + ((row + 1) % classes)] = 0;
  }
  return sets;
}

function inputsOf(rows: number, classes: number, scale = 3) {
  const shape = [rows, classes];
  return {
    logits: { shape, data: randomArray(shape, 1, scale), differentiable: true },
    candidates: { shape, data: candidatesOf(rows, classes) },
    weights: { shape, data: randomArray(shape, 2).map((x) => (x + 1) / 2) },
  };
}

gpuSuite('partial labels', (test) => {
  for (const kind of ['candidates', 'leveraged', 'complement'] as PartialLabelKind[]) {
    const build: Build = (tape, { logits, candidates, weights }) =>
      partialLabelLoss(tape, logits, candidates, { kind, weights, leverage: LEVERAGE });

    for (const [rows, classes] of [
      [1, 2],
      [1, 8],
      [7, 3],
      [65, 8],
      [257, 11],
    ]) {
      test(`${kind} of [${rows}, ${classes}]`, async (gpu) => {
        const { logits, candidates, weights } = inputsOf(rows, classes);
        const { outputs } = await runOp(gpu, { logits, candidates, weights }, build);
        const wanted = reference({ logits: logits.data, candidates: candidates.data, weights: weights.data, classes }, kind, LEVERAGE);
        assertClose(outputs.output, [wanted], { relative: 1e-5 });
      });
    }

    test(`gradient of ${kind} agrees with finite differences`, async (gpu) => {
      await checkGradients(gpu, inputsOf(9, 5, 2), build);
    });
  }

  test('candidates that are next to impossible have a finite loss', async (gpu) => {
    const logits = { shape: [1, 3], data: Float32Array.of(300, -200, 0), differentiable: true };
    const candidates = { shape: [1, 3], data: Float32Array.of(0, 1, 0) };
    const { outputs, gradients } = await runOp(
      gpu,
      { logits, candidates },
      (tape, inputs) => partialLabelLoss(tape, inputs.logits, inputs.candidates, { kind: 'candidates' }),
      { outputGradient: Float32Array.of(1) },
    );
    assertClose(outputs.output, [500]);
    assertClose(gradients.logits, [1, -1, 0]);
  });

  const kinds: ConfidenceKind[] = ['probability', 'each-side', 'activation', 'largest'];
  for (const [kind, momentum] of kinds.flatMap((kind) => [undefined, 0.8].map((momentum) => [kind, momentum] as const))) {
    test(`${momentum ? 'moving ' : ''}confidence by ${kind} is written to the rows of the batch, and to no others`, async (gpu) => {
      const [batch, classes, count] = [67, 5, 100];
      const scores = randomArray([batch, classes], 3, 2);
      const sets = candidatesOf(batch, classes);
      // All but a running mean owe nothing to what was there.
      const before = randomArray([count, classes], 4).map((x, i) => (momentum || i % 3 ? (x + 1) / 2 : Number.NaN));
      const rows = Uint32Array.from({ length: batch }, (_, i) => (i * 37) % count);
      const tape = new Tape(gpu);
      const table = tape.input('table', [count, classes]);
      updateConfidence(
        tape,
        table,
        {
          scores: tape.constant('scores', [batch, classes], scores),
          candidates: tape.constant('candidates', [batch, classes], sets),
          rows: tape.constant('rows', [batch], rows),
        },
        { kind, ...(momentum && { momentum: tape.constant('momentum', [1], Float32Array.of(momentum)) }) },
      );
      const program = await Program.compile(gpu, tape);
      program.write(table, before);
      program.run();
      const wanted = Float64Array.from(before);
      const row = (values: ArrayLike<number>, i: number) => Array.from({ length: classes }, (_, c) => values[i * classes + c]);
      rows.forEach((place, i) => {
        wanted.set(confidence(row(scores, i), row(sets, i), row(before, place), kind, momentum), place * classes);
      });
      assertClose(await program.read(table), wanted);
      program.destroy();
    });
  }

  test('shapes that differ are refused', async (gpu) => {
    const tape = new Tape(gpu);
    const [logits, candidates, rows] = [tape.input('z', [4, 3]), tape.input('y', [4, 2]), tape.input('rows', [4], 'u32')];
    await rejects(() => partialLabelLoss(tape, logits, candidates, { kind: 'candidates' }), ShapeError, 'All are [N, C]');
    await rejects(
      () =>
        updateConfidence(
          tape,
          tape.input('t', [9, 3]),
          { scores: logits, candidates: logits, rows },
          { kind: 'largest', momentum: tape.input('momentum', [4]) },
        ),
      ShapeError,
      'a momentum [1] or none',
    );
    assert.is(tape.launches.length, 0);
  });
});
