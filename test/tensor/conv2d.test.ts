import { ShapeError } from '#src/errors.js';
import { add } from '#src/tensor/ops/arithmetic.js';
import { type Conv2dOptions, conv2d } from '#src/tensor/ops/conv2d.js';
import { CANDIDATES } from '#src/tensor/ops/families.js';
import { Tape } from '#src/tensor/tape.js';
import type { Tensor } from '#src/tensor/tensor.js';
import { type Convolution, conv2dGradients } from '../reference/conv2d.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, checkGradients, randomArray, runOp } from '../support/tensors.js';
import { compareInUsedMemory, compareWithReference, inputsOf, nameOf, operandsOf, optionsOf, run } from './convolution.js';
import { disguise } from './disguise.js';
import { withKernel, withoutSubgroups, withPlainLoops, withTiles } from './kernel-family.js';

const CONVOLUTIONS: Convolution[] = [
  { shape: [1, 1, 1, 1], weight: [1, 1, 1, 1] },
  { shape: [2, 5, 7, 4], weight: [3, 3, 4, 8], padding: [1, 1, 1, 1] },
  { shape: [1, 9, 9, 36], weight: [3, 3, 36, 68], padding: [1, 1, 1, 1] }, // more channels than a tile has
  { shape: [3, 9, 8, 8], weight: [3, 3, 8, 36], stride: [2, 2], padding: [1, 1, 1, 1] },
  { shape: [2, 7, 10, 12], weight: [5, 5, 12, 4], stride: [3, 2], padding: [2, 1, 0, 3] },
  { shape: [1, 11, 11, 4], weight: [3, 3, 4, 4], dilation: [2, 2], padding: [2, 2, 2, 2] },
  { shape: [2, 10, 9, 4], weight: [3, 2, 4, 8], stride: [2, 2], dilation: [3, 2], padding: [3, 3, 1, 1] },
  { shape: [2, 6, 6, 16], weight: [1, 1, 16, 40], stride: [2, 2] }, // three quarters of the pixels in no output
  { shape: [1, 8, 8, 4], weight: [2, 2, 4, 4], stride: [3, 3] },
  { shape: [1, 2, 2, 4], weight: [5, 5, 4, 4], padding: [2, 2, 2, 2] }, // a kernel larger than the image
  { shape: [1, 3, 3, 4], weight: [1, 1, 4, 4], padding: [2, 2, 2, 2] }, // outputs that see padding only
  { shape: [5, 31, 29, 4], weight: [1, 3, 4, 4], padding: [0, 0, 1, 1] }, // pixels enough for several splits
  { shape: [1, 13, 9, 3], weight: [7, 7, 3, 36], stride: [2, 2], padding: [3, 3, 3, 3] }, // coloured
  { shape: [1, 5, 5, 5], weight: [2, 3, 5, 7] },
  { shape: [2, 6, 5, 8], weight: [3, 3, 4, 8], padding: [1, 1, 1, 1], groups: 2 },
  { shape: [1, 6, 7, 6], weight: [3, 3, 2, 9], stride: [1, 2], groups: 3 },
  { shape: [2, 7, 7, 6], weight: [3, 3, 1, 6], stride: [2, 2], padding: [1, 1, 1, 1], groups: 6 }, // depthwise
  { shape: [2, 9, 10, 2], weight: [3, 2, 2, 4], stride: [1, 2], padding: [2, 1, 3, 0], dilation: [2, 3] },
  { shape: [3, 17, 13, 8], weight: [5, 5, 1, 16], padding: [2, 2, 2, 2], dilation: [1, 2], groups: 8 },
  { shape: [1, 17, 13, 12], weight: [3, 3, 12, 16], padding: [1, 1, 1, 1] }, // just beyond the pixels of a narrow tile
];
const [, SIMPLE, WIDE, STRIDED, , , DILATED, POINTS, GAPS, , PADDED, LONG, COLOURED, ODD, GROUPED] = CONVOLUTIONS as [
  ...Convolution[],
  Convolution,
];
const DEPTHWISE = CONVOLUTIONS[16];
/** Just beyond whole tiles, with what comes from a texture: forward, and for the gradients of input and weight. Of narrow products it is pixels. */
const TEXTURED: [Convolution, string[]][] = [
  [{ shape: [1, 9, 9, 68], weight: [3, 3, 68, 72], padding: [1, 1, 1, 1] }, ['weight', 'weight', 'output_gradient']],
  [{ shape: [3, 17, 13, 36], weight: [3, 3, 36, 76], stride: [2, 2], padding: [1, 1, 1, 1] }, ['weight', 'weight', 'output_gradient']],
  [{ shape: [2, 23, 29, 20], weight: [3, 3, 20, 12], padding: [1, 1, 1, 1] }, ['input', 'weight', 'input']],
  [
    { shape: [1, 67, 61, 8], weight: [3, 3, 8, 20], stride: [2, 2], padding: [1, 1, 1, 1] },
    ['weight', 'output_gradient', 'output_gradient'],
  ],
  [{ shape: [1, 67, 61, 12], weight: [3, 3, 12, 8], stride: [2, 2], padding: [1, 1, 1, 1] }, []], // too small
];

