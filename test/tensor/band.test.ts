import { ShapeError } from '#src/errors.js';
import { concat, pad, slice } from '#src/tensor/ops/band.js';
import { Tape } from '#src/tensor/tape.js';
import type { Tensor } from '#src/tensor/tensor.js';
import { band, concat as concatReference } from '../reference/axes.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, type Build, checkGradients, randomArray, runOp, type TestInputs } from '../support/tensors.js';
import { disguise } from './disguise.js';

const inputOf = (shape: number[]) => ({ x: { shape, data: randomArray(shape, 1), differentiable: true } });
const floats = (values: Float64Array) => Float32Array.from(values);
const extended = (shape: number[], axis: number, extent: number) => shape.map((own, i) => (i === axis ? extent : own));

const slicing =
  (axis: number, start: number, end: number): Build =>
  (tape, { x }) =>
    slice(tape, x, axis, start, end);
const padding =
  (axis: number, before: number, behind: number): Build =>
  (tape, { x }) =>
    pad(tape, x, axis, before, behind);
const joining =
  (axis: number): Build =>
  (tape, inputs: Record<string, Tensor>) =>
    concat(tape, Object.values(inputs), axis);

gpuSuite('slice and pad', (test) => {
  for (const [shape, axis, start, end] of [
    [[1], 0, 0, 1],
    [[2049], 0, 7, 2049],
    [[5, 7], 1, 3, 4],
    [[3, 65, 5], 1, 0, 1],
    [[3, 2, 4, 5], 0, 1, 3],
    [[67, 131], 1, 2, 129],
    [[67, 132], 1, 4, 128],
    [[6, 9, 4], 1, 2, 7],
  ] as [number[], number, number, number][]) {
    test(`${start} to ${end} of axis ${axis} of [${shape}], and back`, async (gpu) => {
      const inputs = inputOf(shape);
      const small = extended(shape, axis, end - start);
      const outputGradient = randomArray(small, 2);
      const { outputs, gradients } = await runOp(gpu, inputs, slicing(axis, start, end), { outputGradient });
      assert.equal(outputs.output, floats(band({ shape, data: inputs.x.data }, axis, start, end)));
      const widened = floats(band({ shape: small, data: outputGradient }, axis, -start, shape[axis] - start));
      assert.equal(gradients.x, widened);

      // Padding by what was cut off is the gradient's work, and its own gradient the slice's.
      const padded = await runOp(
        gpu,
        { x: { shape: small, data: outputGradient, differentiable: true } },
        padding(axis, start, shape[axis] - end),
        { outputGradient: inputs.x.data },
      );
      assert.equal(padded.outputs.output, widened);
      assert.equal(padded.gradients.x, outputs.output as Float32Array);
    });
  }

  test('gradients agree with finite differences', async (gpu) => {
    await checkGradients(gpu, inputOf([3, 7]), slicing(1, 2, 5));
    await checkGradients(gpu, inputOf([3, 7]), padding(0, 1, 2));
  });

  test('zeros are written over what was there, NaN stays in its place', async (gpu) => {
    const x = { shape: [2], data: Float32Array.of(Number.NaN, 3) };
    const { outputs } = await runOp(gpu, { x }, padding(0, 2, 1));
    assertClose(outputs.output, [0, 0, Number.NaN, 3, 0]);
  });

  test('refuses what the axis does not have', async (gpu) => {
    const tape = new Tape(gpu);
    const x = tape.tensor('x', [4, 3]);
    for (const [axis, start, end] of [
      [2, 0, 1],
      [0, 2, 2],
      [0, -1, 2],
      [1, 0, 4],
      [1, 0.5, 2],
    ])
      await rejects(() => slice(tape, x, axis, start, end), ShapeError, `${start} to ${end} of axis ${axis}`);
    await rejects(() => pad(tape, x, 2, 0, 1), ShapeError, 'axis 2');
    await rejects(() => pad(tape, x, 0, -1, 1), ShapeError, 'by -1 and 1');
  });
});

gpuSuite('concat', (test) => {
  for (const [axis, ...shapes] of [
    [0, [3]],
    [0, [1], [2047], [5]],
    [1, [4, 1, 3], [4, 64, 3]],
    [2, [2, 3, 5], [2, 3, 1], [2, 3, 7]],
    [0, [67, 33], [1, 33]],
  ] as [number, ...number[][]][]) {
    test(`${shapes.map((shape) => `[${shape}]`).join(', ')} along axis ${axis}`, async (gpu) => {
      const inputs: TestInputs = Object.fromEntries(
        shapes.map((shape, i) => [`x${i}`, { shape, data: randomArray(shape, i + 1), differentiable: true }]),
      );
      const extent = shapes.reduce((sum, shape) => sum + shape[axis], 0);
      const whole = extended(shapes[0], axis, extent);
      const outputGradient = randomArray(whole, 9);
      const { outputs, gradients } = await runOp(gpu, inputs, joining(axis), { outputGradient });
      assert.equal(outputs.output, floats(concatReference(Object.values(inputs), axis)));
      let start = 0;
      for (const [i, shape] of shapes.entries()) {
        const end = start + shape[axis];
        assert.equal(gradients[`x${i}`], floats(band({ shape: whole, data: outputGradient }, axis, start, end)));
        start = end;
      }
    });
  }

  test('gradients agree with finite differences, of a tensor joined to itself too', async (gpu) => {
    const y = { shape: [3, 2], data: randomArray([3, 2], 2), differentiable: true };
    await checkGradients(gpu, { ...inputOf([3, 4]), y }, joining(1));
    await checkGradients(gpu, inputOf([3, 4]), (tape, { x }) => concat(tape, [x, x], 0));
  });

  test('same bits over two dimensions of dispatch', async (gpu) => {
    const inputs = { ...inputOf([90, 70]), y: { shape: [90, 31], data: randomArray([90, 31], 2), differentiable: true } };
    const options = { outputGradient: randomArray([90, 101], 3) };
    const first = await runOp(gpu, inputs, joining(1), options);
    assert.equal(await runOp(disguise(gpu, { groups: 2 }), inputs, joining(1), options), first);
  });

  test('refuses tensors that differ in another axis or in type', async (gpu) => {
    const tape = new Tape(gpu);
    const x = tape.tensor('x', [4, 3]);
    await rejects(() => concat(tape, [x, tape.tensor('y', [4, 2])], 0), ShapeError, 'f32 [4,3], f32 [4,2] along axis 0');
    await rejects(() => concat(tape, [x, tape.tensor('y', [4, 3], 'u32')], 0), ShapeError, 'u32 [4,3]');
    await rejects(() => concat(tape, [x], 2), ShapeError, 'axis 2');
    await rejects(() => concat(tape, [], 0), ShapeError, 'nothing');
  });
});
