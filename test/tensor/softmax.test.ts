import { ShapeError } from '#src/errors.js';
import type { Gpu } from '#src/gpu/gpu.js';
import { logSoftmax, softmax } from '#src/tensor/ops/softmax.js';
import { Tape } from '#src/tensor/tape.js';
import { logSoftmax as logReference, softmax as reference, softmaxGradient } from '../reference/softmax.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, checkGradients, randomArray, runOp } from '../support/tensors.js';
import { disguise } from './disguise.js';

gpuSuite('softmax', (test) => {
  for (const log of [false, true]) {
    const operator = log ? logSoftmax : softmax;
    const name = log ? 'log-softmax' : 'softmax';
    const run = (gpu: Gpu, shape: number[], data: Float32Array, outputGradient?: Float32Array) =>
      runOp(
        gpu,
        { x: { shape, data, differentiable: true } },
        (tape, { x }) => operator(tape, x),
        outputGradient ? { outputGradient } : {},
      );

    for (const shape of [[1], [8], [5, 1], [129, 7], [2, 3, 64], [3, 65], [7, 129], [2, 2, 1031]]) {
      test(`${name} of [${shape}]`, async (gpu) => {
        const data = randomArray(shape, 1, 8);
        const outputGradient = randomArray(shape, 2);
        const length = shape.at(-1)!;
        const wanted = softmaxGradient(data, length, outputGradient, log);
        for (const isFallback of [true, false]) {
          const { outputs, gradients } = await run(disguise(gpu, { isFallback }), shape, data, outputGradient);
          assertClose(outputs.output, (log ? logReference : reference)(data, length), { relative: 1e-5, absolute: 1e-7 }, 'output');
          assertClose(gradients.x, wanted, { relative: 1e-5, absolute: 2e-6 }, 'gradient');
        }
      });
    }

    test(`gradient of ${name} agrees with finite differences`, async (gpu) => {
      for (const shape of [
        [3, 5],
        [2, 70],
      ]) {
        await checkGradients(gpu, { x: { shape, data: randomArray(shape, 1, 2), differentiable: true } }, (tape, { x }) =>
          operator(tape, x),
        );
      }
    });

    test(`${name}: same bits from run to run and over two dimensions of dispatch`, async (gpu) => {
      for (const shape of [
        [1000, 9],
        [21, 300],
      ]) {
        const data = randomArray(shape, 1, 3);
        const outputGradient = randomArray(shape, 2);
        const first = await run(gpu, shape, data, outputGradient);
        assert.equal(await run(gpu, shape, data, outputGradient), first);
        assert.equal(await run(disguise(gpu, { groups: 4 }), shape, data, outputGradient), first);
      }
    });

    test(`${name} does not overflow, and shifting a row changes nothing`, async (gpu) => {
      const { outputs } = await run(gpu, [4, 3], Float32Array.of(1000, 1001, 1002, -1000, -999, -998, 0, 1, 2, 3e38, -3e38, 0));
      const row = (log ? logReference : reference)([0, 1, 2], 3);
      assertClose(outputs.output.slice(0, 9), [...row, ...row, ...row]);
      assertClose(outputs.output.slice(9), log ? [0, Number.NEGATIVE_INFINITY, -3e38] : [1, 0, 0]);
    });

    test(`${name}: NaN and infinities as in PyTorch, in rows of their own`, async (gpu) => {
      for (const length of [4, 100]) {
        const data = randomArray([6, length], 1);
        data[length] = Number.NaN;
        data[2 * length + 2] = Number.POSITIVE_INFINITY;
        data[3 * length + 1] = Number.NEGATIVE_INFINITY;
        data.fill(Number.NEGATIVE_INFINITY, 4 * length, 5 * length);
        const { outputs } = await run(gpu, [6, length], data);
        const wanted = (log ? logReference : reference)(data, length);
        for (const row of [1, 2, 4]) wanted.fill(Number.NaN, row * length, (row + 1) * length);
        assertClose(outputs.output, wanted);
        assert.is(outputs.output[3 * length + 1], log ? Number.NEGATIVE_INFINITY : 0);
      }
    });

    test(`${name} with more than 65,535 workgroups`, async (gpu) => {
      const shape = [65_541, 65]; // one row per workgroup
      const data = new Float32Array(65_541 * 65);
      for (let i = 0; i < data.length; i++) data[i] = (i % 65 === 0 ? Math.floor(i / 65) % 7 : 0) + Math.log(2);
      const { outputs } = await run(disguise(gpu, { isFallback: false }), shape, data);
      for (let row = 0; row < shape[0]; row++) {
        const p = Math.exp(row % 7) / (Math.exp(row % 7) + 64);
        assertClose([outputs.output[row * 65]], [log ? Math.log(p) : p], { relative: 2e-6, absolute: 1e-7 }, `row ${row}`);
      }
    });

    test(`${name} needs an axis to go over`, async (gpu) => {
      const record = (shape: number[]) => {
        const tape = new Tape(gpu);
        return operator(tape, tape.tensor('x', shape));
      };
      await rejects(() => record([]), ShapeError, 'softmax of []', 'last axis');
      await rejects(() => record([3, 0]), ShapeError, 'softmax of [3,0]');
    });
  }
});
