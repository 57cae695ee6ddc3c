import { conv2d } from '#src/tensor/ops/conv2d.js';
import { matmul } from '#src/tensor/ops/matmul.js';
import { type Definition, Tape } from '#src/tensor/tape.js';
import type { Tensor } from '#src/tensor/tensor.js';
import { sampleOf } from '#tools/oracle.js';
import { type Convolution, conv2dGradients, conv2dShape, conv2d as convolutionReference } from '../reference/conv2d.js';
import { matmulGradients, matmul as productReference } from '../reference/matmul.js';
import { assert, gpuSuite } from '../support/suite.js';
import { assertClose, randomArray } from '../support/tensors.js';

const EXACT = { relative: 1e-12, absolute: 1e-12 };

/** The definitions on a tape by their output, and the values of each tensor: its own for an input, else numbers of its label. */
function definitionsOf(tape: Tape): Definition[] {
  return tape.launches.flatMap(({ work }) => (work ? [work.definition] : []));
}

function assertSample(definition: Definition, valuesOf: (tensor: Tensor) => ArrayLike<number>, wanted: Float64Array, least: number): void {
  const sample = sampleOf(definition, valuesOf);
  const places = sample.map(({ at }) => at);
  assert.is(new Set(places).size, places.length);
  assert.ok(places.length >= least && places.includes(0) && places.includes(wanted.length - 1), `${places.length} places`);
  const values = Float64Array.from(sample, ({ value }) => value);
  assertClose(
    values,
    Float64Array.from(places, (at) => wanted[at]!),
    EXACT,
    definition.product,
  );
  for (const { value, size } of sample) assert.ok(Math.abs(value) <= size * (1 + 1e-12));
}

gpuSuite('the oracle of products', (test) => {
  for (const [transposeA, transposeB, shared] of [
    [false, false, true],
    [true, false, true],
    [false, true, false],
    [true, true, false],
  ] as const) {
    test(`products${transposeA ? ' Aᵀ' : ''}${transposeB ? ' Bᵀ' : ''}${shared ? ' shared' : ''} and their gradients`, async (gpu) => {
      const product = { batch: 3, rows: 17, depth: 10, columns: 13, transposeA, transposeB, shared };
      const tape = new Tape(gpu);
      const a = tape.input('a', [3, ...(transposeA ? [10, 17] : [17, 10])], 'f32', true);
      const b = tape.input('b', [...(shared ? [] : [3]), ...(transposeB ? [13, 10] : [10, 13])], 'f32', true);
      const bias = tape.input('bias', [13]);
      const output = matmul(tape, a, b, { transposeA, transposeB, bias });
      const gradient = tape.input('gradient', output.shape);
      tape.backward(output, gradient);
      const values = new Map([a, b, bias, gradient].map((tensor, i) => [tensor.label, randomArray([...tensor.shape], i)]));
      const of = ({ label }: Tensor) => values.get(label)!; // of views too
      const [forward, forA, forB] = definitionsOf(tape) as [Definition, Definition, Definition];
      const biased = productReference(of(a), of(b), product).map((value, i) => value + of(bias)[i % 13]!);
      assertSample(forward, of, biased, 250);
      const gradients = matmulGradients(of(a), of(b), of(gradient), product);
      assertSample(forA, of, gradients.a, 200);
      // Of a shared b the products by matrix are summed only afterwards.
      if (!(shared && transposeA)) assertSample(forB, of, gradients.b, 100);
    });
  }

  const convolutions: Convolution[] = [
    { shape: [2, 9, 7, 5], weight: [3, 3, 5, 6], padding: [1, 1, 1, 1] },
    { shape: [2, 9, 8, 6], weight: [3, 2, 3, 8], stride: [2, 3], padding: [1, 0, 2, 1], dilation: [2, 1], groups: 2 },
  ];
  for (const convolution of convolutions) {
    test(`convolution ${convolution.shape.join('×')} by ${convolution.weight.join('×')} and its gradients`, async (gpu) => {
      const tape = new Tape(gpu);
      const image = tape.input('image', convolution.shape, 'f32', true);
      const weight = tape.input('weight', convolution.weight, 'f32', true);
      const shape = conv2dShape(convolution);
      const bias = tape.input('bias', [shape[3]]);
      const residual = tape.input('residual', shape);
      const output = conv2d(tape, image, weight, convolution);
      conv2d(tape, image, weight, { ...convolution, bias, residual, activation: 'relu' });
      const gradient = tape.input('gradient', shape);
      tape.backward(output, gradient);
      const values = new Map(
        [image, weight, bias, residual, gradient].map((tensor, i) => [tensor.label, randomArray([...tensor.shape], i)]),
      );
      const of = ({ label }: Tensor) => values.get(label)!; // of views too
      const [plain, fused, forImage, forWeight] = definitionsOf(tape) as [Definition, Definition, Definition, Definition];
      const wanted = convolutionReference(of(image), of(weight), convolution);
      assertSample(plain, of, wanted, 100);
      const epilogue = wanted.map((value, i) => Math.max(0, value + of(bias)[i % shape[3]]! + of(residual)[i]!));
      assertSample(fused, of, epilogue, 100);
      const gradients = conv2dGradients(of(image), of(weight), of(gradient), convolution);
      assertSample(forImage, of, gradients.input, 200);
      assertSample(forWeight, of, gradients.weight, 80);
    });
  }

  test('rows beyond each tile and the rows filled up are told apart', async (gpu) => {
    const tape = new Tape(gpu);
    const [a, b, output] = [tape.input('a', [2, 130, 12]), tape.input('b', [2, 9, 33]), tape.tensor('output', [2, 130, 36])];
    const side = (tensor: Tensor) => ({ tensor, transposed: false, shared: false });
    const extent = { batch: 2, rows: 130, depth: 9, columns: 33 };
    const definition: Definition = {
      product: 'matmul',
      extent,
      a: { ...side(a), pitch: 12 },
      b: side(b),
      bias: undefined,
      outputPitch: 36,
    };
    const sample = sampleOf(definition, (tensor) => new Float32Array(tensor.size).fill(1));
    for (const border of [0, 23, 24, 31, 32, 119, 120, 127, 128, 129]) {
      assert.ok(
        sample.some(({ at }) => Math.floor(at / 36) % 130 === border),
        `row ${border}`,
      );
    }
    assert.ok(sample.every(({ at, value, size }) => at % 36 < 33 && at < output.size && value === 9 && size === 9));
    assert.ok(sample.some(({ at }) => at === 129 * 36 + 130 * 36 + 32));
  });
});
