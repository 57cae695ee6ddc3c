import { exponential, gelu, relu, sigmoid, silu } from '#src/tensor/ops/activation.js';
import { activations, derivatives } from '../reference/activation.js';
import { assert, gpuSuite } from '../support/suite.js';
import { assertClose, checkGradients, randomArray, runOp } from '../support/tensors.js';
import { disguise } from './disguise.js';

const operators = { relu, gelu, silu, sigmoid, exponential };
/** At 100, −100, 10⁴ and −10⁴: values and slopes. */
const FAR: Record<keyof typeof operators, [values: number[], slopes: number[]]> = {
  relu: [
    [100, 0, 1e4, 0],
    [1, 0, 1, 0],
  ],
  gelu: [
    [100, 0, 1e4, 0],
    [1, 0, 1, 0],
  ],
  silu: [
    [100, 0, 1e4, 0],
    [1, 0, 1, 0],
  ],
  sigmoid: [
    [1, 0, 1, 0],
    [0, 0, 0, 0],
  ],
  exponential: [
    [Number.POSITIVE_INFINITY, 0, Number.POSITIVE_INFINITY, 0],
    [Number.POSITIVE_INFINITY, 0, Number.POSITIVE_INFINITY, 0],
  ],
};

gpuSuite('activation', (test) => {
  for (const kind of Object.keys(operators) as (keyof typeof operators)[]) {
    const operator = operators[kind];
    const run = (gpu: Parameters<typeof runOp>[0], data: Float32Array, outputGradient: Float32Array) =>
      runOp(gpu, { x: { shape: [data.length], data, differentiable: true } }, (tape, { x }) => operator(tape, x), { outputGradient });

    for (const size of [1, 3, 4, 257, 2047, 2049, 10_007]) {
      test(`${kind} of ${size} elements`, async (gpu) => {
        const data = randomArray([size], 1, 6);
        const outputGradient = randomArray([size], 2);
        const { outputs, gradients } = await run(gpu, data, outputGradient);
        assertClose(outputs.output, Float64Array.from(data, activations[kind]), {}, 'output');
        const wanted = Float64Array.from(data, (x, i) => derivatives[kind](x) * outputGradient[i]);
        assertClose(gradients.x, wanted, { relative: 1e-5, absolute: 3e-6 }, 'gradient');
      });
    }

    test(`${kind} keeps its shape, its bits from run to run, and its values over two dimensions of dispatch`, async (gpu) => {
      const data = randomArray([20_000], 3, 4);
      const outputGradient = randomArray([20_000], 4);
      const first = await run(gpu, data, outputGradient);
      assert.equal(await run(gpu, data, outputGradient), first);
      assert.equal(await run(disguise(gpu, { groups: 3 }), data, outputGradient), first);
    });

    test(`gradient of ${kind} agrees with finite differences`, async (gpu) => {
      const data = randomArray([7, 5], 5, 3);
      await checkGradients(gpu, { x: { shape: [7, 5], data, differentiable: true } }, (tape, { x }) => operator(tape, x), {
        skip: (_, index) => kind === 'relu' && Math.abs(data[index]) < 0.02, // the kink
      });
    });

    test(`${kind} of large numbers saturates`, async (gpu) => {
      const data = Float32Array.of(100, -100, 1e4, -1e4);
      const { outputs, gradients } = await run(gpu, data, Float32Array.of(2, 2, 2, 2));
      const [values, slopes] = FAR[kind];
      assertClose(outputs.output, values);
      assertClose(
        gradients.x,
        slopes.map((slope) => 2 * slope),
      );
    });

    test(`${kind}: NaN stays NaN, in both directions`, async (gpu) => {
      const data = Float32Array.of(Number.NaN, 0, 1, -1, 2);
      new Uint32Array(data.buffer)[1] = 0xffc00000; // NaN with its sign bit set
      const { outputs, gradients } = await run(gpu, data, Float32Array.of(1, 1, Number.NaN, 1, 1));
      assert.equal([...outputs.output].map(Number.isNaN), [true, true, false, false, false]);
      // Where the input is NaN, ReLU passes the gradient on, as in PyTorch.
      if (kind === 'relu') assertClose(gradients.x, [1, 1, Number.NaN, 0, 1]);
      else assert.equal([...gradients.x].map(Number.isNaN), [true, true, true, false, false]);
    });
  }

  test('relu: infinities and zeros', async (gpu) => {
    const data = Float32Array.of(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0, 1e-45);
    const outputGradient = Float32Array.of(3, Number.POSITIVE_INFINITY, Number.NaN, 3, 3);
    const { outputs, gradients } = await runOp(gpu, { x: { shape: [5], data, differentiable: true } }, (tape, { x }) => relu(tape, x), {
      outputGradient,
    });
    assertClose(outputs.output, [Number.POSITIVE_INFINITY, 0, 0, 0, 0]);
    assertClose(gradients.x, [3, 0, 0, 0, 3]);
  });

  test('gelu and silu: the infinities of their formulas', async (gpu) => {
    for (const operator of [gelu, silu]) {
      const data = Float32Array.of(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);
      const { outputs } = await runOp(gpu, { x: { shape: [2], data } }, (tape, { x }) => operator(tape, x));
      assertClose(outputs.output, [Number.POSITIVE_INFINITY, Number.NaN]);
    }
  });
});
