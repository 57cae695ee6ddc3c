/** Tensors stored as 16-bit floats. Kernels calculate in f32 whatever they load, so a result is that of the same operator in f32, rounded. */
import { DeviceError, ShaderError, ShapeError } from '#src/errors.js';
import type { Gpu } from '#src/gpu/gpu.js';
import { gelu, relu, silu } from '#src/tensor/ops/activation.js';
import { add, multiply, subtract } from '#src/tensor/ops/arithmetic.js';
import type { BatchNormOptions } from '#src/tensor/ops/batch-norm.js';
import type { Conv2dOptions } from '#src/tensor/ops/conv2d.js';
import * as ops from '#src/tensor/ops/index.js';
import type { MatmulOptions } from '#src/tensor/ops/matmul.js';
import { Program, Readback } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import type { Tensor } from '#src/tensor/tensor.js';
import { batchNorm } from '../reference/batch-norm.js';
import { conv2d, conv2dGradients } from '../reference/conv2d.js';
import { matmul, matmulGradients } from '../reference/matmul.js';
import { averagePool, maxPool } from '../reference/pool.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, type Build, randomArray, runOp, type TestInputs } from '../support/tensors.js';
import { disguise } from './disguise.js';
import { withoutSubgroups, withTiles } from './kernel-family.js';

/** Half of a unit in the last of eleven bits, and of the smallest number of all. */
const ROUNDING = 2 ** -11;
const SMALLEST = 2 ** -25;
/** What f32 rounds differently where a driver arranges the same sum in another way. */
const SINGLE = 1e-6;

const tolerance = (roundings: number) => ({ relative: roundings * ROUNDING, absolute: SMALLEST + SINGLE });

/** The nearest number that f16 holds. */
function half(value: number): number {
  const unit = 2 ** (Math.max(-14, Math.floor(Math.log2(Math.abs(value)))) - 10);
  return value === 0 ? 0 : Math.round(value / unit) * unit;
}

const halves = (shape: number[], seed: number, scale = 1) => randomArray(shape, seed, scale).map(half);

interface Case {
  name: string;
  /** Those of floats hold what f16 can. */
  inputs: TestInputs;
  /** Which of them are cast to f16; all by default. */
  cast?: string[];
  build: Build;
  /** What the operator gives for f16; f16 by default. */
  gives?: 'f32' | 'f16';
  /** Times that a gradient is stored as f16 on its way, the value that it is made of too; 1 by default. */
  roundings?: number;
  /** Devices besides the test's own. */
  disguises?: ((gpu: Gpu) => Gpu)[];
}

const input = (shape: number[], seed = 1, scale = 2) => ({ shape, data: halves(shape, seed, scale), differentiable: true });
const PIXELS = { x: input([2, 9, 7, 8]) };
const ODD = { x: input([3, 5, 7]) };
const PAIR = { x: input([3, 5, 4]), y: input([5, 1], 2) };

function convolution(name: string, shape: number[], weight: number[], options: Conv2dOptions, fused = false): Case {
  const columns = weight[3]!;
  const [stride] = [options.stride ?? 1].flat();
  const output = [shape[0]!, Math.ceil(shape[1]! / stride!), Math.ceil(shape[2]! / stride!), columns];
  const inputs = {
    ...{ x: input(shape), weight: input(weight, 2, 0.5), bias: input([columns], 3) },
    residual: input(output, 4),
  };
  return {
    name: `conv2d, ${name}`,
    inputs,
    cast: ['x', 'residual'],
    build: (tape, { x, weight, bias, residual }) =>
      ops.conv2d(tape, x, weight, { ...options, ...(fused && { bias, residual, activation: 'relu' }) }),
    disguises: [withoutSubgroups, withTiles],
  };
}

