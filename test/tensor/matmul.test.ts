import { ShapeError } from '#src/errors.js';
import type { Gpu } from '#src/gpu/gpu.js';
import { CANDIDATES, kernelFor } from '#src/tensor/ops/families.js';
import { matmul } from '#src/tensor/ops/matmul.js';
import { Tape } from '#src/tensor/tape.js';
import { columnSums, matmulGradients, type Product, matmul as reference } from '../reference/matmul.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, checkGradients, randomArray, runOp } from '../support/tensors.js';
import { disguise } from './disguise.js';
import { withKernel, withoutSubgroups, withPlainLoops, withTiles } from './kernel-family.js';

/** [batch, rows, depth, columns]: whole tiles of the fast kernel, just beyond them, sums long enough to be split, sizes that no vec4 divides,
 * sums of 7 terms, whose eighth would be taken from the next matrix, and rows and columns that no vec4 divides over sums that one does. */
const SIZES = [
  [1, 1, 1, 1],
  [1, 24, 4, 32],
  [1, 28, 36, 44],
  [3, 52, 12, 36],
  [2, 4, 600, 8],
  [1, 7, 5, 3],
  [3, 17, 19, 23],
  [1, 3, 1031, 5],
  [2, 8, 7, 12],
  [3, 29, 8, 33],
] as const;
const TRANSPOSES = [
  [false, false],
  [false, true],
  [true, false],
  [true, true],
] as const;

function shapesOf({ batch, rows, depth, columns, transposeA, transposeB, shared }: Product): {
  a: number[];
  b: number[];
  output: number[];
} {
  const leading = batch > 1 ? [batch] : [];
  return {
    a: [...leading, ...(transposeA ? [depth, rows] : [rows, depth])],
    b: [...(shared ? [] : leading), ...(transposeB ? [columns, depth] : [depth, columns])],
    output: [...leading, rows, columns],
  };
}

function operandsOf(product: Product) {
  const shapes = shapesOf(product);
  return { a: randomArray(shapes.a, 1), b: randomArray(shapes.b, 2), bias: randomArray([product.columns], 3) };
}

function run(gpu: Gpu, product: Product, { a, b, bias }: ReturnType<typeof operandsOf> = operandsOf(product)) {
  const shapes = shapesOf(product);
  const inputs = {
    a: { shape: shapes.a, data: a, differentiable: true },
    b: { shape: shapes.b, data: b, differentiable: true },
    bias: { shape: [product.columns], data: bias, differentiable: true },
  };
  return runOp(gpu, inputs, (tape, t) => matmul(tape, t.a, t.b, { ...product, bias: t.bias }), {
    outputGradient: randomArray(shapes.output, 4),
  });
}

async function compareWithReference(gpu: Gpu, product: Product, operands = operandsOf(product)) {
  const { outputs, gradients } = await run(gpu, product, operands);
  const outputGradient = randomArray(shapesOf(product).output, 4);
  const output = reference(operands.a, operands.b, product).map((value, i) => value + operands.bias[i % product.columns]);
  const wanted = matmulGradients(operands.a, operands.b, outputGradient, product);
  // Rounding grows with the number of terms, not with the result.
  const close = { relative: 1e-5, absolute: 1e-5 };
  assertClose(outputs.output, output, close, 'output');
  assertClose(gradients.a, wanted.a, close, 'gradient of a');
  assertClose(gradients.b, wanted.b, close, 'gradient of b');
  assertClose(gradients.bias, columnSums(outputGradient, product.columns), close, 'gradient of the bias');
}

const nameOf = ({ batch, rows, depth, columns, transposeA, transposeB, shared }: Product) =>
  `${batch} × ${rows}·${depth}·${columns}${transposeA ? ' Aᵀ' : ''}${transposeB ? ' Bᵀ' : ''}${shared ? ' shared' : ''}`;

