import { ShapeError } from '../errors.js';
import { uniform } from '../random.js';

/** Random stream of ties. */
const TIE_STREAM = 0x74696573;

/**
 * Votes of many faces are one table, row-major [count, columns]: the expressions come first (`classes` columns), then what is no
 * expression, such as 'unknown' and 'NF' (not a face). Votes are counts or shares; a row need not sum to anything in particular.
 */

/** The number of rows of a table; throws ShapeError when its length is no multiple of `columns` or `classes` is not within it. */
export function rowCount(votes: ArrayLike<number>, columns: number, classes: number): number {
  if (votes.length % columns !== 0 || classes > columns) {
    throw new ShapeError(
      `votes of length ${votes.length} are no table of ${columns} columns with ${classes} classes`,
      'Give the votes as [count, columns], the classes first.',
    );
  }
  return votes.length / columns;
}

/** `v / Σv` of one row; all zero where nobody voted. */
export function distribution(votes: ArrayLike<number>): Float64Array {
  const shares = Float64Array.from(votes);
  const total = shares.reduce((sum, vote) => sum + vote, 0);
  return total > 0 ? shares.map((vote) => vote / total) : shares;
}

/** `v / Σv` over the classes of every row: [count, classes]. Rows without a vote for any class stay zero and cannot be learned from. */
export function distributions(votes: Float32Array, columns: number, classes: number): Float32Array {
  const count = rowCount(votes, columns, classes);
  const shares = new Float32Array(count * classes); // [count, classes]
  for (let face = 0; face < count; face++) {
    let total = 0;
    for (let index = 0; index < classes; index++) total += votes[face * columns + index];
    if (total === 0) continue;
    for (let index = 0; index < classes; index++) shares[face * classes + index] = votes[face * columns + index] / total;
  }
  return shares;
}

/** Index of the largest entry, the first of several equals; −1 where nothing is above zero. */
export function plurality(votes: ArrayLike<number>): number {
  let best = -1;
  for (let index = 0; index < votes.length; index++) {
    if (votes[index] > (best < 0 ? 0 : votes[best])) best = index;
  }
  return best;
}

/**
 * The class with most votes of every row, −1 where there are none: [count]. Of several equals each is as likely as the others, drawn for each face: always the
 * first of them would teach that whatever is in doubt is the first class.
 * @param use tells one draw of a seed from another
 */
export function drawnPluralities(votes: Float32Array, columns: number, classes: number, seed: number, use = 0): Int32Array {
  return Int32Array.from({ length: rowCount(votes, columns, classes) }, (_, face) => {
    const row = votes.subarray(face * columns, face * columns + classes);
    const most = row[plurality(row)];
    const equals: number[] = [];
    for (let index = 0; index < classes; index++) if (row[index] === most) equals.push(index);
    if (equals.length < 2) return equals[0] ?? -1;
    return equals[Math.floor(uniform(seed, TIE_STREAM, face, use) * equals.length)];
  });
}

/** Shannon entropy `−Σ t log t` in nats, with `0 log 0 = 0`. Takes a distribution (Σt = 1). */
export function entropy(shares: ArrayLike<number>): number {
  let sum = 0;
  for (let index = 0; index < shares.length; index++) {
    const share = shares[index];
    if (share > 0) sum -= share * Math.log(share);
  }
  return sum;
}

/** How far annotators agree: `1 − H(t) / log C`, 1 when all chose one class and 0 when every class was chosen alike. */
export function agreement(shares: ArrayLike<number>): number {
  return 1 - entropy(shares) / Math.log(shares.length);
}

/** The class whose interval of the cumulated distribution holds `u` ∈ [0, 1): one draw by inversion. */
export function drawClass(shares: ArrayLike<number>, u: number): number {
  let last = 0;
  let cumulated = 0;
  for (let index = 0; index < shares.length; index++) {
    if (shares[index] <= 0) continue;
    cumulated += shares[index];
    last = index;
    if (u < cumulated) break;
  }
  return last; // rounding may leave the sum just below 1: then the last possible class
}