function product(name: string, a: number[], b: number[], options: MatmulOptions = {}, biased = false): Case {
  const columns = options.transposeB ? b.at(-2)! : b.at(-1)!;
  return {
    name: `matmul, ${name}`,
    inputs: { a: input(a), b: input(b, 2), bias: input([columns], 3) },
    cast: ['a'],
    build: (tape, { a, b, bias }) => ops.matmul(tape, a, b, { ...options, ...(biased && { bias }) }),
    disguises: [withoutSubgroups, withTiles],
  };
}

function normalisation(name: string, shape: number[], options: BatchNormOptions = {}, withResidual = false): Case {
  const channels = shape.at(-1)!;
  const vector = (seed: number, differentiable: boolean) => ({
    ...{ shape: [channels], data: halves([channels], seed).map((value) => 1.5 + value / 2), differentiable },
  });
  return {
    name: `batchNorm, ${name}`,
    inputs: {
      ...{ x: input(shape), residual: input(shape, 2), scale: vector(3, true), shift: vector(4, true) },
      ...{ runningMean: vector(5, false), runningVariance: vector(6, false) },
    },
    cast: ['x', 'residual'],
    build: (tape, { x, residual, ...state }) => ops.batchNorm(tape, x, state, { ...options, ...(withResidual && { residual }) }),
    disguises: [(gpu) => disguise(gpu, { isFallback: !gpu.adapter.isFallback })],
  };
}

const CASES: Case[] = [
  ...Object.entries({ relu, gelu, silu }).flatMap(([name, operator]) =>
    [1, 5, 2049].map(
      (size): Case => ({ name: `${name} of ${size}`, inputs: { x: input([size]) }, build: (tape, { x }) => operator(tape, x) }),
    ),
  ),
  ...Object.entries({ add, subtract, multiply }).map(
    ([name, operator]): Case => ({ name, inputs: PAIR, build: (tape, { x, y }) => operator(tape, x, y), roundings: 8 }),
  ),
  {
    name: 'divide',
    inputs: { x: PAIR.x, y: { ...PAIR.y, data: PAIR.y.data.map((value) => half(3 + value)) } },
    build: (tape, { x, y }) => ops.divide(tape, x, y),
    roundings: 8,
  },
  { name: 'add of one shape', inputs: { x: input([7, 3]), y: input([7, 3], 2) }, build: (tape, { x, y }) => ops.add(tape, x, y) },
  {
    name: 'add of f16 and f32',
    inputs: { x: input([7, 3]), y: input([7, 3], 2) },
    cast: ['y'],
    build: (tape, { x, y }) => ops.add(tape, x, y),
    gives: 'f32',
  },
  { name: 'scale', inputs: ODD, build: (tape, { x }) => ops.scale(tape, x, 0.3) },
  {
    name: 'used twice',
    inputs: ODD,
    build: (tape, { x }) => ops.add(tape, ops.scale(tape, x, 0.5), ops.scale(tape, x, 0.25)),
    roundings: 2,
  },
  {
    name: 'dropout',
    inputs: { x: input([10_007]) },
    build: (tape, { x }) => ops.dropout(tape, x, 0.4),
    disguises: [(gpu) => disguise(gpu, { bindingBytes: 8192 }), (gpu) => disguise(gpu, { groups: 2 })],
  },
  { name: 'max pool', inputs: PIXELS, build: (tape, { x }) => ops.maxPool2d(tape, x, { kernel: 2 }) },
  {
    name: 'max pool, overlapping, of seven channels',
    inputs: { x: input([2, 9, 8, 7]) },
    build: (tape, { x }) => ops.maxPool2d(tape, x, { kernel: 3, stride: 2, padding: 1 }),
    roundings: 2,
  },
  { name: 'average pool', inputs: PIXELS, build: (tape, { x }) => ops.averagePool2d(tape, x, { kernel: 3, stride: 2, padding: 1 }) },
  { name: 'global average pool', inputs: PIXELS, build: (tape, { x }) => ops.globalAveragePool(tape, x) },
  { name: 'sum', inputs: ODD, build: (tape, { x }) => ops.sum(tape, x, { axes: [1] }), gives: 'f32' },
  { name: 'mean', inputs: ODD, build: (tape, { x }) => ops.mean(tape, x, { axes: [0, 2] }), gives: 'f32' },
  { name: 'softmax', inputs: ODD, build: (tape, { x }) => ops.softmax(tape, x), gives: 'f32' },
  { name: 'reshape', inputs: ODD, build: (tape, { x }) => ops.reshape(tape, x, [21, 5]) },
  product('one number', [1, 1], [1, 1]),
  product('odd sizes', [17, 5], [5, 13], {}, true),
  product('whole quads, bias', [67, 36], [36, 68], {}, true),
  product('left side transposed', [36, 68], [36, 20], { transposeA: true }),
  product('right side transposed', [2, 9, 8], [2, 12, 8], { transposeB: true }),
  product('a long sum, divided', [8, 1600], [1600, 8]),
  { ...product('both sides f16', [2, 9, 8], [2, 8, 12]), cast: ['a', 'b'] },
  convolution('1×1', [1, 1, 1, 1], [1, 1, 1, 1], {}),
  convolution('3×3, all of it', [2, 9, 9, 36], [3, 3, 36, 68], { padding: 1 }, true),
  convolution('of grey', [2, 12, 12, 1], [3, 3, 1, 8], { padding: 1 }, true),
  convolution('with stride', [3, 8, 8, 8], [3, 3, 8, 36], { stride: 2, padding: 1 }, true),
  convolution('odd sizes', [1, 5, 5, 5], [3, 3, 5, 7], { padding: 1 }),
  convolution('in groups', [2, 6, 6, 8], [3, 3, 4, 8], { padding: 1, groups: 2 }),
  convolution('by Winograd', [4, 12, 12, 64], [3, 3, 64, 64], { padding: 1 }, true),
  normalisation('plain', [17, 4]),
  normalisation('ReLU and residual', [2, 9, 9, 32], { activation: 'relu' }, true),
  normalisation('of seven channels', [2, 3, 5, 7], { activation: 'relu' }, true),
  normalisation('of many rows', [4099, 12], { activation: 'relu' }),
];

