import { ShapeError } from '#src/errors.js';
import { gather } from '#src/tensor/ops/gather.js';
import { Tape } from '#src/tensor/tape.js';
import { gatherGradient, gather as reference } from '../reference/gather.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, type Build, checkGradients, randomArray, runOp } from '../support/tensors.js';
import { disguise } from './disguise.js';

const build: Build = (tape, { table, indices }) => gather(tape, table, indices);

function inputsOf(shape: number[], count: number) {
  const indices = Uint32Array.from(randomArray([count], 2), (x) => Math.floor(((x + 1) / 2) * shape[0]));
  return {
    table: { shape, data: randomArray(shape, 1), differentiable: true },
    indices: { shape: [count], data: indices },
  };
}

gpuSuite('gather', (test) => {
  for (const [shape, count] of [
    [[1], 1],
    [[5], 13],
    [[7, 3], 11],
    [[2, 64], 33],
    [[101, 3, 5], 67],
    [[1000, 8], 3],
  ] as [number[], number][]) {
    test(`${count} rows of [${shape}]`, async (gpu) => {
      const inputs = inputsOf(shape, count);
      const width = inputs.table.data.length / shape[0];
      const outputGradient = randomArray([count * width], 3);
      const { outputs, gradients } = await runOp(gpu, inputs, build, { outputGradient: outputGradient });
      assertClose(outputs.output, reference(inputs.table.data, width, inputs.indices.data), { relative: 0, absolute: 0 }, 'output');
      assertClose(gradients.table, gatherGradient(shape[0], width, inputs.indices.data, outputGradient), {}, 'gradient');
    });
  }

  test('gradients agree with finite differences', async (gpu) => {
    await checkGradients(gpu, inputsOf([4, 3], 9), build);
  });

  test('same bits from run to run and over two dimensions of dispatch', async (gpu) => {
    const inputs = inputsOf([300, 40], 500);
    const options = { outputGradient: randomArray([500, 40], 3) };
    const first = await runOp(gpu, inputs, build, options);
    assert.equal(await runOp(gpu, inputs, build, options), first);
    assert.equal(await runOp(disguise(gpu, { groups: 3 }), inputs, build, options), first);
  });

  test('moves bits, of u32 too', async (gpu) => {
    const table = { shape: [3, 2], data: Uint32Array.of(1, 0xffffffff, 0x7f800001, 0xffc00000, 5, 6) };
    const indices = { shape: [2], data: Uint32Array.of(1, 0) };
    const { outputs } = await runOp(gpu, { table, indices }, build);
    assert.equal(outputs.output, Uint32Array.of(0x7f800001, 0xffc00000, 1, 0xffffffff));
  });

  test('NaN and infinity stay in their rows; an index beyond the table is NaN and has no gradient', async (gpu) => {
    const table = { shape: [3, 2], data: Float32Array.of(1, Number.NaN, Number.POSITIVE_INFINITY, 4, 5, 6), differentiable: true };
    const indices = { shape: [5], data: Uint32Array.of(0, 1, 2, 3, 0xffffffff) };
    const { outputs, gradients } = await runOp(gpu, { table, indices }, build, { outputGradient: new Float32Array(10).fill(1) });
    const { NaN: bad, POSITIVE_INFINITY: infinity } = Number;
    assertClose(outputs.output, [1, bad, infinity, 4, 5, 6, bad, bad, bad, bad]);
    assert.equal([...gradients.table], [1, 1, 1, 1, 1, 1]);
  });

  test('refuses what is no table or no list of indices', async (gpu) => {
    const record = (table: number[], indices: number[], dtype: 'u32' | 'f32' = 'u32') => {
      const tape = new Tape(gpu);
      return gather(tape, tape.tensor('table', table), tape.tensor('indices', indices, dtype));
    };
    await rejects(() => record([], [2]), ShapeError, 'gather from []');
    await rejects(() => record([4], [2, 1]), ShapeError, 'indices [2,1]');
    await rejects(() => record([4], [2], 'f32'), ShapeError, 'f32 indices', 'u32');
  });
});
