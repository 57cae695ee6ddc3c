import { ShapeError } from '#src/errors.js';
import { averagePool2d, globalAveragePool, maxPool2d, type PoolOptions } from '#src/tensor/ops/pool.js';
import { Tape } from '#src/tensor/tape.js';
import type { Tensor } from '#src/tensor/tensor.js';
import { averagePool, averagePoolGradient, maxPool, maxPoolGradient, type Pool, poolShape } from '../reference/pool.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, checkGradients, randomArray, runOp } from '../support/tensors.js';
import { disguise } from './disguise.js';

/** Shapes [N, H, W, C], kernel, stride, padding along y and x. */
const POOLS: Pool[] = [
  { shape: [1, 1, 1, 1], kernel: [1, 1], stride: [1, 1], padding: [0, 0] },
  { shape: [2, 8, 8, 16], kernel: [2, 2], stride: [2, 2], padding: [0, 0] },
  { shape: [2, 7, 9, 4], kernel: [2, 2], stride: [2, 2], padding: [0, 0] }, // last row and column in no window
  { shape: [3, 11, 13, 12], kernel: [3, 3], stride: [2, 2], padding: [1, 1] }, // overlapping
  { shape: [1, 5, 17, 7], kernel: [3, 3], stride: [1, 1], padding: [1, 1] },
  { shape: [2, 9, 8, 5], kernel: [3, 2], stride: [1, 3], padding: [0, 1] },
  { shape: [1, 10, 23, 8], kernel: [1, 2], stride: [3, 4], padding: [0, 0] }, // gaps between windows
  { shape: [1, 19, 19, 4], kernel: [16, 16], stride: [1, 2], padding: [8, 8] },
  { shape: [67, 2, 2, 4], kernel: [2, 2], stride: [1, 1], padding: [1, 1] },
];

const optionsOf = ({ kernel, stride, padding }: Pool): PoolOptions => ({ kernel, stride, padding });
const nameOf = ({ shape, kernel, stride, padding }: Pool) => `[${shape}] kernel ${kernel} stride ${stride} padding ${padding}`;
const inputOf = (shape: number[], data: Float32Array = randomArray(shape, 1)) => ({ input: { shape, data, differentiable: true } });

type Operator = (tape: Tape, input: Tensor, options: PoolOptions) => Tensor;

function run(gpu: Parameters<typeof runOp>[0], operator: Operator, pool: Pool, data?: Float32Array) {
  const outputGradient = randomArray(poolShape(pool), 2);
  return runOp(gpu, inputOf(pool.shape, data), (tape, { input }) => operator(tape, input, optionsOf(pool)), { outputGradient });
}

