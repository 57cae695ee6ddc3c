import { ShapeError } from '#src/errors.js';
import { layerNorm } from '#src/tensor/ops/layer-norm.js';
import { Tape } from '#src/tensor/tape.js';
import { layerNormGradients, layerNorm as reference } from '../reference/layer-norm.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, type Build, checkGradients, randomArray, runOp } from '../support/tensors.js';
import { disguise } from './disguise.js';

function inputsOf(shape: number[], mean = 0.5) {
  const channels = shape.at(-1)!;
  return {
    input: { shape, data: randomArray(shape, 1, 2).map((value) => value + mean), differentiable: true },
    scale: { shape: [channels], data: randomArray([channels], 2).map((value) => 1 + value / 2), differentiable: true },
    shift: { shape: [channels], data: randomArray([channels], 3), differentiable: true },
  };
}

function dataOf({ input, scale, shift }: ReturnType<typeof inputsOf>) {
  return { input: input.data, scale: scale.data, shift: shift.data };
}

const operator: Build = (tape, { input, scale, shift }) => layerNorm(tape, input, { scale, shift });

gpuSuite('layer norm', (test) => {
  const shapes = [
    [1, 4],
    [3, 1],
    [1, 5],
    [7, 2, 3],
    [2, 17, 8],
    [65, 12],
    [5, 13, 64],
    [129, 192],
    [3, 516],
    [20011, 4],
  ];
  for (const shape of shapes) {
    for (const isFallback of [true, false]) {
      test(`[${shape}]${isFallback ? ' in software' : ''}`, async (own) => {
        const gpu = disguise(own, { isFallback });
        const inputs = inputsOf(shape);
        const outputGradient = randomArray(shape, 4);
        const { outputs, gradients } = await runOp(gpu, inputs, operator, { outputGradient });
        const wanted = layerNormGradients(dataOf(inputs), outputGradient);
        const terms = Math.sqrt(shape.slice(0, -1).reduce((product, extent) => product * extent, 1));
        // Two neighbours that are nearly equal divide rounding by their small distance.
        const loose = shape.at(-1)! <= 5 ? 10 : 1;
        assertClose(outputs.output!, reference(dataOf(inputs)), { relative: 1e-5, absolute: 1e-5 * loose }, 'output');
        assertClose(gradients.input!, wanted.input, { relative: 1e-4, absolute: 1e-5 * loose }, 'input gradient');
        assertClose(gradients.scale!, wanted.scale, { relative: 1e-5, absolute: 3e-6 * terms * loose }, 'scale gradient');
        assertClose(gradients.shift!, wanted.shift, { relative: 1e-5, absolute: 2e-6 * terms }, 'shift gradient');
      });
    }
  }

  test('takes the epsilon given', async (gpu) => {
    const inputs = inputsOf([5, 8]);
    const { outputs } = await runOp(gpu, inputs, (tape, { input, scale, shift }) =>
      layerNorm(tape, input, { scale, shift }, { epsilon: 0.7 }),
    );
    assertClose(outputs.output!, reference({ ...dataOf(inputs), epsilon: 0.7 }), { absolute: 1e-5 });
  });

  test('stays accurate with a mean far from zero', async (gpu) => {
    const inputs = inputsOf([64, 96], 1000);
    const { outputs } = await runOp(gpu, inputs, operator);
    // The mean in float32 is off by up to 3e-5, half of its last place; the output by that much, times scale over deviation.
    assertClose(outputs.output!, reference(dataOf(inputs)), { relative: 1e-5, absolute: 5e-5 });
  });

  test('a row of equal values gives the shift', async (gpu) => {
    const inputs = inputsOf([9, 12]);
    inputs.input.data.fill(1234.567);
    const { outputs } = await runOp(gpu, inputs, operator);
    assert.equal(
      outputs.output,
      Float32Array.from({ length: 108 }, (_, i) => inputs.shift.data[i % 12]),
    );
  });

  test('NaN and infinity spoil their row and nothing else', async (gpu) => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (const [channels, at] of [
        [8, 3],
        [7, 6],
        [7, 0],
      ] as const) {
        const inputs = inputsOf([20, channels]);
        inputs.input.data[13 * channels + at] = bad;
        const { outputs, gradients } = await runOp(gpu, inputs, operator, { outputGradient: randomArray([20, channels], 4) });
        for (const result of [outputs.output!, gradients.input!]) {
          for (const [i, value] of result.entries()) assert.is(Number.isNaN(value), Math.floor(i / channels) === 13, `[${i}] = ${value}`);
        }
      }
    }
  });

  test('gradients agree with finite differences', async (gpu) => {
    await checkGradients(gpu, inputsOf([3, 5, 16]), operator);
    await checkGradients(gpu, inputsOf([6, 7]), operator);
  });

  test('two runs give the same bits, one or two dimensions of dispatch too', async (gpu) => {
    const inputs = inputsOf([1201, 24]);
    const options = { outputGradient: randomArray([1201, 24], 4) };
    for (const isFallback of [true, false]) {
      const first = await runOp(disguise(gpu, { isFallback }), inputs, operator, options);
      assert.equal(await runOp(disguise(gpu, { isFallback }), inputs, operator, options), first);
      assert.equal(await runOp(disguise(gpu, { isFallback, groups: 3 }), inputs, operator, options), first);
    }
  });

  test('more than 65,535 workgroups', async (gpu) => {
    const shape = [131_099, 4]; // two rows per workgroup
    const inputs = inputsOf(shape);
    inputs.scale.differentiable = false;
    inputs.shift.differentiable = false;
    const outputGradient = randomArray(shape, 4);
    const { outputs, gradients } = await runOp(disguise(gpu, { isFallback: false }), inputs, operator, { outputGradient });
    assertClose(outputs.output!, reference(dataOf(inputs)), { relative: 1e-5, absolute: 1e-4 });
    assert.equal(Object.keys(gradients), ['input']);
    assertClose(gradients.input!, layerNormGradients(dataOf(inputs), outputGradient).input, { relative: 1e-4, absolute: 1e-3 });
  });

  test('only scale and shift want gradients', async (gpu) => {
    const inputs = inputsOf([33, 8]);
    inputs.input.differentiable = false;
    const { gradients } = await runOp(gpu, inputs, operator, { outputGradient: randomArray([33, 8], 4) });
    assert.equal(Object.keys(gradients), ['scale', 'shift']);
  });

  test('refuses shapes that do not fit', async (gpu) => {
    const record = (shape: number[], channels: number) => {
      const tape = new Tape(gpu);
      return layerNorm(tape, tape.tensor('input', shape), {
        scale: tape.tensor('scale', [channels]),
        shift: tape.tensor('shift', [channels]),
      });
    };
    await rejects(() => record([4, 9, 8], 4), ShapeError, 'layerNorm', 'scale [4]', '[4,9,8]', '[8]');
    await rejects(() => record([8], 8), ShapeError, 'layerNorm of [8]');
  });
});
