import { uniform } from '../random.js';
import { plurality, rowCount } from './votes.js';

/** Random stream of wrong annotations. */
const STREAM = 0x6e6f6973;

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
