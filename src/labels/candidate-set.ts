import { uniform } from '../random.js';
import { distribution, rowCount } from './votes.js';

/** Random stream of candidates that are made up. */
const FLIP_STREAM = 0x666c6970;

/** When a class is a candidate: at least so many `votes`, or at least this `share` of the face's votes for classes. */
export type CandidateThreshold = { votes: number } | { share: number };

/**
 * The candidate set `Y_c = [v_c ≥ τ]` of partial-label learning. For FER+ τ = 2 votes, single votes being outliers.
 * Where no class reaches τ the most voted classes are the candidates, so that only a face without any vote has none.
 * @param votes one row, classes only
 * @returns mask of zeros and ones, [classes]
 */
export function candidateSet(votes: ArrayLike<number>, threshold: CandidateThreshold = { votes: 2 }): Float32Array {
  const values = 'share' in threshold ? distribution(votes) : Float64Array.from(votes);
  const most = values.reduce((left, right) => Math.max(left, right), 0);
  const least = Math.min('share' in threshold ? threshold.share : threshold.votes, most);
  return Float32Array.from(values, (value) => (value > 0 && value >= least ? 1 : 0));
}

/** `candidateSet` of every row: [count, classes]. */
export function candidateSets(votes: Float32Array, columns: number, classes: number, threshold?: CandidateThreshold): Float32Array {
  const count = rowCount(votes, columns, classes);
  const masks = new Float32Array(count * classes);
  for (let face = 0; face < count; face++) {
    masks.set(candidateSet(votes.subarray(face * columns, face * columns + classes), threshold), face * classes);
  }
  return masks;
}

/**
 * Candidate sets that are made up: the label, and every other class with the probability `rate` (uniform flipping, Feng & An 2019, "Partial label learning with
 * self-guided retraining"). A label of −1 has none.
 * @returns masks of zeros and ones, [count, classes]
 */
export function flippedCandidates(
  labels: ArrayLike<number>,
  { classes, rate, seed }: { classes: number; rate: number; seed: number },
): Float32Array {
  const masks = new Float32Array(labels.length * classes);
  for (let face = 0; face < labels.length; face++) {
    if (labels[face] < 0) continue;
    for (let c = 0; c < classes; c++) {
      if (c === labels[face] || uniform(seed, FLIP_STREAM, face, c) < rate) masks[face * classes + c] = 1;
    }
  }
  return masks;
}
