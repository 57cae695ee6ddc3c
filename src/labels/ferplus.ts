import { plurality, rowCount } from './votes.js';

/** What the four FER+ modes make of the votes (Barsoum et al., ICMI 2016, §3; rules as in the authors' `ferplus.py`). */
export const FER_PLUS_MODES = ['majority', 'probability', 'crossentropy', 'multi_target'] as const;
export type FerPlusMode = (typeof FER_PLUS_MODES)[number];

/** A vote nobody shares is taken for an outlier, but only among several votes: a single label or a row of shares is left as it is. */
const FEWEST_VOTES_WITH_OUTLIERS = 5;

/**
 * The target distribution that a FER+ mode gives one face, or undefined where the mode drops the face.
 * `probability` and `crossentropy` share one distribution; the former draws a class from it at every visit.
 * @param votes one row, the `classes` expressions first, then what is no expression (unknown, NF)
 * @returns [classes], summing to 1
 */
export function ferPlusTarget(votes: ArrayLike<number>, classes: number, mode: FerPlusMode): Float64Array | undefined {
  const row = Float64Array.from(votes);
  dropSingleVotes(row);
  const kept = RULES[mode](row, classes, sum(row));
  if (kept === undefined || plurality(kept) >= classes) return undefined;
  const expressions = kept.subarray(0, classes);
  const mass = sum(expressions);
  return expressions.map((vote) => vote / mass);
}

/** The targets of a whole table and the faces that the mode keeps. */
export interface FerPlusTargets {
  /** [count, classes]; zero in the rows of dropped faces. */
  targets: Float32Array;
  /** Indices of the kept faces, ascending. */
  kept: Uint32Array;
}

/** `ferPlusTarget` of every row of votes [count, columns]. */
export function ferPlusTargets(votes: Float32Array, columns: number, classes: number, mode: FerPlusMode): FerPlusTargets {
  const count = rowCount(votes, columns, classes);
  const targets = new Float32Array(count * classes);
  const kept: number[] = [];
  for (let face = 0; face < count; face++) {
    const target = ferPlusTarget(votes.subarray(face * columns, (face + 1) * columns), classes, mode);
    if (target === undefined) continue;
    targets.set(target, face * classes);
    kept.push(face);
  }
  return { targets, kept: Uint32Array.from(kept) };
}

/** The weights `0.999·[t > 0] + 0.001` of the multi-target loss `−log max_k (t_k p_k)` (the authors' `train.py`). Any shape. */
export function multiTargetWeights(targets: ArrayLike<number>): Float32Array {
  return Float32Array.from(targets, (target) => (target > 0 ? 1 : 0.001));
}

/** One rule takes a row without single votes and its mass; it returns the votes that count (any columns), or undefined to drop the face. */
type Rule = (row: Float64Array, classes: number, mass: number) => Float64Array | undefined;

const RULES: Record<FerPlusMode, Rule> = {
  majority,
  probability: mostVotedClasses,
  crossentropy: mostVotedClasses,
  multi_target: frequentClasses,
};

/** The class with more than half of the votes. */
function majority(row: Float64Array, _classes: number, mass: number): Float64Array | undefined {
  const best = plurality(row);
  return best >= 0 && row[best] > 0.5 * mass ? row.map((vote, column) => (column === best ? vote : 0)) : undefined;
}

/**
 * Classes in descending order of votes, all of a tie together, until three quarters of the votes or three classes are taken. A tie with
 * unknown or NF ends it; that column counts only when it comes first. Ties may take more than three classes: such a face is dropped.
 */
function mostVotedClasses(row: Float64Array, classes: number, mass: number): Float64Array | undefined {
  const kept = new Float64Array(row.length);
  let seen = 0;
  let taken = 0;
  let ended = false;
  while (seen < 0.75 * mass && taken < 3 && !ended) {
    const most = row.reduce((left, right) => Math.max(left, right), 0);
    for (let column = 0; column < row.length && !ended; column++) {
      if (row[column] !== most) continue;
      ended = column >= classes;
      row[column] = 0;
      seen += most;
      if (ended && taken > 0) break;
      kept[column] = most;
      taken++;
    }
  }
  return sum(kept) > 0.5 * mass && taken <= 3 ? kept : undefined;
}

/** Classes with at least three tenths of the votes, together more than half of them. */
function frequentClasses(row: Float64Array, _classes: number, mass: number): Float64Array | undefined {
  const kept = row.map((vote) => (vote >= 0.3 * mass ? vote : 0));
  return sum(kept) > 0.5 * mass ? kept : undefined;
}

/** The table [count, columns] with the votes that stand alone set to zero (FER+ rule 1). */
export function withoutOutliers(votes: Float32Array, columns: number): Float32Array {
  const cleaned = votes.slice();
  for (let start = 0; start < votes.length; start += columns) dropSingleVotes(cleaned.subarray(start, start + columns));
  return cleaned;
}

function dropSingleVotes(row: Float64Array | Float32Array): void {
  if (sum(row) < FEWEST_VOTES_WITH_OUTLIERS) return;
  for (let column = 0; column < row.length; column++) if (row[column] <= 1) row[column] = 0;
}

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let index = 0; index < values.length; index++) total += values[index];
  return total;
}
