import { multiIndices } from './arithmetic.js';

/** Reductions in float64: every output element gathers the list of its terms. */
export function reduce(
  input: ArrayLike<number>,
  shape: readonly number[],
  axes: readonly number[],
  combine: (terms: number[]) => number,
): Float64Array {
  return Float64Array.from(groups(shape, axes), (members) => combine(members.map((i) => input[i])));
}

/** `share(terms, term)` is the derivative of the result in one term. */
export function reduceGradient(
  input: ArrayLike<number>,
  shape: readonly number[],
  axes: readonly number[],
  share: (terms: number[], term: number) => number,
  outputGradient: ArrayLike<number>,
): Float64Array {
  const gradient = new Float64Array(input.length);
  groups(shape, axes).forEach((members, output) => {
    const terms = members.map((i) => input[i]);
    for (const i of members) gradient[i] = share(terms, input[i]) * outputGradient[output];
  });
  return gradient;
}

export const total = (terms: number[]) => terms.reduce((sum, term) => sum + term, 0);
export const average = (terms: number[]) => total(terms) / terms.length;
export const largest = (terms: number[]) => terms.reduce((a, b) => Math.max(a, b));

/** For each element of the output, in order, the flat places of its terms. */
function groups(shape: readonly number[], axes: readonly number[]): number[][] {
  const members = new Map<string, number[]>();
  multiIndices(shape).forEach((index, i) => {
    const key = index.filter((_, axis) => !axes.includes(axis)).join();
    members.set(key, [...(members.get(key) ?? []), i]);
  });
  return [...members.values()];
}
