import { uniform } from '../random.js';
import { flippedCandidates } from './candidate-set.js';
import { withoutOutliers } from './ferplus.js';
import { drawnPluralities, plurality, rowCount } from './votes.js';

/** Random stream of wrong annotations. */
const STREAM = 0x6e6f6973;
/** Of a made-up candidate: no outlier, and as many as make a class a candidate by default. */
const VOTES_OF_CANDIDATE = 2;
/** Which of equals is the class that candidates are added to is drawn apart from which of the candidates is taken for the label. */
const TRUTH = 1;

/**
 * Votes [count, columns] of which a share of the rows is made wrong, as if all annotators of the face had mistaken one class for another: the votes of the
 * class with most of them and of another, drawn evenly, are exchanged. A pure function of its arguments, for experiments on wrong labels.
 * @returns the votes, and for each row the two classes that were exchanged
 */
export function withWrongLabels(
  votes: Float32Array,
  { columns, classes, share, seed }: { columns: number; classes: number; share: number; seed: number },
): { votes: Float32Array; exchanged: ([number, number] | undefined)[] } {
  const wrong = votes.slice();
  const exchanged = Array.from({ length: rowCount(votes, columns, classes) }, (_, face): [number, number] | undefined => {
    const start = face * columns;
    const right = plurality(votes.subarray(start, start + classes));
    if (right < 0 || uniform(seed, STREAM, face) >= share) return undefined;
    const other = (right + 1 + Math.floor(uniform(seed, STREAM, face, 1) * (classes - 1))) % classes;
    wrong[start + right] = votes[start + other];
    wrong[start + other] = votes[start + right];
    return [right, other];
  });
  return { votes: wrong, exchanged };
}

/**
 * Votes [count, columns] made into candidate sets: the class with most of them once single votes are struck out, one of several equals drawn, and every other class
 * with the probability `rate`. All candidates of a face have equally many votes, other columns none, so that nothing tells which of them the annotators
 * meant. A pure function of its arguments, for experiments on partial labels.
 * @returns the votes, and of each face one drawn candidate, −1 where there is none
 */
export function withCandidates(
  votes: Float32Array,
  { columns, classes, rate, seed }: { columns: number; classes: number; rate: number; seed: number },
): { votes: Float32Array; labels: Int32Array } {
  const truth = drawnPluralities(withoutOutliers(votes, columns), columns, classes, seed, TRUTH);
  const masks = flippedCandidates(truth, { classes, rate, seed });
  const hidden = new Float32Array(votes.length);
  masks.forEach((mask, i) => {
    hidden[Math.floor(i / classes) * columns + (i % classes)] = VOTES_OF_CANDIDATE * mask;
  });
  return { votes: hidden, labels: drawnPluralities(hidden, columns, classes, seed) };
}