gpuSuite('pool', (test) => {
  for (const pool of POOLS) {
    test(`max ${nameOf(pool)}`, async (gpu) => {
      const data = randomArray(pool.shape, 1);
      const { outputs, gradients } = await run(gpu, maxPool2d, pool, data);
      assertClose(outputs.output!, maxPool(data, pool), { relative: 0, absolute: 0 }, 'output');
      assertClose(gradients.input!, maxPoolGradient(data, pool, randomArray(poolShape(pool), 2)), {}, 'input gradient');
    });

    test(`average ${nameOf(pool)}`, async (gpu) => {
      const data = randomArray(pool.shape, 1);
      const { outputs, gradients } = await run(gpu, averagePool2d, pool, data);
      assertClose(outputs.output!, averagePool(data, pool), {}, 'output');
      assertClose(gradients.input!, averagePoolGradient(pool, randomArray(poolShape(pool), 2)), {}, 'input gradient');
    });
  }

  test('the first of equal maxima gets the gradient, of zeros of both signs too', async (gpu) => {
    const pool = POOLS[3];
    const data = randomArray(pool.shape, 3).map((value) => (Math.abs(value) < 0.3 ? Math.sign(value) * 0 : Math.sign(value)));
    const { outputs, gradients } = await run(gpu, maxPool2d, pool, data);
    assertClose(outputs.output!, maxPool(data, pool), { relative: 0, absolute: 0 });
    assertClose(gradients.input!, maxPoolGradient(data, pool, randomArray(poolShape(pool), 2)));
  });

  test('NaN and infinities in the maximum', async (gpu) => {
    for (const pool of [POOLS[1], POOLS[3], POOLS[4]]) {
      const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY, 1, -Number.NaN, 0];
      const data = randomArray(pool.shape, 4).map((value, i) => (value > 0 ? value : values[i % 7]));
      const { outputs, gradients } = await run(gpu, maxPool2d, pool, data);
      assertClose(outputs.output!, maxPool(data, pool), { relative: 0, absolute: 0 });
      assertClose(gradients.input!, maxPoolGradient(data, pool, randomArray(poolShape(pool), 2)));
      assert.ok(outputs.output!.some(Number.isNaN));
    }
  });

  test('a window of negative infinities', async (gpu) => {
    const pool = POOLS[3];
    const data = randomArray(pool.shape, 4).fill(Number.NEGATIVE_INFINITY);
    const { outputs, gradients } = await run(gpu, maxPool2d, pool, data);
    assert.ok(outputs.output!.every((value) => value === Number.NEGATIVE_INFINITY));
    assertClose(gradients.input!, maxPoolGradient(data, pool, randomArray(poolShape(pool), 2)));
  });

  test('NaN and infinities in the mean', async (gpu) => {
    const pool = POOLS[3];
    const data = randomArray(pool.shape, 4);
    data.set([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY], 100);
    const { outputs } = await run(gpu, averagePool2d, pool, data);
    assertClose(outputs.output!, averagePool(data, pool));
  });

  for (const shape of [
    [1, 1, 1, 1],
    [3, 5, 7, 4],
    [2, 6, 6, 30],
    [5, 3, 3, 512],
    [2, 48, 48, 8],
  ]) {
    test(`global average [${shape}]`, async (gpu) => {
      const [images, height, width, channels] = shape as [number, number, number, number];
      const pool: Pool = { shape, kernel: [height, width], stride: [1, 1], padding: [0, 0] };
      const data = randomArray(shape, 1).map((value) => value + 3);
      const outputGradient = randomArray([images, channels], 2);
      const results = { shape: [0] };
      const build = (tape: Tape, { input }: { input: Tensor }) => {
        const output = globalAveragePool(tape, input);
        results.shape = [...output.shape];
        return output;
      };
      const { outputs, gradients } = await runOp(gpu, inputOf(shape, data), build, { outputGradient });
      assert.equal(results.shape, [images, channels]);
      assertClose(outputs.output!, averagePool(data, pool), { relative: 5e-7 });
      assertClose(gradients.input!, averagePoolGradient(pool, outputGradient));
    });
  }

  test('gradients agree with finite differences', async (gpu) => {
    const shape = [2, 7, 7, 4];
    // Values 0.05 apart: a step of 0.01 changes no maximum.
    const ranks = [...randomArray(shape, 5)].map((value, i) => [value, i] as const).sort((a, b) => a[0] - b[0]);
    const data = new Float32Array(ranks.length);
    for (const [rank, [, i]] of ranks.entries()) data[i] = rank * 0.05;
    const options = { kernel: 3, stride: 2, padding: 1 };
    await checkGradients(gpu, inputOf(shape, data), (tape, { input }) => maxPool2d(tape, input, options));
    await checkGradients(gpu, inputOf(shape), (tape, { input }) => averagePool2d(tape, input, options));
    await checkGradients(gpu, inputOf(shape), (tape, { input }) => globalAveragePool(tape, input));
  });

  test('two runs give the same bits, one or two dimensions of dispatch too', async (gpu) => {
    const pool: Pool = { shape: [4, 23, 23, 20], kernel: [3, 3], stride: [2, 2], padding: [1, 1] };
    for (const operator of [maxPool2d, averagePool2d]) {
      const first = await run(gpu, operator, pool);
      assert.equal(await run(gpu, operator, pool), first);
      assert.equal(await run(disguise(gpu, { groups: 3 }), operator, pool), first);
    }
  });

  test('the stride is the kernel where none is given', (gpu) => {
    const tape = new Tape(gpu);
    assert.equal(maxPool2d(tape, tape.tensor('input', [2, 9, 9, 4]), { kernel: [3, 2] }).shape, [2, 3, 4, 4]);
    return Promise.resolve();
  });

  test('refuses shapes and windows that do not fit', async (gpu) => {
    const tape = new Tape(gpu);
    const record = (operator: Operator, shape: number[], options: PoolOptions) => operator(tape, tape.tensor('input', shape), options);
    await rejects(() => record(maxPool2d, [4, 4, 4], { kernel: 2 }), ShapeError, 'maxPool2d of [4,4,4]', '[N, H, W, C]');
    await rejects(
      () => record(averagePool2d, [1, 4, 4, 4], { kernel: 5 }),
      ShapeError,
      'averagePool2d of [1,4,4,4]',
      'kernel 5,5',
      'larger',
    );
    await rejects(() => record(maxPool2d, [1, 9, 9, 4], { kernel: 3, padding: 2 }), ShapeError, 'padding 2,2', 'half');
    await rejects(() => record(maxPool2d, [1, 9, 9, 4], { kernel: 0 }), ShapeError, 'positive');
    await rejects(() => record(averagePool2d, [1, 9, 9, 4], { kernel: 2, stride: 1.5 }), ShapeError, 'stride 1.5');
    await rejects(() => record(maxPool2d, [1, 40, 40, 4], { kernel: 17 }), ShapeError, '17 x 17', '256');
    await rejects(() => globalAveragePool(tape, tape.tensor('input', [4, 4])), ShapeError, 'globalAveragePool of [4,4]');
  });
});
