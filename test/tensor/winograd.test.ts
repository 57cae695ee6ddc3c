import type { Gpu } from '#src/gpu/gpu.js';
import { scale } from '#src/tensor/ops/arithmetic.js';
import { conv2d } from '#src/tensor/ops/conv2d.js';
import { launchWinograd, launchWinogradWeightGradient, prefersWinograd } from '#src/tensor/ops/winograd.js';
import { Tape } from '#src/tensor/tape.js';
import { type Convolution, conv2dGradients, conv2dShape, conv2d as reference } from '../reference/conv2d.js';
import { assert, gpuSuite } from '../support/suite.js';
import { assertClose, checkGradients, randomArray, runOp } from '../support/tensors.js';
import { disguise } from './disguise.js';
import { withoutSubgroups, withPlainLoops } from './kernel-family.js';

type Padded = Required<Pick<Convolution, 'shape' | 'weight' | 'padding'>>;

/** Images of whole tiles, of broken ones, and of less than one. */
const CONVOLUTIONS: Padded[] = [
  { shape: [1, 3, 3, 4], weight: [3, 3, 4, 4], padding: [0, 0, 0, 0] }, // one pixel
  { shape: [1, 1, 1, 8], weight: [3, 3, 8, 4], padding: [1, 1, 1, 1] },
  { shape: [2, 8, 12, 16], weight: [3, 3, 16, 36], padding: [1, 1, 1, 1] },
  { shape: [3, 11, 13, 12], weight: [3, 3, 12, 20], padding: [1, 1, 1, 1] },
  { shape: [5, 6, 7, 36], weight: [3, 3, 36, 8], padding: [0, 2, 1, 0] },
  { shape: [1, 9, 5, 4], weight: [3, 3, 4, 8], padding: [2, 2, 2, 2] },
];
const [, , WHOLE, BROKEN] = CONVOLUTIONS as [Padded, Padded, Padded, Padded];
/** Channels enough for the detour to pay. */
const WORTHWHILE: Padded = { shape: [5, 12, 11, 64], weight: [3, 3, 64, 68], padding: [1, 1, 1, 1] };

/**
 * The transforms multiply rounding, which grows with the root of the number of terms: observed are errors of up to 2.3e-5 · √channels with numbers
 * in [−1, 1], some two hundred-thousandths of the results.
 */
const closeFor = ({ shape }: Padded) => ({ relative: 0, absolute: 4e-5 * Math.sqrt(shape[3]) });

/** Of sums over up to 528 pixels: observed are errors of up to 9.4e-5. */
const WEIGHT_CLOSE = { relative: 0, absolute: 2e-4 };

function geometryOf(convolution: Padded) {
  const [batch, height, width, channels] = convolution.shape;
  const [, output_height, output_width, columns] = conv2dShape(convolution);
  const [pad_top, , pad_left] = convolution.padding;
  return { batch, height, width, channels, output_height, output_width, columns, pad_top, pad_left };
}

/** All that ends in the output: convolution, bias, residual and ReLU; or the convolution alone. */
async function forward(
  gpu: Gpu,
  convolution: Padded,
  fused: boolean,
  chunkBytes?: number,
): Promise<{ output: Float32Array; wanted: Float64Array }> {
  const outputShape = conv2dShape(convolution);
  const data = {
    input: { shape: convolution.shape, data: randomArray(convolution.shape, 1) },
    weight: { shape: convolution.weight, data: randomArray(convolution.weight, 2) },
    bias: { shape: [outputShape[3]], data: randomArray([outputShape[3]], 3) },
    residual: { shape: outputShape, data: randomArray(outputShape, 4) },
  };
  const { outputs } = await runOp(gpu, data, (tape, { input, weight, bias, residual }) => {
    const output = tape.tensor('output', outputShape);
    const tensors = { input, weight, bias: fused ? bias : undefined, residual: fused ? residual : undefined, output };
    launchWinograd(tape, geometryOf(convolution), tensors, { relu: fused, ...(chunkBytes && { chunkBytes }) });
    return output;
  });
  const linear = reference(data.input.data, data.weight.data, convolution);
  const wanted = linear.map((value, i) =>
    fused ? Math.max(0, value + data.bias.data[i % outputShape[3]] + data.residual.data[i]) : value,
  );
  return { output: outputs.output as Float32Array, wanted };
}

