import { RunError } from '#src/errors.js';
import type { Gpu } from '#src/gpu/gpu.js';
import { glorotNormal, heNormal, ones, Parameters, zeros } from '#src/nn/parameters.js';
import { normal } from '#src/random.js';
import { add, multiply, relu, reshape, sum } from '#src/tensor/ops/index.js';
import { Program, readBuffer } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import type { Tensor } from '#src/tensor/tensor.js';
import { assert, gpuSuite, rejects, suite } from '../support/suite.js';
import { assertClose, randomArray } from '../support/tensors.js';

/** Weights of awkward sizes with a buffer between them: blocks 0, 1–2 and 3. */
function declared(): Parameters {
  const parameters = Parameters.create();
  parameters.weight('scale', [1], ones);
  parameters.buffer('running_mean', [5], zeros);
  parameters.weight('kernel', [3, 3, 3, 3], heNormal(27));
  parameters.weight('bias', [64], zeros);
  return parameters;
}

function standardNormal(stream: number, index: number): number {
  return normal(1, stream, index);
}

suite('parameters', (test) => {
  test('a name is declared once and found again', () => {
    const parameters = declared();
    const kernel = parameters.entries.get('kernel')!.tensor;
    assert.is(parameters.weight('kernel', [3, 3, 3, 3], zeros), kernel);
    assert.equal([...parameters.entries.keys()], ['scale', 'running_mean', 'kernel', 'bias']);
    assert.throws(() => parameters.weight('kernel', [3, 3, 3, 4], zeros), /kernel is \[3,3,3,3\], asked for as \[3,3,3,4\]/);
  });

  test('weights lie in blocks of 64 in their order, and their gradients likewise', () => {
    const parameters = declared();
    const place = (name: string) => parameters.entries.get(name)!.tensor;
    assert.equal(
      ['scale', 'kernel', 'bias'].map((name) => place(name).offset / 4),
      [0, 64, 192],
    );
    for (const name of ['scale', 'kernel', 'bias']) {
      assert.is(place(name).gradientSlot!.offset, place(name).offset);
      assert.equal(place(name).gradientSlot!.shape, place(name).shape);
      assert.ok(place(name).differentiable);
    }
    assert.is(place('running_mean').offset, 0);
    assert.is(place('running_mean').gradientSlot, undefined);
    assert.not(place('running_mean').differentiable);
    assert.equal(parameters.flat().shape, [256]);
    assert.equal(parameters.flatGradients().shape, [256]);
  });

  test('count is of trained values, without buffers and padding', () => {
    assert.is(declared().count(), 1 + 81 + 64);
  });

  test('weight decay is for weights of several axes unless said otherwise', () => {
    const decays = (given: Parameters) => [...given.groups()].filter((_, i) => i % 2 === 1);
    assert.equal(decays(declared()), [0, 1, 1, 0]);
    const parameters = Parameters.create();
    parameters.weight('embedding', [65, 2], zeros, false);
    parameters.weight('temperature', [1], ones, true);
    assert.equal(decays(parameters), [0, 0, 0, 1]);
  });

  test('what is declared while freezing is kept, not trained', () => {
    const parameters = Parameters.create();
    const kept = parameters.freezing(() => parameters.weight('kept', [65], ones));
    assert.ok(parameters.weight('trained', [2], ones).differentiable);
    assert.not(kept.differentiable);
    assert.equal([parameters.count(), parameters.flat().size], [2, 64]);
    assert.is(parameters.weight('kept', [65], ones), kept);
  });

  test('learning rates have a factor by the name of the weight', () => {
    const rates = (rateOf?: (name: string) => number) => [...declared().groups(rateOf)].filter((_, i) => i % 2 === 0);
    assert.equal(rates(), [1, 1, 1, 1]);
    assert.equal(
      rates((name) => ({ scale: 0.5, kernel: 0.25 })[name] ?? 0),
      [0.5, 0.25, 0.25, 0],
    );
  });

  test('nothing can be declared once the layout is in use', () => {
    const parameters = declared();
    parameters.flat();
    assert.ok(parameters.weight('bias', [64], zeros));
    assert.throws(() => parameters.weight('late', [1], zeros), /late: a parameter declared after/);
  });

  test('a shadow has the same names and places, its own weights and the same buffers', () => {
    const parameters = declared();
    const shadow = parameters.shadow();
    assert.equal([...shadow.entries.keys()].sort(), [...parameters.entries.keys()].sort());
    for (const [name, { tensor, kind }] of parameters.entries) {
      const copy = shadow.entries.get(name)!.tensor;
      assert.is(copy.offset, tensor.offset);
      assert.is(copy.storage === tensor.storage, kind === 'buffer');
    }
    assert.is(shadow.flat().size, parameters.flat().size);
  });

  test('first values have the deviations of He and of Glorot', () => {
    const deviation = (initial: ReturnType<typeof heNormal>) => {
      const values = new Float32Array(20_000);
      initial(values, (index) => normal(5, 0, index));
      return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
    };
    // The deviation of 20,000 normal numbers is itself within 1 % with 95 % certainty.
    assert.ok(Math.abs(deviation(heNormal(72)) / Math.sqrt(2 / 72) - 1) < 0.02);
    assert.ok(Math.abs(deviation(glorotNormal(72, 8)) / Math.sqrt(2 / 80) - 1) < 0.02);
  });
});

