import { ShapeError } from '#src/errors.js';
import { permute } from '#src/tensor/ops/permute.js';
import { Tape } from '#src/tensor/tape.js';
import { permute as reference } from '../reference/axes.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { type Build, checkGradients, randomArray, runOp } from '../support/tensors.js';
import { disguise } from './disguise.js';

const building =
  (order: number[]): Build =>
  (tape, { x }) =>
    permute(tape, x, order);

const inputOf = (shape: number[]) => ({ x: { shape, data: randomArray(shape, 1), differentiable: true } });
const floats = (values: Float64Array) => Float32Array.from(values);

gpuSuite('permute', (test) => {
  for (const [shape, order] of [
    [[1], [0]],
    [
      [7, 5],
      [1, 0],
    ],
    [
      [3, 67],
      [0, 1],
    ],
    [
      [129, 65],
      [1, 0],
    ],
    [
      [2, 3, 5],
      [2, 0, 1],
    ],
    [
      [3, 4, 2, 4, 2],
      [0, 1, 3, 2, 4],
    ],
    [
      [2, 5, 3, 3, 7],
      [2, 0, 3, 1, 4],
    ],
    [
      [2, 3, 2, 3, 2],
      [4, 3, 2, 1, 0],
    ],
    [
      [2, 1, 3, 2, 1, 5, 3],
      [3, 5, 1, 4, 6, 0, 2],
    ],
  ] as [number[], number[]][]) {
    test(`[${shape}] to axes [${order}]`, async (gpu) => {
      const inputs = inputOf(shape);
      const turned = order.map((axis) => shape[axis]);
      const outputGradient = randomArray(shape, 2);
      const { outputs, gradients } = await runOp(gpu, inputs, building(order), { outputGradient });
      assert.equal(outputs.output, floats(reference({ shape, data: inputs.x.data }, order)));
      const back = shape.map((_, axis) => order.indexOf(axis));
      assert.equal(gradients.x, floats(reference({ shape: turned, data: outputGradient }, back)));
    });
  }

  test('gradients agree with finite differences', async (gpu) => {
    await checkGradients(gpu, inputOf([3, 4, 5]), building([1, 2, 0]));
  });

  test('same bits over two dimensions of dispatch', async (gpu) => {
    const options = { outputGradient: randomArray([300, 41], 3) };
    const first = await runOp(gpu, inputOf([300, 41]), building([1, 0]), options);
    assert.equal(await runOp(disguise(gpu, { groups: 3 }), inputOf([300, 41]), building([1, 0]), options), first);
  });

  test('moves bits, of u32 too', async (gpu) => {
    const x = { shape: [2, 3], data: Uint32Array.of(1, 0xffffffff, 0x7f800001, 0xffc00000, 5, 6) };
    const { outputs } = await runOp(gpu, { x }, building([1, 0]));
    assert.equal(outputs.output, Uint32Array.of(1, 0xffc00000, 0xffffffff, 5, 0x7f800001, 6));
  });

  test('refuses what is no order, and too many axes that part', async (gpu) => {
    const record = (shape: number[], order: number[]) => {
      const tape = new Tape(gpu);
      return permute(tape, tape.tensor('x', shape), order);
    };
    await rejects(() => record([2, 3], [0]), ShapeError, 'permute of [2,3] to axes [0]');
    await rejects(() => record([2, 3], [0, 0]), ShapeError, 'every axis from 0 to 1');
    await rejects(() => record([2, 2, 2, 2, 2, 2], [5, 4, 3, 2, 1, 0]), ShapeError, 'two steps');
  });
});