/** The gradient with respect to the input of a convolution whose output is `convolution`'s input. */
async function backward(gpu: Gpu, { shape, weight, padding }: Padded): Promise<{ output: Float32Array; wanted: Float64Array }> {
  const [top, bottom, left, right] = padding.map((side) => 2 - side) as [number, number, number, number];
  const forwards: Padded = {
    shape: conv2dShape({ shape, weight, padding }),
    weight: [3, 3, weight[3], weight[2]],
    padding: [top, bottom, left, right],
  };
  const gradient = randomArray(shape, 1);
  const taps = randomArray(forwards.weight, 2);
  const { outputs } = await runOp(
    gpu,
    { input: { shape, data: gradient }, weight: { shape: forwards.weight, data: taps } },
    (tape, { input, weight }) => {
      const output = tape.tensor('output', forwards.shape);
      const tensors = { input, weight, bias: undefined, residual: undefined, output };
      launchWinograd(tape, geometryOf({ shape, weight: [3, 3, shape[3], forwards.shape[3]], padding }), tensors, { flipped: true });
      return output;
    },
  );
  const input = new Float32Array(outputs.output.length);
  return { output: outputs.output as Float32Array, wanted: conv2dGradients(input, taps, gradient, forwards).input };
}

async function weightGradient(gpu: Gpu, convolution: Padded, chunkBytes?: number): Promise<{ output: Float32Array; wanted: Float64Array }> {
  const { shape, weight } = convolution;
  const input = { shape, data: randomArray(shape, 1) };
  const outputGradient = { shape: conv2dShape(convolution), data: randomArray(conv2dShape(convolution), 2) };
  const { outputs } = await runOp(gpu, { input, outputGradient }, (tape, t) => {
    const output = tape.tensor('weight_gradient', weight);
    const tensors = { input: t.input, outputGradient: t.outputGradient, weightGradient: output };
    launchWinogradWeightGradient(tape, geometryOf(convolution), tensors, chunkBytes ? { chunkBytes } : {});
    return output;
  });
  const taps = new Float32Array(outputs.output.length);
  const wanted = conv2dGradients(input.data, taps, outputGradient.data, convolution).weight;
  return { output: outputs.output as Float32Array, wanted };
}