const products: Product[] = SIZES.flatMap(([batch, rows, depth, columns]) =>
  TRANSPOSES.map(([transposeA, transposeB]) => ({ batch, rows, depth, columns, transposeA, transposeB })),
);
const sharing: Product[] = TRANSPOSES.flatMap(([transposeA, transposeB]) => [
  { batch: 3, rows: 28, depth: 8, columns: 36, transposeA, transposeB, shared: true },
  { batch: 70, rows: 3, depth: 5, columns: 2, transposeA, transposeB, shared: true },
]);

gpuSuite('matmul', (test) => {
  for (const product of [...products, ...sharing]) {
    test(nameOf(product), (gpu) => compareWithReference(gpu, product));
  }

  test('the kernel for any adapter agrees', async (gpu) => {
    for (const product of [...products.slice(4, 20), ...sharing]) await compareWithReference(withoutSubgroups(gpu), product);
  });

  test('the kernel with tiles in workgroup memory agrees', async (gpu) => {
    const tiled = withTiles(gpu);
    for (const product of [...products, ...sharing]) await compareWithReference(tiled, product);
  });

  // Right sides in a texture: the least product that has one, and others just beyond whole tiles and rows of 1024 texels.
  for (const [batch, rows, depth, columns] of [
    [1, 64, 256, 192],
    [3, 65, 132, 124],
    [2, 97, 292, 60],
  ] as const) {
    for (const [transposeA, transposeB] of TRANSPOSES) {
      const product = { batch, rows, depth, columns, transposeA, transposeB };
      test(`in a texture, ${nameOf(product)}`, async (gpu) => {
        const operands = operandsOf(product);
        await compareWithReference(gpu, product, operands);
        const [texture, buffer] = [true, false].map((texture) => withKernel(gpu, { family: 'outer-product', texture }));
        assert.equal(await run(texture!, product, operands), await run(buffer!, product, operands));
      });
    }
  }

  test('only products large enough take a texture, and none whose columns would evict one another', async (gpu) => {
    const textured = withKernel(gpu, { family: 'outer-product', texture: true });
    const textures = (rows: number, depth: number, columns: number, transposeB = false) => {
      const tape = new Tape(textured);
      const [a, b] = [tape.input('a', [rows, depth]), tape.input('b', transposeB ? [columns, depth] : [depth, columns])];
      matmul(tape, a, b, { transposeB });
      return tape.launches[0]!.shader.tensors.filter(({ isTexture }) => isTexture).map(({ name }) => name);
    };
    // Without outer products, for want of subgroups, there are none.
    const wanted = kernelFor(textured, 'matmul', { rows: 64, depth: 256, columns: 192, count: 1 }, ['outer-product']).texture ? ['b'] : [];
    assert.equal(textures(64, 256, 192), wanted);
    assert.equal(textures(64, 1024, 64), wanted);
    assert.equal(textures(64, 1020, 64, true), wanted);
    assert.equal(textures(64, 1024, 64, true), []);
    assert.equal(textures(60, 256, 1024), []);
    assert.equal(textures(1024, 60, 256), []);
    assert.equal(textures(64, 256, 188), []);
  });

  test('every family and tile agrees', async (gpu) => {
    for (const choice of CANDIDATES) {
      const product = { batch: 1, rows: 132, depth: 36, columns: 136 };
      await compareWithReference(withKernel(gpu, choice), product);
    }
  });

  test('loops left as loops agree', async (gpu) => {
    for (const product of products.slice(8, 12)) {
      await compareWithReference(withPlainLoops(gpu), product);
      await compareWithReference(withPlainLoops(withoutSubgroups(gpu)), product);
      await compareWithReference(withPlainLoops(withTiles(gpu)), product);
    }
  });

  test('the splits of a GPU agree', async (gpu) => {
    for (const product of [...products.slice(16, 20), ...products.slice(28, 32)]) {
      const other = disguise(gpu, { isFallback: !gpu.adapter.isFallback });
      for (const family of [other, withKernel(other, { family: 'outer-product' })]) await compareWithReference(family, product);
    }
  });

  test('leading axes of higher rank', async (gpu) => {
    const product = { batch: 6, rows: 8, depth: 4, columns: 12 };
    const { a, b } = operandsOf(product);
    const inputs = { a: { shape: [2, 3, 8, 4], data: a }, b: { shape: [2, 3, 4, 12], data: b } };
    const { outputs } = await runOp(gpu, inputs, (tape, t) => {
      const output = matmul(tape, t.a, t.b);
      assert.equal(output.shape, [2, 3, 8, 12]);
      return output;
    });
    assertClose(outputs.output, reference(a, b, product));
  });

  test('gradients agree with finite differences', async (gpu) => {
    for (const product of [products[9], products[22], sharing[0], sharing[5]]) {
      const shapes = shapesOf(product);
      const { a, b, bias } = operandsOf(product);
      const inputs = {
        a: { shape: shapes.a, data: a, differentiable: true },
        b: { shape: shapes.b, data: b, differentiable: true },
        bias: { shape: [product.columns], data: bias, differentiable: true },
      };
      await checkGradients(gpu, inputs, (tape, t) => matmul(tape, t.a, t.b, { ...product, bias: t.bias }));
    }
  });

  test('NaN and infinities reach those results that they belong to, and no others', async (gpu) => {
    for (const product of [...products.slice(8, 20), ...products.slice(24)]) {
      const operands = operandsOf(product);
      operands.a[operands.a.length - 1] = Number.NaN;
      operands.a[0] = Number.POSITIVE_INFINITY;
      operands.a[operands.a.length >> 1] = Number.NEGATIVE_INFINITY;
      operands.b[operands.b.length >> 1] = Number.NEGATIVE_INFINITY;
      operands.bias[1] = Number.NaN;
      await compareWithReference(gpu, product, operands);
      await compareWithReference(withoutSubgroups(gpu), product, operands);
      await compareWithReference(withTiles(gpu), product, operands);
    }
  });

  test('two runs are equal bit by bit, also over two dimensions of dispatch', async (gpu) => {
    for (const family of [gpu, withTiles(gpu)]) {
      for (const product of [products[14], products[16], products[31]]) {
        const first = await run(family, product);
        assert.equal(await run(family, product), first);
        assert.equal(await run(disguise(family, { groups: 3 }), product), first);
      }
    }
  });

  test('more than 65,535 workgroups', async (gpu) => {
    const product = { batch: 65_536 + 7, rows: 1, depth: 4, columns: 4 };
    const { a, b } = operandsOf(product);
    const shapes = shapesOf(product);
    const inputs = { a: { shape: shapes.a, data: a }, b: { shape: shapes.b, data: b } };
    const { outputs } = await runOp(gpu, inputs, (tape, t) => matmul(tape, t.a, t.b));
    assertClose(outputs.output, reference(a, b, product));
  });

  test('shapes that do not fit are refused', async (gpu) => {
    const tape = new Tape(gpu);
    const tensor = (...shape: number[]) => tape.tensor('t', shape);
    await rejects(() => matmul(tape, tensor(2, 3), tensor(2, 3)), ShapeError, 'matmul [2,3] · [2,3]', '3 columns meet 2 rows', 'transpose');
    await rejects(() => matmul(tape, tensor(2, 3), tensor(2, 3), { transposeA: true, transposeB: true }), ShapeError, '[2,3]ᵀ');
    await rejects(() => matmul(tape, tensor(3), tensor(3, 2)), ShapeError, 'two axes');
    await rejects(() => matmul(tape, tensor(4, 2, 3), tensor(5, 3, 2)), ShapeError, 'leading axes');
    await rejects(() => matmul(tape, tensor(2, 3), tensor(3, 2), { bias: tensor(3) }), ShapeError, 'bias is [3]', '[2]');
  });
});
