import { NO_LABEL } from '../faces/face-set.js';
import { plurality } from '../labels/votes.js';

/**
 * Counts of faces [C, C] by label (row) and most probable class (column). Faces labelled NO_LABEL are left out.
 *
 * @param probabilities one row of C values per face
 * @param labels the class index of each face, or NO_LABEL
 */
export function confusionMatrix(probabilities: readonly ArrayLike<number>[], labels: ArrayLike<number>, classCount: number): number[][] {
  const confusion = Array.from({ length: classCount }, () => new Array<number>(classCount).fill(0));
  probabilities.forEach((row, face) => {
    if (labels[face] !== NO_LABEL) confusion[labels[face]][plurality(row)]++;
  });
  return confusion;
}

/** Share of labelled faces whose most probable class is their label; NaN without labelled faces. */
export function accuracy(confusion: readonly number[][]): number {
  return sum(confusion.map((row, label) => row[label])) / sum(confusion.flat());
}

/** How one class fares. `accuracy` (recall) is null for a class without faces, `precision` for one that is never predicted. */
export interface ClassFigures {
  /** Faces labelled with this class. */
  count: number;
  accuracy: number | null;
  precision: number | null;
  /** Harmonic mean of the two, 2·TP / (2·TP + FP + FN); null where the class neither occurs nor is predicted. */
  f1: number | null;
}

/** Figures of every class, in the order of the matrix. */
export function classFigures(confusion: readonly number[][]): ClassFigures[] {
  return confusion.map((row, label) => {
    const count = sum(row);
    const predicted = sum(confusion.map((other) => other[label]));
    const share = (total: number) => (total > 0 ? row[label] / total : null);
    return { count, accuracy: share(count), precision: share(predicted), f1: share((count + predicted) / 2) };
  });
}

/** Mean accuracy of the classes that have faces: every class weighs the same, however rare. NaN without labelled faces. */
export function meanClassAccuracy(confusion: readonly number[][]): number {
  return mean(classFigures(confusion).flatMap((figures) => figures.accuracy ?? []));
}

/** Mean F1 of the classes that occur among the labels or the predictions. NaN without labelled faces. */
export function macroF1(confusion: readonly number[][]): number {
  return mean(classFigures(confusion).flatMap((figures) => figures.f1 ?? []));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}
