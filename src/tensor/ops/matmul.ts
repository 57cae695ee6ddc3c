import { ShapeError } from '../../errors.js';
import type { Tape, Work } from '../tape.js';
import { sizeOf, type Tensor } from '../tensor.js';
import { launchColumnSum, partialsOf } from './column-sum.js';
import { fitsTexture, type Kernel, kernelFor, productClass, splitsOf } from './families.js';
import { overImages, sumOverImages } from './parts.js';

export interface MatmulOptions {
  /** `a` is [..., K, M]. */
  transposeA?: boolean;
  /** `b` is [..., N, K]. */
  transposeB?: boolean;
  /** [N], added to every row. */
  bias?: Tensor;
}

/** A side of a product: matrices one after the other in memory, or a single one for the whole batch. */
export interface Side {
  tensor: Tensor;
  transposed: boolean;
  shared: boolean;
  /** Elements from one stored row to the next where rows are filled up, with zeros; only of a left side. */
  pitch?: number;
}

export interface Extent {
  batch: number;
  rows: number;
  depth: number;
  columns: number;
}

/** From which sizes a copy of the right side is worth while: each of its numbers is loaded once for every tile of rows. */
const TEXTURE = { rows: 64, depth: 64, multiplyAdds: 3 * 2 ** 20 };
/** Columns of a transposed side that are so many terms long, or a multiple, lie at the same places of a cache and evict one another. */
const CACHE_PERIOD = 1024;
/** Terms of a sum below which it is not worth dividing. */
const SHORTEST_SPLIT = 128;

/**
 * Matrix product [..., M, K] · [..., K, N] → [..., M, N]. The leading axes are equal, or `b` has none: then it is shared by the whole batch.
 * @throws ShapeError where K, the leading axes or the bias do not fit.
 */
export function matmul(tape: Tape, a: Tensor, b: Tensor, { transposeA = false, transposeB = false, bias }: MatmulOptions = {}): Tensor {
  const { leading, rows, depth, columns, shared } = shapeOf(a, b, transposeA, transposeB, bias);
  const batch = sizeOf(leading);
  // With one b for all and the rows of a one after the other, the batch is just more rows.
  const fold = shared && !transposeA;
  const extent = fold ? { batch: 1, rows: batch * rows, depth, columns } : { batch, rows, depth, columns };
  const sideA = { tensor: a, transposed: transposeA, shared: false };
  const sideB = { tensor: b, transposed: transposeB, shared };
  const output = tape.tensor('matmul', [...leading, rows, columns], a.dtype);
  launchProduct(tape, extent, sideA, sideB, output, { bias });

  return tape.record({
    name: 'matmul',
    inputs: bias ? [a, b, bias] : [a, b],
    output,
    gradient(outputGradient) {
      const dy = { tensor: outputGradient, transposed: false, shared: false };
      const gradients: (Tensor | undefined)[] = [undefined, undefined];
      if (a.differentiable) {
        // dA = dY·Bᵀ, and where a is stored transposed dAᵀ = B·dYᵀ.
        gradients[0] = tape.gradientTarget(a);
        const turned = { ...extent, depth: columns };
        if (!transposeA) launchProduct(tape, { ...turned, columns: depth }, dy, turn(sideB), gradients[0]);
        else launchProduct(tape, { ...turned, rows: depth, columns: extent.rows }, sideB, turn(dy), gradients[0]);
      }
      if (b.differentiable) {
        // dB = Aᵀ·dY, and where b is stored transposed dBᵀ = dYᵀ·A; a shared b gets the sum over the batch.
        gradients[1] = tape.gradientTarget(b);
        const summed = shared && extent.batch > 1;
        const perMatrix = summed ? tape.tensor('matmul.partials', [extent.batch, ...b.shape]) : gradients[1];
        const turned = { ...extent, depth: extent.rows };
        if (!transposeB) launchProduct(tape, { ...turned, rows: depth }, turn(sideA), dy, perMatrix);
        else launchProduct(tape, { ...turned, rows: columns, columns: depth }, turn(dy), sideA, perMatrix);
        if (summed) launchColumnSum(tape, perMatrix, b.size, gradients[1]);
      }
      if (bias?.differentiable) {
        gradients[2] = tape.gradientTarget(bias);
        launchColumnSum(tape, outputGradient, columns, gradients[2]);
      }
      return gradients;
    },
  });
}

