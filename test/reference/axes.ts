/** Slices, padding, concatenation and permutation of row-major arrays, element by element by multi-index. */
import { multiIndices } from './arithmetic.js';

interface Values {
  shape: readonly number[];
  data: ArrayLike<number>;
}

function at({ shape, data }: Values, index: readonly number[]): number {
  return data[shape.reduce((offset, extent, axis) => offset * extent + index[axis], 0)];
}

function moved(index: readonly number[], axis: number, by: number): number[] {
  return index.map((place, i) => (i === axis ? place + by : place));
}

/** Elements `start` to `end` of an axis; 0 where it has none, so that padding is a slice from below 0 to beyond the extent. */
export function band(input: Values, axis: number, start: number, end: number): Float64Array {
  const shape = input.shape.map((extent, i) => (i === axis ? end - start : extent));
  return Float64Array.from(multiIndices(shape), (index) => {
    const from = index[axis] + start;
    return from < 0 || from >= input.shape[axis] ? 0 : at(input, moved(index, axis, start));
  });
}

export function concat(inputs: readonly Values[], axis: number): Float64Array {
  const extent = inputs.reduce((sum, { shape }) => sum + shape[axis], 0);
  const shape = inputs[0].shape.map((own, i) => (i === axis ? extent : own));
  return Float64Array.from(multiIndices(shape), (index) => {
    let start = 0;
    for (const input of inputs) {
      if (index[axis] < start + input.shape[axis]) return at(input, moved(index, axis, -start));
      start += input.shape[axis];
    }
    throw new RangeError(`no input holds [${index}]`);
  });
}

export function permute(input: Values, order: readonly number[]): Float64Array {
  const indices = multiIndices(order.map((axis) => input.shape[axis]));
  return Float64Array.from(indices, (index) => {
    const source: number[] = [];
    for (const [i, axis] of order.entries()) source[axis] = index[i];
    return at(input, source);
  });
}
