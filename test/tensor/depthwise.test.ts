import { conv2d } from '#src/tensor/ops/conv2d.js';
import { Tape } from '#src/tensor/tape.js';
import type { Convolution } from '../reference/conv2d.js';
import { assert, gpuSuite } from '../support/suite.js';
import { checkGradients } from '../support/tensors.js';
import { compareInUsedMemory, compareWithReference, inputsOf, nameOf, operandsOf, optionsOf, run } from './convolution.js';
import { disguise } from './disguise.js';
import { withPlainLoops } from './kernel-family.js';

const CONVOLUTIONS: Convolution[] = [
  { shape: [1, 1, 1, 4], weight: [1, 1, 1, 4], groups: 4 },
  { shape: [2, 5, 7, 8], weight: [3, 3, 1, 8], padding: [1, 1, 1, 1], groups: 8 },
  { shape: [3, 7, 9, 12], weight: [3, 3, 1, 12], stride: [2, 2], padding: [1, 1, 1, 1], groups: 12 },
  { shape: [1, 3, 71, 4], weight: [3, 3, 1, 4], padding: [1, 1, 1, 1], groups: 4 }, // lines of several runs
  { shape: [1, 11, 13, 4], weight: [5, 2, 1, 4], stride: [3, 2], padding: [2, 1, 0, 3], groups: 4 },
  { shape: [2, 12, 9, 4], weight: [3, 3, 1, 4], stride: [2, 3], dilation: [3, 2], padding: [3, 3, 1, 1], groups: 4 },
  { shape: [1, 6, 5, 260], weight: [1, 1, 1, 260], stride: [2, 2], groups: 260 }, // more channels than a workgroup has; pixels in no output
  { shape: [1, 1, 2, 4], weight: [3, 3, 1, 4], padding: [1, 1, 1, 1], groups: 4 }, // a kernel larger than the image
  { shape: [1, 3, 3, 4], weight: [1, 1, 1, 4], padding: [5, 2, 3, 4], groups: 4 }, // outputs that see padding only
  { shape: [5, 31, 29, 4], weight: [1, 3, 1, 4], padding: [0, 0, 1, 1], groups: 4 }, // pixels enough for several splits
  { shape: [1, 8, 8, 4], weight: [2, 2, 1, 4], stride: [3, 4], groups: 4 }, // a stride beyond the kernel
];
const [, SIMPLE, STRIDED, RUNS, , DILATED, GAPS, , PADDED, LONG] = CONVOLUTIONS as [...Convolution[], Convolution];

/** Of grey images: all output channels see the one channel that there is. */
const GREY: Convolution[] = [
  { shape: [2, 12, 12, 1], weight: [3, 3, 1, 8], padding: [1, 1, 1, 1] },
  { shape: [3, 7, 9, 1], weight: [5, 4, 1, 260], stride: [2, 3], padding: [2, 1, 0, 3] }, // no whole vec4 of pixels
];

/** So large a kernel is left to the shaders of grouped convolutions. */
const LARGE: Convolution = { shape: [1, 10, 9, 4], weight: [9, 8, 1, 4], padding: [4, 4, 4, 3], groups: 4 };

gpuSuite('convolution of one channel for each output channel', (test) => {
  for (const convolution of [...CONVOLUTIONS, ...GREY, LARGE]) {
    test(nameOf(convolution), (gpu) => compareWithReference(gpu, convolution));
  }

  test('its shaders take channels in whole vec4 and fields of up to 64 pixels', (gpu) => {
    const shadersOf = (convolution: Convolution) => {
      const tape = new Tape(gpu);
      const tensor = (shape: number[]) => {
        const input = tape.input('t', shape);
        input.differentiable = true;
        return input;
      };
      const output = conv2d(tape, tensor(convolution.shape), tensor(convolution.weight), optionsOf(convolution));
      tape.backward(output, tape.tensor('gradient', output.shape));
      return tape.launches.map(({ shader }) => shader.name).filter((name) => name !== 'column_sum');
    };
    const own = ['depthwise_forward', 'depthwise_backward_input', 'depthwise_backward_weight'];
    const widest: Convolution = { shape: [1, 9, 8, 4], weight: [7, 7, 1, 4], stride: [2, 2], padding: [3, 3, 3, 3], groups: 4 };
    for (const convolution of [...CONVOLUTIONS, widest]) assert.equal(shadersOf(convolution), own);
    const direct = ['conv2d_forward_direct', 'conv2d_backward_input_direct', 'conv2d_backward_weight_direct'];
    assert.equal(shadersOf(LARGE), direct);
    assert.equal(shadersOf({ ...widest, dilation: [1, 2] }), direct);
    assert.equal(shadersOf({ shape: [1, 5, 5, 6], weight: [3, 3, 1, 6], groups: 6 }), direct);
    assert.equal(shadersOf({ shape: [1, 5, 5, 4], weight: [3, 3, 1, 8], groups: 4 }), direct);
    return Promise.resolve();
  });

  test('the blocks of the other kind of adapter agree', async (gpu) => {
    const other = disguise(gpu, { isFallback: !gpu.adapter.isFallback });
    for (const convolution of [SIMPLE, RUNS, DILATED, LONG, GREY[1]]) await compareWithReference(other, convolution);
  });

  test('loops left as loops agree', async (gpu) => {
    for (const convolution of [DILATED, GREY[0]]) await compareWithReference(withPlainLoops(gpu), convolution);
  });

  test('gradients agree with finite differences', async (gpu) => {
    for (const convolution of [SIMPLE, STRIDED, DILATED, GREY[0]]) {
      await checkGradients(gpu, inputsOf(convolution, operandsOf(convolution)), (tape, t) =>
        conv2d(tape, t.input, t.weight, { ...optionsOf(convolution), bias: t.bias, residual: t.residual }),
      );
    }
  });

  test('NaN and infinities reach those results that they belong to, and no others', async (gpu) => {
    for (const convolution of [SIMPLE, STRIDED, RUNS, DILATED, GAPS, PADDED, GREY[0]]) {
      const operands = operandsOf(convolution);
      // At the rim, where some taps find no input or no output: they must not multiply what lies elsewhere by zero.
      operands.input[operands.input.length - 1] = Number.NaN;
      operands.input[0] = Number.POSITIVE_INFINITY;
      operands.bias[1] = Number.NEGATIVE_INFINITY;
      operands.residual[3] = Number.NaN;
      operands.outputGradient[0] = Number.NaN;
      operands.outputGradient[operands.outputGradient.length - 1] = Number.POSITIVE_INFINITY;
      await compareWithReference(gpu, convolution, operands);
    }
  });

  test('memory that held NaN before', async (gpu) => {
    for (const convolution of [STRIDED, GAPS, PADDED, LONG]) await compareInUsedMemory(gpu, convolution);
  });

  test('two runs are equal bit by bit, also over two dimensions of dispatch', async (gpu) => {
    for (const convolution of [SIMPLE, RUNS, LONG]) {
      const operands = operandsOf(convolution);
      const first = await run(gpu, convolution, operands, true);
      assert.equal(await run(gpu, convolution, operands, true), first);
      assert.equal(await run(disguise(gpu, { groups: 3 }), convolution, operands, true), first);
    }
  });
});