function turn(side: Side): Side {
  return { ...side, transposed: !side.transposed };
}

function shapeOf(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean, bias: Tensor | undefined) {
  const fail = (what: string, remedy: string): never => {
    const of = (tensor: Tensor, transposed: boolean) => `[${tensor.shape}]${transposed ? 'ᵀ' : ''}`;
    throw new ShapeError(`matmul ${of(a, transposeA)} · ${of(b, transposeB)}: ${what}`, remedy);
  };
  if (a.shape.length < 2 || b.shape.length < 2) fail('both need two axes or more', 'Reshape a vector to a matrix of one row or column.');
  const leading = a.shape.slice(0, -2);
  const shared = b.shape.length === 2;
  if (!shared && leading.join() !== b.shape.slice(0, -2).join()) {
    fail('the leading axes differ', 'Give both the same leading axes, or the second none.');
  }
  const [rows, depth] = matrixOf(a, transposeA);
  const [depthB, columns] = matrixOf(b, transposeB);
  if (depth !== depthB) fail(`${depth} columns meet ${depthB} rows`, 'Swap or transpose an operand (transposeA, transposeB).');
  if (bias && bias.shape.join() !== String(columns)) fail(`the bias is [${bias.shape}]`, `It has one value per column: [${columns}].`);
  return { leading, rows, depth, columns, shared };
}

function matrixOf({ shape }: Tensor, transposed: boolean): [number, number] {
  const [rows, columns] = shape.slice(-2) as [number, number];
  return transposed ? [columns, rows] : [rows, columns];
}

function suitsTexture(kernel: Kernel, { batch, rows, depth, columns }: Extent, { tensor, transposed }: Side): boolean {
  if (!fitsTexture(kernel, tensor) || (transposed && depth % CACHE_PERIOD === 0)) return false;
  return rows >= TEXTURE.rows && depth >= TEXTURE.depth && batch * rows * depth * columns >= TEXTURE.multiplyAdds;
}

interface ProductOptions {
  bias?: Tensor | undefined;
  /** Elements from one row of the output to the next; `columns` by default. */
  outputPitch?: number;
  /** Where the product stands for something that would take more of them. */
  flops?: number;
}

/**
 * Launches output = a · b + bias, in as many parts as bindings ask for: of the batch, of the rows of a single product, or of its terms where these are what
 * is stored row by row. Parts of the terms are added up.
 */
export function launchProduct(tape: Tape, extent: Extent, a: Side, b: Side, output: Tensor, options: ProductOptions = {}): void {
  const { batch, rows, depth } = extent;
  const by = (count: number, tensor: Tensor) => tape.view(tensor, [count, tensor.size / count]);
  const share = (part: number) => ({ ...options, ...(options.flops && { flops: part * options.flops }) });
  if (batch > 1) {
    const matrices = (tensor: Tensor) => tape.view(tensor, [batch, ...tensor.shape.slice(-2)]);
    const own = (side: Side, name: string) => (side.shared ? {} : { [name]: matrices(side.tensor) });
    const tensors: Record<string, Tensor> = { output: matrices(output), ...own(a, 'a'), ...own(b, 'b') };
    overImages(tape, tensors, (run, count) => {
      const side = (given: Side, tensor = given.tensor) => ({ ...given, tensor });
      launchPart(tape, { ...extent, batch: count }, side(a, run.a), side(b, run.b), run.output!, share(count / batch));
    });
  } else if (!a.transposed) {
    overImages(tape, { a: by(rows, a.tensor), output: by(rows, output) }, (run, count) =>
      launchPart(tape, { ...extent, rows: count }, { ...a, tensor: run.a }, b, run.output, share(count / rows)),
    );
  } else if (!b.transposed && !options.bias) {
    sumOverImages(tape, { a: by(depth, a.tensor), b: by(depth, b.tensor) }, output, (run, count, sum) =>
      launchPart(tape, { ...extent, depth: count }, { ...a, tensor: run.a }, { ...b, tensor: run.b }, sum, share(count / depth)),
    );
  } else launchPart(tape, extent, a, b, output, options);
}

