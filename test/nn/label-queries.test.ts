import { ShapeError } from '#src/errors.js';
import { labelQueries, uniformity } from '#src/nn/label-queries.js';
import { backbones, type ModelName } from '#src/nn/models.js';
import { normalOf, Parameters } from '#src/nn/parameters.js';
import { OPTIMIZER_DEFAULTS } from '#src/optim/optimizer.js';
import { normal } from '#src/random.js';
import { recordUpdate } from '#src/run/learner.js';
import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import { labelQueries as reference } from '../reference/label-queries.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
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
  const SIZES = { classes: 5, width: 8, heads: 2, layers: 2 };

  /** Draws every weight below `path` at random, those too that begin as zeros and ones. */
  const randomise = (parameters: Parameters, path: string) => {
    for (const [name, entry] of parameters.entries) {
      if (name.startsWith(path)) entry.initial = (values, random) => values.forEach((_, i) => void (values[i] = 0.4 * random(i)));
    }
  };

  // Maps with more and fewer channels than the decoder is wide, of sides 3, 3, 2 and 8.
  for (const [model, size, width] of [
    ['small', 24, 0.25],
    ['resnet18', 20, 0.05],
    ['vgg13', 32, 0.03],
    ['vit', 24, 0.125],
  ] as [ModelName, number, number][]) {
    for (const [decoder, options] of [
      ['two layers of two heads', SIZES],
      ['one layer of three heads', { classes: 3, width: 12, heads: 3, layers: 1 }],
    ] as const) {
      test(`${decoder} read the map of ${model} as the formula says`, async (gpu) => {
        const tape = new Tape(gpu);
        const parameters = Parameters.create();
        const scope = { tape, parameters, path: '' };
        const faces = tape.input('faces', [2, size, size, 1]);
        const backbone = backbones[model];
        const modelOptions = { classes: 3, width, dropout: 0 };
        const { map } = backbone.top(scope, backbone.trunk(scope, faces, modelOptions), modelOptions);
        const { logits, attention } = labelQueries({ ...scope, path: 'decoder' }, map, options);
        const maps = attention();
        randomise(parameters, 'decoder.');
        const program = await Program.compile(gpu, tape, { keep: [map, logits, maps] });
        parameters.initialise(gpu, (stream, index) => normal(1, stream, index));
        program.write(faces, randomArray([...faces.shape], 3, 2));
        program.run();
        const weights = new Map([...(await parameters.read(gpu))].map(([name, value]) => [name.replace('decoder.', ''), value]));
        const [, rows, columns] = map.shape;
        const data = (await program.read(map)) as Float32Array;
        assert.ok(data.some((value) => value !== 0));
        const wanted = reference({ map: data, faces: 2, rows, columns, weights, ...options });
        assertClose(await program.read(logits), wanted.logits, { relative: 1e-4, absolute: 1e-5 }, 'logits');
        assertClose(await program.read(maps), wanted.attention, { relative: 1e-4, absolute: 1e-6 }, 'attention');
        program.destroy();
        parameters.destroy(gpu);
      });
    }
  }

  test('gradients of the map and of every weight agree with finite differences of the formula', async (gpu) => {
    const [faces, rows, columns] = [2, 2, 3];
    const tape = new Tape(gpu, { training: true });
    const parameters = Parameters.create();
    const map = tape.input('map', [faces, rows, columns, 5], 'f32', true);
    const { logits } = labelQueries({ tape, parameters, path: '' }, map, SIZES);
    const outputGradient = randomArray([...logits.shape], 4);
    tape.backward(logits, tape.constant('gradient', logits.shape, outputGradient));
    const mapGradient = tape.gradient(map)!;
    randomise(parameters, '');
    const program = await Program.compile(gpu, tape, { keep: [mapGradient] });
    parameters.initialise(gpu, (stream, index) => normal(1, stream, index));
    const data = randomArray([...map.shape], 5);
    program.write(map, data);
    program.run();

    const tensors = [...(await parameters.read(gpu))].map(([name, { shape, data }]) => ({ name, shape, data: Float64Array.from(data) }));
    const weights = new Map(tensors.map(({ name, shape, data }) => [name, { shape, data }]));
    const image = Float64Array.from(data);
    const contracted = () => {
      const wanted = reference({ map: image, faces, rows, columns, weights, ...SIZES }).logits;
      return wanted.reduce((sum, value, i) => sum + value * outputGradient[i], 0);
    };
    const differences = (values: Float64Array, picks: readonly number[]) =>
      picks.map((i) => {
        const [value, epsilon] = [values[i], 1e-5];
        const [above, below] = [epsilon, -epsilon].map((step) => {
          values[i] = value + step;
          return contracted();
        });
        values[i] = value;
        return (above - below) / (2 * epsilon);
      });
    for (const { name, data: values } of [...tensors, { name: 'map', data: image }]) {
      const gradient = name === 'map' ? mapGradient : parameters.entries.get(name)!.tensor.gradientSlot!;
      const got = (await program.read(gradient)) as Float32Array;
      const picks = Array.from({ length: Math.min(values.length, 9) }, (_, i) => (i * 7) % values.length);
      const found = picks.map((i) => got[i]);
      assertClose(found, differences(values, picks), { relative: 1e-3, absolute: 1e-4 }, `gradient of ${name}`);
      // What all keys have in common is added to all scores of a query, which softmax does not see.
      const isSeen = found.some((value) => Math.abs(value) > 1e-3);
      assert.is(isSeen, !name.endsWith('key.bias'), name);
    }
    program.destroy();
    parameters.destroy(gpu);
  });

  test('widths that heads or positions cannot divide are refused', async (gpu) => {
    const tape = new Tape(gpu);
    const map = tape.input('map', [1, 2, 2, 8]);
    for (const [width, heads] of [
      [6, 2],
      [8, 3],
    ]) {
      const parameters = Parameters.create();
      const record = () => labelQueries({ tape, parameters, path: '' }, map, { ...SIZES, width, heads });
      await rejects(record, ShapeError, `width ${width} with ${heads} heads`, 'a multiple of 4 and of the heads');
    }
    assert.is(tape.launches.length, 0);
  });

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
    const { attention } = labelQueries({ tape, parameters, path: '' }, map, { classes: 1, width: 8, heads: 1, layers: 1 });
    const maps = attention();
    const program = await Program.compile(gpu, tape, { keep: [maps] });
    const embeddings = parameters.entries.get('embeddings')!;
    const identity = (values: Float32Array) => values.forEach((_, i) => void (values[i] = i % 9 === 0 ? 1 : 0));
    embeddings.initial = (values) => values.fill(1);
    for (const name of ['projection', 'layer1.query', 'layer1.key']) parameters.entries.get(`${name}.weight`)!.initial = identity;
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
