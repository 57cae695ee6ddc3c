import { labelQueries, uniformity } from '#src/nn/label-queries.js';
import { normalOf, Parameters } from '#src/nn/parameters.js';
import { OPTIMIZER_DEFAULTS } from '#src/optim/optimizer.js';
import { normal } from '#src/random.js';
import { recordUpdate } from '#src/run/learner.js';
import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import { assert, gpuSuite } from '../support/suite.js';
import { assertClose, checkGradients, randomArray, runOp } from '../support/tensors.js';

function cosines(data: ArrayLike<number>, classes: number, channels: number): number[] {
  const row = (i: number) => Array.from({ length: channels }, (_, c) => data[i * channels + c]);
  const cosine = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * b[i], 0) / Math.hypot(...a) / Math.hypot(...b);
  return Array.from({ length: classes * classes }, (_, k) => [Math.floor(k / classes), k % classes] as const)
    .filter(([i, j]) => i !== j)
    .map(([i, j]) => cosine(row(i), row(j)));
}

gpuSuite('evenness of label embeddings', (test) => {
  for (const [classes, channels] of [
    [2, 1],
    [3, 5],
    [8, 32],
    [13, 7],
  ] as const) {
    const given = { x: { shape: [classes, channels], data: randomArray([classes, channels], 1, 2), differentiable: true } };

    test(`of ${classes} embeddings of ${channels} channels is the formula's`, async (gpu) => {
      const { outputs } = await runOp(gpu, given, (tape, { x }) => uniformity(tape, x));
      const terms = cosines(given.x.data, classes, channels).map((cosine) => Math.exp(-2 * (2 - 2 * cosine)));
      assertClose(outputs.output, [Math.log(terms.reduce((a, b) => a + b) / terms.length)], { absolute: 1e-5 });
    });

    if (channels > 1) {
      test(`gradient for ${classes} embeddings of ${channels} channels agrees with finite differences`, async (gpu) => {
        // A wide step: the value is about −4, the gradients thousandths, and rounding would tell at a small one.
        await checkGradients(gpu, given, (tape, { x }) => uniformity(tape, x), { epsilon: 0.05 });
      });
    }
  }

  for (const [classes, channels] of [
    [4, 3],
    [8, 16],
  ] as const) {
    test(`minimised alone, ${classes} embeddings of ${channels} channels become a simplex`, async (gpu) => {
      const tape = new Tape(gpu, { training: true });
      const parameters = Parameters.create();
      const embeddings = parameters.weight('embeddings', [classes, channels], normalOf(1), false);
      tape.backward(uniformity(tape, embeddings));
      const { state } = recordUpdate(tape, parameters, { ...OPTIMIZER_DEFAULTS.sgd, weightDecay: 0 });
      const program = await Program.compile(gpu, tape);
      parameters.initialise(gpu, (stream, index) => normal(1, stream, index));
      program.write(tape.step, new Uint32Array(Float32Array.of(0, 0, 0.5, 0, 1, 1, 0, 0).buffer));
      for (let step = 0; step < 400; step++) program.run();
      const { data } = (await parameters.read(gpu)).get('embeddings')!;
      const wanted = new Float64Array(classes * (classes - 1)).fill(-1 / (classes - 1));
      assertClose(cosines(data, classes, channels), wanted, { relative: 0, absolute: 2e-3 }, 'cosines');
      program.destroy();
      parameters.destroy(gpu);
      for (const tensor of state.values()) tensor.storage?.destroy(gpu);
    });
  }
});

gpuSuite('label queries', (test) => {
  const SIZES = { classes: 5, heads: 2, layers: 2 };

  test('give a logit and a map per class, of each face by itself, and every weight a gradient', async (gpu) => {
    const tape = new Tape(gpu, { training: true });
    const parameters = Parameters.create();
    const map = tape.input('map', [3, 2, 3, 8]);
    const { logits, attention } = labelQueries({ tape, parameters, path: '' }, map, SIZES);
    const maps = attention();
    assert.equal(
      [logits.shape, maps.shape],
      [
        [3, 5],
        [3, 5, 2, 3],
      ],
    );
    tape.backward(logits, tape.constant('gradient', logits.shape, randomArray([15], 4)));
    const program = await Program.compile(gpu, tape, { keep: [logits, maps] });
    parameters.initialise(gpu, (stream, index) => normal(1, stream, index));
    const faces = randomArray([...map.shape], 5);
    faces.copyWithin(96, 0, 48); // the third face is the first
    program.write(map, faces);
    program.run();
    const rows = (await program.read(logits)) as Float32Array;
    assertClose(rows.slice(10), rows.slice(0, 5));
    assert.not.equal(rows.slice(5, 10), rows.slice(0, 5));
    const shares = (await program.read(maps)) as Float32Array;
    const sums = Array.from({ length: 15 }, (_, row) => shares.slice(row * 6, row * 6 + 6).reduce((a, b) => a + b));
    assertClose(sums, new Float64Array(15).fill(1));
    assert.not.equal(shares.slice(0, 6), shares.slice(6, 12));
    for (const [name, { tensor }] of parameters.entries) {
      if (name.endsWith('key.bias')) continue; // adds the same to all scores of a query, which softmax does not see
      const norm = Math.hypot(...((await program.read(tensor.gradientSlot!)) as Float32Array));
      assert.ok(norm > 0 && Number.isFinite(norm), `the gradient of ${name} has norm ${norm}`);
    }
    program.destroy();
    parameters.destroy(gpu);
  });

  test('look for a class where the keys are like its query', async (gpu) => {
    const tape = new Tape(gpu);
    const parameters = Parameters.create();
    const map = tape.input('map', [1, 2, 2, 8]);
    const { attention } = labelQueries({ tape, parameters, path: '' }, map, { classes: 1, heads: 1, layers: 1 });
    const maps = attention();
    const program = await Program.compile(gpu, tape, { keep: [maps] });
    const embeddings = parameters.entries.get('embeddings')!;
    const identity = (values: Float32Array) => values.forEach((_, i) => void (values[i] = i % 9 === 0 ? 1 : 0));
    embeddings.initial = (values) => values.fill(1);
    for (const name of ['query', 'key']) parameters.entries.get(`layer1.${name}.weight`)!.initial = identity;
    parameters.initialise(gpu, (stream, index) => normal(1, stream, index));
    const values = new Float32Array(32);
    values.fill(5, 16, 24); // the third place
    program.write(map, values);
    program.run();
    const [first, second, third, fourth] = (await program.read(maps)) as Float32Array;
    assert.ok(third > 0.99 && first + second + fourth < 0.01, `${[first, second, third, fourth]}`);
    program.destroy();
    parameters.destroy(gpu);
  });
});