/** By the fastest kernel that takes the sizes on this adapter. */
function launchPart(
  tape: Tape,
  extent: Extent,
  a: Side,
  b: Side,
  output: Tensor,
  { bias, outputPitch = extent.columns, flops = 2 * extent.batch * extent.rows * extent.columns * extent.depth }: ProductOptions,
): void {
  const { batch, rows, depth, columns } = extent;
  const { pitch: aPitch = a.transposed ? rows : depth } = a;
  // What vec4 loads ask of the axis along which each side is contiguous.
  const whole = aPitch % 4 === 0 && (b.transposed ? depth : columns) % 4 === 0;
  const size = { rows, columns, depth, count: batch * Math.max(1, Math.floor(depth / SHORTEST_SPLIT)) };
  const kernel = kernelFor(tape.gpu, 'matmul', size, whole ? ['outer-product', 'tiled', 'direct'] : ['direct']);
  // An outer product of few rows leaves out what would be empty of its tile.
  const tileRows =
    kernel.family === 'outer-product' ? Math.min(kernel.rows, Math.ceil(rows / kernel.threads) * kernel.threads) : kernel.rows;
  const tiles = Math.ceil(rows / tileRows) * Math.ceil(columns / kernel.columns) * batch;
  const groupsPerSplit = kernel.family === 'direct' ? tiles / kernel.threads : tiles;
  const depthPerSplit = Math.ceil(depth / splitsOf(tape.gpu, groupsPerSplit, kernel.threads, depth, SHORTEST_SPLIT) / 4) * 4;
  const splits = Math.ceil(depth / depthPerSplit);

  const target = partialsOf(tape, splits, output);
  const tensors = { a: a.tensor, b: b.tensor, bias: bias ?? b.tensor, output: target };
  const params = {
    rows,
    columns,
    depth,
    depth_per_split: depthPerSplit,
    batch,
    output_pitch: outputPitch,
    a_batch_stride: a.shared ? 0 : (a.transposed ? depth : rows) * aPitch,
    b_batch_stride: b.shared ? 0 : depth * columns,
    has_bias: bias ? 1 : 0,
  };
  const work: Work = {
    name: productClass('matmul', size),
    output,
    definition: { product: 'matmul', extent, a, b, bias, outputPitch },
    again: (other, standIn) => {
      const side = (given: Side) => ({ ...given, tensor: standIn(given.tensor) });
      launchPart(other, extent, side(a), side(b), standIn(output), { bias: bias && standIn(bias), outputPitch, flops });
    },
  };
  if (kernel.family === 'direct') {
    tape.launch('matmul_direct', {
      params: {
        ...params,
        tiles: tiles * splits,
        a_row_stride: a.transposed ? 1 : aPitch,
        a_depth_stride: a.transposed ? aPitch : 1,
        b_depth_stride: b.transposed ? 1 : columns,
        b_column_stride: b.transposed ? depth : 1,
      },
      tensors,
      groups: Math.ceil((tiles * splits) / kernel.threads),
      ...{ flops, work },
    });
  } else {
    const tiled = kernel.family === 'tiled';
    const sides: Record<string, boolean> = tiled
      ? { A_ALONG_K: !a.transposed, B_ALONG_K: b.transposed }
      : { TRANSPOSE_A: a.transposed, TRANSPOSE_B: b.transposed };
    tape.launch(tiled ? 'matmul_tiled' : 'matmul', {
      constants: { ...kernel.constants, ...sides, ...(!tiled && { ROWS: tileRows }) },
      params: { ...params, a_pitch: aPitch, groups: tiles * splits },
      tensors,
      textures: suitsTexture(kernel, extent, b) ? ['b'] : [],
      groups: tiles * splits,
      ...{ flops, work },
    });
  }
  if (splits > 1) launchColumnSum(tape, target, output.size, output);
}