gpuSuite('winograd', (test) => {
  for (const convolution of CONVOLUTIONS) {
    test(`[${convolution.shape}] * [${convolution.weight}] padding ${convolution.padding}`, async (gpu) => {
      for (const fused of [false, true]) {
        const { output, wanted } = await forward(gpu, convolution, fused);
        assertClose(output, wanted, closeFor(convolution), 'output');
      }
      const { output, wanted } = await backward(gpu, convolution);
      assertClose(output, wanted, closeFor(convolution), 'gradient of input');
      const gradient = await weightGradient(gpu, convolution);
      assertClose(gradient.output, gradient.wanted, WEIGHT_CLOSE, 'gradient of weight');
    });
  }

  test('other kernels for the products, and loops left as loops, agree', async (gpu) => {
    for (const other of [withoutSubgroups(gpu), withPlainLoops(gpu)]) {
      const { output, wanted } = await forward(other, BROKEN, true);
      assertClose(output, wanted, closeFor(BROKEN), 'output');
      const gradient = await backward(other, BROKEN);
      assertClose(gradient.output, gradient.wanted, closeFor(BROKEN), 'gradient of input');
      const { output: taps, wanted: wantedTaps } = await weightGradient(other, BROKEN);
      assertClose(taps, wantedTaps, WEIGHT_CLOSE, 'gradient of weight');
    }
  });

  test('a batch in chunks gives the same', async (gpu) => {
    const whole = await forward(gpu, BROKEN, true);
    for (const chunkBytes of [1, 100_000]) assert.equal(await forward(gpu, BROKEN, true, chunkBytes), whole);
    for (const chunkBytes of [1, 100_000]) {
      const { output, wanted } = await weightGradient(gpu, BROKEN, chunkBytes);
      assertClose(output, wanted, WEIGHT_CLOSE, 'gradient of weight');
    }
  });

  test('two runs are equal bit by bit, also over two dimensions of dispatch', async (gpu) => {
    for (const convolution of [WHOLE, BROKEN]) {
      const first = await forward(gpu, convolution, true);
      assert.equal(await forward(gpu, convolution, true), first);
      assert.equal(await forward(disguise(gpu, { groups: 3 }), convolution, true), first);
      const gradient = await weightGradient(gpu, convolution);
      assert.equal(await weightGradient(gpu, convolution), gradient);
      assert.equal(await weightGradient(disguise(gpu, { groups: 3 }), convolution), gradient);
    }
  });

  test('a NaN stays among the tiles that read it', async (gpu) => {
    const shape = [1, 12, 12, 4] as [number, number, number, number];
    const input = new Float32Array(12 * 12 * 4);
    input[0] = Number.NaN;
    const weight: [number, number, number, number] = [3, 3, 4, 4];
    const { outputs } = await runOp(
      gpu,
      { input: { shape, data: input }, weight: { shape: weight, data: randomArray(weight, 1) } },
      (tape, t) => {
        const output = tape.tensor('output', shape);
        const tensors = { input: t.input, weight: t.weight, bias: undefined, residual: undefined, output };
        launchWinograd(tape, geometryOf({ shape, weight, padding: [1, 1, 1, 1] }), tensors, { relu: true });
        return output;
      },
    );
    outputs.output.forEach((value, i) => {
      const [y, x] = [Math.floor(i / 48), Math.floor(i / 4) % 12];
      if (y < 2 && x < 2) assert.ok(Number.isNaN(value), `[${y}, ${x}] is ${value}`);
      if (y >= 4 || x >= 4) assert.is(value, 0);
    });
  });

  test('conv2d takes the detour where it pays, with the same gradients', async (own) => {
    const gpu = disguise(own, { isFallback: true });
    const { shape, weight, padding } = WORTHWHILE;
    assert.is(prefersWinograd(gpu, geometryOf(WORTHWHILE)), Boolean(gpu.adapter.hasSubgroups));
    const tape = new Tape(gpu);
    const record = (tensors: { input: number[]; weight: number[] }) =>
      conv2d(tape, tape.input('input', tensors.input), tape.input('weight', tensors.weight), { padding: 1 });
    record({ input: [1, 5, 5, 4], weight: [3, 3, 4, 4] });
    assert.ok(tape.launches.every(({ shader }) => !shader.name.startsWith('winograd')));
    assert.not.ok(prefersWinograd(disguise(own, { isFallback: false }), geometryOf(WORTHWHILE)));
    // Half of what the taps meet at nine pixels is padding, which the direct way to the weight's gradient leaves out.
    const small = geometryOf({ shape: [64, 3, 3, 512], weight: [3, 3, 512, 512], padding: [1, 1, 1, 1] });
    assert.equal([prefersWinograd(gpu, small), prefersWinograd(gpu, small, { ofWeight: true })], [true, false]);
    const inputs = {
      input: { shape, data: randomArray(shape, 1), differentiable: true },
      weight: { shape: weight, data: randomArray(weight, 2), differentiable: true },
      bias: { shape: [weight[3]], data: randomArray([weight[3]], 3), differentiable: true },
    };
    await checkGradients(gpu, inputs, (t, { input, weight, bias }) => conv2d(t, input, weight, { padding, bias }));
  });

  test('memory that held NaN before', async (gpu) => {
    const { shape, weight, padding } = WORTHWHILE;
    const size = 36 * 36 * 68;
    const nan = { shape: [size], data: new Float32Array(size).fill(Number.NaN) };
    const data = {
      ...{ nan1: nan, nan2: nan, nan3: nan },
      input: { shape, data: randomArray(shape, 1), differentiable: true },
      weight: { shape: weight, data: randomArray(weight, 2), differentiable: true },
    };
    const outputGradient = randomArray(conv2dShape(WORTHWHILE), 3);
    const { outputs, gradients } = await runOp(
      disguise(gpu, { isFallback: true }),
      data,
      (tape, t) => {
        for (const name of ['nan1', 'nan2', 'nan3']) scale(tape, t[name], 1);
        return conv2d(tape, t.input, t.weight, { padding });
      },
      { outputGradient },
    );
    const wanted = conv2dGradients(data.input.data, data.weight.data, outputGradient, WORTHWHILE);
    assertClose(outputs.output, reference(data.input.data, data.weight.data, WORTHWHILE), closeFor(WORTHWHILE), 'output');
    assertClose(gradients.input, wanted.input, closeFor(WORTHWHILE), 'gradient of input');
    assertClose(gradients.weight, wanted.weight, WEIGHT_CLOSE, 'gradient of weight');
  });
});