/** The operator between casts: inputs to f16, the result back. */
function inHalf({ build, inputs, cast = Object.keys(inputs), gives = 'f16' }: Case): Build {
  return (tape, given: Record<string, Tensor>) => {
    const stored = Object.fromEntries(Object.entries(given).map(([name, t]) => [name, cast.includes(name) ? ops.cast(tape, t, 'f16') : t]));
    const output = build(tape, stored) as Tensor;
    assert.is(output.dtype, gives);
    return ops.cast(tape, output, 'f32');
  };
}

async function compareWithSingle(gpu: Gpu, given: Case): Promise<void> {
  const { inputs, build, gives, roundings = 1 } = given;
  const { outputs: first } = await runOp(gpu, inputs, build);
  const outputGradient = halves([first.output!.length], 99);
  const whole = await runOp(gpu, inputs, build, { outputGradient });
  const stored = await runOp(gpu, inputs, inHalf(given), { outputGradient });
  assertClose(stored.outputs.output!, whole.outputs.output!, tolerance(gives === 'f32' ? 0 : 1), 'output');
  assert.equal(Object.keys(stored.gradients), Object.keys(whole.gradients));
  for (const [name, gradient] of Object.entries(whole.gradients)) {
    assertClose(stored.gradients[name]!, gradient, tolerance(roundings), `gradient of ${name}`);
  }
}

/** The numbers [count] that a cast to f16 makes of others, as the device widens them and as the host does. */
async function castOf(gpu: Gpu, data: Float32Array): Promise<Float32Array[]> {
  const { outputs } = await runOp(gpu, { x: { shape: [data.length], data } }, (tape, { x }) => {
    const stored = ops.cast(tape, x, 'f16');
    return { stored, widened: ops.cast(tape, stored, 'f32') };
  });
  return [outputs.widened as Float32Array, outputs.stored as Float32Array];
}