gpuSuite('conv2d', (test) => {
  for (const convolution of CONVOLUTIONS) {
    test(nameOf(convolution), (gpu) => compareWithReference(gpu, convolution));
  }

  test('the kernels for any adapter agree', async (gpu) => {
    for (const convolution of CONVOLUTIONS) await compareWithReference(withoutSubgroups(gpu), convolution);
  });

  test('the kernels with tiles in workgroup memory agree', async (gpu) => {
    const tiled = withTiles(gpu);
    for (const convolution of CONVOLUTIONS) await compareWithReference(tiled, convolution);
  });

  test('every family and tile agrees', async (gpu) => {
    for (const choice of CANDIDATES) await compareWithReference(withKernel(gpu, choice), WIDE);
  });

  for (const [convolution, wanted] of TEXTURED) {
    test(`textures of ${nameOf(convolution)}: ${wanted}`, async (gpu) => {
      const [texture, buffer] = [true, false].map((texture) => withKernel(gpu, { family: 'outer-product', winograd: false, texture }));
      const operands = operandsOf(convolution);
      await compareWithReference(texture!, convolution, operands);
      assert.equal(await run(texture!, convolution, operands, true), await run(buffer!, convolution, operands, true));
      const tape = new Tape(texture!);
      const { input, weight } = inputsOf(convolution, operands);
      const tensor = (label: string, shape: readonly number[]) => tape.input(label, shape, 'f32', true);
      const output = conv2d(tape, tensor('input', input.shape), tensor('weight', weight.shape), optionsOf(convolution));
      tape.backward(output, tape.input('gradient', output.shape));
      const found = tape.launches.flatMap(({ shader }) => shader.tensors.filter(({ isTexture }) => isTexture).map(({ name }) => name));
      // Without outer products, for want of subgroups, there are none.
      assert.equal(found, tape.launches[0]!.shader.name === 'conv2d_forward' ? wanted : []);
    });
  }

  test('the gradients that two convolutions give to one input are summed, most often by the kernel of the second', async (gpu) => {
    const winograd = withKernel(gpu, { family: 'outer-product', winograd: true });
    for (const family of [gpu, withoutSubgroups(gpu), withTiles(gpu), winograd]) {
      for (const convolution of [SIMPLE, WIDE, STRIDED, POINTS, GROUPED, DEPTHWISE]) {
        const operands = operandsOf(convolution);
        const second = randomArray(convolution.weight, 6);
        const { gradients } = await runOp(
          family,
          { ...inputsOf(convolution, operands), second: { shape: convolution.weight, data: second, differentiable: true } },
          (tape, t) => {
            const [left, right] = [t.weight, t.second].map((weight) => conv2d(tape, t.input, weight, optionsOf(convolution)));
            return add(tape, left!, right!);
          },
          { outputGradient: operands.outputGradient },
        );
        const shares = [operands.weight, second].map(
          (weight) => conv2dGradients(operands.input, weight, operands.outputGradient, convolution).input,
        );
        const wanted = shares[0]!.map((share, i) => share + shares[1]![i]!);
        assertClose(gradients.input, wanted, { relative: 1e-5, absolute: family === winograd ? 2e-4 : 4e-5 }, nameOf(convolution));
      }
    }
    const tape = new Tape(withTiles(gpu));
    const tensors = [SIMPLE.shape, SIMPLE.weight].map((shape) => tape.input('input', shape, 'f32', true)) as [Tensor, Tensor];
    const convolve = (input: Tensor) => conv2d(tape, input, tensors[1], optionsOf(SIMPLE));
    const output = add(tape, convolve(tensors[0]), convolve(tensors[0]));
    tape.backward(output, tape.input('gradient', output.shape));
    const sums = tape.launches.filter(({ shader, tensors: { output } }) => shader.name === 'add' && output.size === tensors[0].size);
    assert.equal(sums.length, 0);
  });

  test('loops left as loops agree', async (gpu) => {
    for (const convolution of [STRIDED, COLOURED, DEPTHWISE]) await compareWithReference(withPlainLoops(gpu), convolution);
    for (const family of [withoutSubgroups(gpu), withTiles(gpu)]) await compareWithReference(withPlainLoops(family), SIMPLE);
  });

  test('the splits of a GPU agree', async (gpu) => {
    for (const convolution of [LONG, POINTS, COLOURED, GROUPED]) {
      const other = disguise(gpu, { isFallback: !gpu.adapter.isFallback });
      for (const family of [other, withKernel(other, { family: 'outer-product' })]) await compareWithReference(family, convolution);
    }
  });

  test('gradients agree with finite differences', async (gpu) => {
    for (const convolution of [STRIDED, DILATED, COLOURED, GROUPED, DEPTHWISE]) {
      await checkGradients(gpu, inputsOf(convolution, operandsOf(convolution)), (tape, t) =>
        conv2d(tape, t.input, t.weight, { ...optionsOf(convolution), bias: t.bias, residual: t.residual }),
      );
    }
  });

  test('NaN and infinities reach those results that they belong to, and no others', async (gpu) => {
    for (const convolution of [SIMPLE, STRIDED, POINTS, COLOURED, ODD, DEPTHWISE]) {
      const operands = operandsOf(convolution);
      // At the rim, where some taps find no input: they must not multiply what lies elsewhere by zero.
      operands.input[operands.input.length - 1] = Number.NaN;
      operands.input[0] = Number.POSITIVE_INFINITY;
      operands.bias[1] = Number.NEGATIVE_INFINITY;
      operands.residual[3] = Number.NaN;
      operands.outputGradient[0] = Number.NaN;
      operands.outputGradient[operands.outputGradient.length - 1] = Number.POSITIVE_INFINITY;
      await compareWithReference(gpu, convolution, operands);
      await compareWithReference(withoutSubgroups(gpu), convolution, operands);
      await compareWithReference(withTiles(gpu), convolution, operands);
    }
  });

  test('memory that held NaN before', async (gpu) => {
    for (const [family, convolution] of [gpu, withoutSubgroups(gpu), withTiles(gpu)].flatMap((each) =>
      [GAPS, PADDED, LONG, GROUPED].map((c) => [each, c] as const),
    )) {
      await compareInUsedMemory(family, convolution);
    }
  });

  test('two runs are equal bit by bit, also over two dimensions of dispatch', async (gpu) => {
    for (const family of [gpu, withoutSubgroups(gpu), withTiles(gpu)]) {
      for (const convolution of [WIDE, LONG, COLOURED, DEPTHWISE]) {
        const operands = operandsOf(convolution);
        const first = await run(family, convolution, operands, true);
        assert.equal(await run(family, convolution, operands, true), first);
        assert.equal(await run(disguise(family, { groups: 3 }), convolution, operands, true), first);
      }
    }
  });

  test('numbers and pairs stand for all sides', (gpu) => {
    const tape = new Tape(gpu);
    const shapeWith = (options: Conv2dOptions) =>
      conv2d(tape, tape.tensor('x', [1, 10, 20, 4]), tape.tensor('w', [3, 3, 4, 4]), options).shape;
    assert.equal(shapeWith({}), [1, 8, 18, 4]);
    assert.equal(shapeWith({ padding: 1 }), [1, 10, 20, 4]);
    assert.equal(shapeWith({ padding: [1, 0] }), [1, 10, 18, 4]);
    assert.equal(shapeWith({ padding: [1, 2, 3, 4] }), [1, 11, 25, 4]);
    assert.equal(shapeWith({ stride: 2 }), [1, 4, 9, 4]);
    assert.equal(shapeWith({ stride: [1, 3], dilation: [2, 1] }), [1, 6, 6, 4]);
    return Promise.resolve();
  });

  test('shapes that do not fit are refused', async (gpu) => {
    const tape = new Tape(gpu);
    const tensor = (...shape: number[]) => tape.tensor('t', shape);
    const image = tensor(1, 5, 5, 4);
    const refused = (weight: number[], options: Conv2dOptions, ...parts: string[]) =>
      rejects(() => conv2d(tape, image, tensor(...weight), options), ShapeError, 'conv2d', ...parts);
    await refused([3, 3, 4], {}, 'four axes');
    await refused([3, 3, 3, 8], {}, '4 input channels in 1 groups', 'for 3');
    await refused([3, 3, 2, 9], { groups: 2 }, '9 output channels in 2 groups');
    await refused([3, 3, 4, 8], { stride: 0 }, 'stride 0');
    await refused([3, 3, 4, 8], { dilation: [1, 1.5] }, 'dilation 1,1.5');
    await refused([3, 3, 4, 8], { padding: [0, -1] }, 'padding 0,-1');
    await refused([7, 7, 4, 8], {}, 'larger than the padded image');
    await refused([3, 3, 4, 8], { bias: tensor(4) }, 'bias [4] for 8 output channels');
    await refused([3, 3, 4, 8], { residual: tensor(1, 5, 5, 8) }, 'residual [1,5,5,8] for an output [1,3,3,8]');
  });
});
