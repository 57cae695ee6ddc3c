/** NumPy broadcasting in float64, element by element, by multi-index. */
export interface Operand {
  shape: readonly number[];
  data: ArrayLike<number>;
}

export function broadcast(left: readonly number[], right: readonly number[]): number[] {
  const rank = Math.max(left.length, right.length);
  return Array.from({ length: rank }, (_, axis) => Math.max(left.at(axis - rank) ?? 1, right.at(axis - rank) ?? 1));
}

export function operate(left: Operand, right: Operand, operation: (a: number, b: number) => number): Float64Array {
  const shape = broadcast(left.shape, right.shape);
  return Float64Array.from(multiIndices(shape), (index) => operation(at(left, index), at(right, index)));
}

/** The gradient of an operand: `derivative` times the output's gradient, collected over all elements that read the same one. */
export function operandGradient(
  left: Operand,
  right: Operand,
  wanted: 'left' | 'right',
  derivative: (a: number, b: number) => number,
  outputGradient: ArrayLike<number>,
): Float64Array {
  const operand = wanted === 'left' ? left : right;
  const gradient = new Float64Array(operand.data.length);
  multiIndices(broadcast(left.shape, right.shape)).forEach((index, i) => {
    gradient[place(operand.shape, index)] += derivative(at(left, index), at(right, index)) * outputGradient[i];
  });
  return gradient;
}

export function multiIndices(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>(
    (indices, extent) => indices.flatMap((index) => Array.from({ length: extent }, (_, i) => [...index, i])),
    [[]],
  );
}

function at(operand: Operand, index: number[]): number {
  return operand.data[place(operand.shape, index)];
}

/** Where an operand of `shape` keeps what the output has at `index`: axes align at the end, those of one element repeat. */
function place(shape: readonly number[], index: number[]): number {
  const own = index.slice(index.length - shape.length);
  return shape.reduce((offset, extent, axis) => offset * extent + (extent === 1 ? 0 : own[axis]), 0);
}