gpuSuite('tensors of 16-bit floats', (test) => {
  for (const given of CASES) {
    test(`${given.name}: that of f32, rounded, and so its gradients`, async (gpu) => {
      await compareWithSingle(gpu, given);
      for (const disguised of given.disguises ?? []) await compareWithSingle(disguised(gpu), given);
    });
  }

  for (const size of [1, 3, 4, 257, 2049]) {
    test(`${size} numbers are cast to the nearest, and read by the host as by a kernel`, async (gpu) => {
      const data = randomArray([size], size, 100);
      for (const values of await castOf(gpu, data)) assertClose(values, data.map(half), { relative: 0, absolute: 0 });
    });
  }

  test('casts at the ends of the range', async (gpu) => {
    const { NaN: nan, POSITIVE_INFINITY: infinity } = Number;
    const data = Float32Array.of(0, -0, 65504, -65504, 65536, -1e6, 2 ** -14, 2 ** -24, -3 * 2 ** -24, 2 ** -26, nan, infinity, -infinity);
    const wanted = [0, -0, 65504, -65504, infinity, -infinity, 2 ** -14, 2 ** -24, -3 * 2 ** -24, 0, nan, infinity, -infinity];
    for (const values of await castOf(gpu, data)) assert.equal([...values], wanted);
  });

  test('the gradient of a cast is rounded once, and passes on', async (gpu) => {
    const [data, outputGradient] = [randomArray([100], 1), randomArray([100], 2)];
    const build: Build = (tape, { x }) => ops.cast(tape, ops.cast(tape, x, 'f16'), 'f32');
    const { gradients } = await runOp(gpu, { x: { shape: [100], data, differentiable: true } }, build, { outputGradient });
    assertClose(gradients.x!, outputGradient.map(half), { relative: 0, absolute: 0 });
  });

  test('tensors beyond a binding are divided where their halves may be bound', async (gpu) => {
    const data = randomArray([10_007], 5);
    const small = disguise(gpu, { bindingBytes: 4096 });
    for (const values of await castOf(small, data)) assertClose(values, data.map(half), { relative: 0, absolute: 0 });
  });

  test('convolution, product, norm and pools of halves agree with the float64 oracles', async (gpu) => {
    const close = { relative: ROUNDING, absolute: 2e-5 };
    const run = (inputs: TestInputs, build: Build, outputGradient?: Float32Array) =>
      runOp(gpu, inputs, inHalf({ name: '', inputs, build, cast: ['x', 'residual'] }), outputGradient ? { outputGradient } : {});

    const [image, weight] = [halves([2, 9, 9, 36], 1), halves([3, 3, 36, 68], 2, 0.2)];
    const shapes = { shape: [2, 9, 9, 36] as [number, number, number, number], weight: [3, 3, 36, 68] as [number, number, number, number] };
    const padded = { ...shapes, padding: [1, 1, 1, 1] as [number, number, number, number] };
    const upstream = halves([2, 9, 9, 68], 3);
    const convolved = await run(
      {
        x: { shape: shapes.shape, data: image, differentiable: true },
        weight: { shape: shapes.weight, data: weight, differentiable: true },
      },
      (tape, { x, weight }) => ops.conv2d(tape, x, weight, { padding: 1 }),
      upstream,
    );
    const wanted = conv2dGradients(image, weight, upstream, padded);
    assertClose(convolved.outputs.output!, conv2d(image, weight, padded), close, 'convolution');
    assertClose(convolved.gradients.x!, wanted.input, close, 'gradient of the image');
    assertClose(convolved.gradients.weight!, wanted.weight, { relative: 1e-5, absolute: 2e-5 }, 'gradient of the weight');

    const [a, b, dy] = [halves([67, 36], 4), halves([36, 68], 5), halves([67, 68], 6)];
    const extent = { batch: 1, rows: 67, depth: 36, columns: 68 };
    const multiplied = await run(
      { x: { shape: [67, 36], data: a, differentiable: true }, b: { shape: [36, 68], data: b, differentiable: true } },
      (tape, { x, b }) => ops.matmul(tape, x, b),
      dy,
    );
    const gradients = matmulGradients(a, b, dy, extent);
    assertClose(multiplied.outputs.output!, matmul(a, b, extent), close, 'product');
    assertClose(multiplied.gradients.x!, gradients.a, close, 'gradient of a');
    assertClose(multiplied.gradients.b!, gradients.b, { relative: 1e-5, absolute: 2e-5 }, 'gradient of b');

    const { x, residual, ...state } = normalisation('', [2, 9, 9, 32]).inputs;
    const normed = await run({ x: x!, residual: residual!, ...state }, (tape, { x, residual, ...rest }) =>
      ops.batchNorm(tape, x, rest, { residual, activation: 'relu' }),
    );
    const [scale, shift] = [state.scale!.data as Float32Array, state.shift!.data as Float32Array];
    const norm = { input: x!.data as Float32Array, scale, shift, residual: residual!.data as Float32Array, relu: true };
    assertClose(normed.outputs.output!, batchNorm(norm), close, 'batch norm');

    const pool = { shape: [2, 9, 7, 8], kernel: [3, 3], stride: [2, 2], padding: [1, 1] } as const;
    const options = { kernel: 3, stride: 2, padding: 1 };
    const pixels = { x: input([...pool.shape]) };
    const pooled = { shape: [...pool.shape], kernel: [3, 3], stride: [2, 2], padding: [1, 1] } as Parameters<typeof maxPool>[1];
    const largest = await run(pixels, (tape, { x }) => ops.maxPool2d(tape, x, options));
    assertClose(largest.outputs.output!, maxPool(pixels.x.data, pooled), { relative: 0, absolute: 0 }, 'max pool');
    const average = await run(pixels, (tape, { x }) => ops.averagePool2d(tape, x, options));
    assertClose(average.outputs.output!, averagePool(pixels.x.data, pooled), close, 'average pool');
  });

  test('they take half of the memory', async (gpu) => {
    const bytes = async (dtype: 'f32' | 'f16') => {
      const tape = new Tape(gpu, { training: true });
      let x = ops.cast(tape, tape.input('x', [1000], 'f32', true), dtype);
      for (let i = 0; i < 8; i++) x = ops.gelu(tape, x);
      assert.is(x.bytes, dtype === 'f16' ? 2000 : 4000);
      tape.backward(ops.sum(tape, x));
      const program = await Program.compile(gpu, tape);
      program.destroy();
      return program.memory;
    };
    const [whole, stored] = [await bytes('f32'), await bytes('f16')];
    assert.ok(stored.peakBytes < 0.7 * whole.peakBytes, `${stored.peakBytes} of ${whole.peakBytes} bytes planned`);
    assert.ok(stored.boundBytes < 0.7 * whole.boundBytes, `${stored.boundBytes} of ${whole.boundBytes} bytes alive`);
  });

  test('refuses what cannot hold or hand out halves', async (gpu) => {
    const without = Object.create(gpu, { adapter: { value: { ...gpu.adapter, hasF16: false } } }) as Gpu;
    const shape = [8];
    const stored = (tape: Tape) => ops.cast(tape, tape.input('x', shape), 'f16');
    await rejects(() => stored(new Tape(without)), DeviceError, 'shader-f16', '--precision f32', '--adapter');
    const tape = new Tape(gpu);
    await rejects(() => ops.cast(tape, tape.input('words', shape, 'u32'), 'f16'), ShapeError, 'cast of words from u32');
    const x = stored(tape);
    assert.is(ops.cast(tape, x, 'f16'), x);
    await rejects(() => ops.slice(tape, x, 0, 1, 4), ShaderError, 'band.wgsl', 'binding input', 'its elements are u32', 'Cast');
    await rejects(() => new Readback(gpu, [x]), TypeError, 'cast', 'f32, not f16');
  });
});
