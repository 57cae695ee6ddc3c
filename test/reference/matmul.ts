/** Matrix products in float64, one multiply-add after the other; written for plainness. */
export interface Product {
  batch: number;
  rows: number;
  depth: number;
  columns: number;
  transposeA?: boolean;
  transposeB?: boolean;
  /** One second matrix for the whole batch. */
  shared?: boolean;
}

/** Calls `visit` for each multiply-add with the indices of the output, first and second elements. */
function forEachTerm(product: Product, visit: (output: number, a: number, b: number) => void): void {
  const { batch, rows, depth, columns, transposeA = false, transposeB = false, shared = false } = product;
  for (let n = 0; n < batch; n++) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        for (let k = 0; k < depth; k++) {
          const a = transposeA ? k * rows + row : row * depth + k;
          const b = transposeB ? column * depth + k : k * columns + column;
          visit((n * rows + row) * columns + column, n * rows * depth + a, (shared ? 0 : n * depth * columns) + b);
        }
      }
    }
  }
}

export function matmul(a: ArrayLike<number>, b: ArrayLike<number>, product: Product): Float64Array {
  const output = new Float64Array(product.batch * product.rows * product.columns);
  forEachTerm(product, (o, i, j) => {
    output[o] += a[i] * b[j];
  });
  return output;
}

export function matmulGradients(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  outputGradient: ArrayLike<number>,
  product: Product,
): { a: Float64Array; b: Float64Array } {
  const aGradient = new Float64Array(a.length);
  const bGradient = new Float64Array(b.length);
  forEachTerm(product, (o, i, j) => {
    aGradient[i] += outputGradient[o] * b[j];
    bGradient[j] += outputGradient[o] * a[i];
  });
  return { a: aGradient, b: bGradient };
}

/** Column sums of [rows, columns]. */
export function columnSums(values: ArrayLike<number>, columns: number): Float64Array {
  const sums = new Float64Array(columns);
  for (let i = 0; i < values.length; i++) sums[i % columns] += values[i];
  return sums;
}