gpuSuite('parameters on the device', (test) => {
  test('first values arrive by name, differ from parameter to parameter, and leave the padding zero', async (gpu) => {
    const parameters = declared();
    parameters.weight('second_kernel', [3, 3, 3, 3], heNormal(27));
    parameters.initialise(gpu, standardNormal);
    const values = await parameters.read(gpu);
    assert.equal([...values.get('scale')!.data], [1]);
    assert.equal([...values.get('running_mean')!.data], [0, 0, 0, 0, 0]);
    assert.equal(values.get('kernel')!.shape, [3, 3, 3, 3]);
    assert.not.equal(values.get('kernel')!.data, values.get('second_kernel')!.data);
    const flat = await flatValues(gpu, parameters);
    assert.equal([...flat.subarray(1, 64)], Array(63).fill(0));
    assert.equal(flat.subarray(64, 64 + 81), values.get('kernel')!.data);
    assert.equal([...flat.subarray(64 + 81, 192)], Array(47).fill(0));
    parameters.destroy(gpu);
  });

  test('what was read is written back bit by bit', async (gpu) => {
    const source = declared();
    source.initialise(gpu, standardNormal);
    const target = declared();
    target.write(gpu, await source.read(gpu));
    assert.equal(await target.read(gpu), await source.read(gpu));
    assert.equal(await flatValues(gpu, target), await flatValues(gpu, source));
    source.destroy(gpu);
    target.destroy(gpu);
  });

  test('the weights of another model are refused by name', async (gpu) => {
    const parameters = declared();
    parameters.initialise(gpu, standardNormal);
    const values = await parameters.read(gpu);
    await rejects(
      () => parameters.write(gpu, new Map([...values].filter(([name]) => name !== 'kernel'))),
      RunError,
      'kernel is [3,3,3,3] here, absent there',
    );
    const narrow = new Map([...values, ['bias', { shape: [32], data: randomArray([32], 1) }] as const]);
    await rejects(() => parameters.write(gpu, narrow), RunError, 'bias is [64] here, [32] there', '--model');
    parameters.destroy(gpu);
  });

  test('gradients end in their slots however a weight is used: once, twice, through a view, or handed on unchanged', async (gpu) => {
    const parameters = Parameters.create();
    const [once, twice, viewed, handedOn] = ['once', 'twice', 'viewed', 'handed_on'].map((name) => parameters.weight(name, [6], ones));
    const tape = new Tape(gpu, { training: true });
    const factors = [1, 2, 3, 4].map((seed) => randomArray([6], seed));
    const [a, b, c, d] = factors.map((data, i) => tape.constant(`factor${i}`, [6], data));
    const terms = [
      multiply(tape, relu(tape, once!), a!),
      multiply(tape, relu(tape, twice!), b!),
      multiply(tape, relu(tape, twice!), c!),
      reshape(tape, multiply(tape, reshape(tape, viewed!, [2, 3]), reshape(tape, d!, [2, 3])), [6]),
      handedOn!,
    ];
    const total = terms.reduce((left, right) => add(tape, left, right));
    tape.backward(sum(tape, total));
    const program = await Program.compile(gpu, tape);
    parameters.initialise(gpu, standardNormal);
    program.run();
    const gradientOf = async (weight: Tensor) => (await program.read(weight.gradientSlot!)) as Float32Array;
    assertClose(await gradientOf(once!), factors[0]!, {}, 'once');
    assertClose(
      await gradientOf(twice!),
      factors[1]!.map((factor, i) => factor + factors[2]![i]!),
      {},
      'twice',
    );
    assertClose(await gradientOf(viewed!), factors[3]!, {}, 'viewed');
    assertClose(await gradientOf(handedOn!), Array(6).fill(1), {}, 'handed on');
    program.destroy();
    parameters.destroy(gpu);
  });

  test('a write to a shadow leaves the weights alone and reaches the buffers', async (gpu) => {
    const parameters = declared();
    parameters.initialise(gpu, standardNormal);
    const before = await parameters.read(gpu);
    const shadow = parameters.shadow();
    const changed = new Map([...before].map(([name, { shape, data }]) => [name, { shape, data: data.map((value) => value + 1) }]));
    shadow.write(gpu, changed);
    const after = await parameters.read(gpu);
    assert.equal(after.get('kernel'), before.get('kernel'));
    assert.equal([...after.get('running_mean')!.data], [1, 1, 1, 1, 1]);
    assert.equal((await shadow.read(gpu)).get('kernel'), changed.get('kernel'));
    shadow.destroy(gpu);
    assert.equal([...(await parameters.read(gpu)).get('running_mean')!.data], [1, 1, 1, 1, 1]);
    parameters.destroy(gpu);
  });
});

async function flatValues(gpu: Gpu, parameters: Parameters): Promise<Float32Array> {
  const { storage, bytes } = parameters.flat();
  return new Float32Array(await readBuffer(gpu, storage!.buffer(gpu), 0, bytes));
}
