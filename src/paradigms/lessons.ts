/** What annotations can be taken to mean; the targets that several paradigms share. */
import { InputError } from '../errors.js';
import { type FaceSet, NO_LABEL } from '../faces/face-set.js';
import { candidateSet } from '../labels/candidate-set.js';
import { withoutOutliers } from '../labels/ferplus.js';
import { oneHot } from '../labels/one-hot.js';
import { agreement, distributions, drawnPluralities, plurality } from '../labels/votes.js';
import type { Lesson } from './paradigm.js';

/** The votes as shares of the classes, [count, classes]: single votes are outliers (FER+ rule 1); zeros where no vote for a class is left. */
function voteShares(faces: FaceSet): Float32Array {
  const columns = faces.voteNames.length;
  return distributions(withoutOutliers(faces.votes, columns), columns, faces.classes.length);
}

/** The lesson of the faces for which `targetOf` has a target, [classes]. @throws InputError where it has none for any. */
export function lessonOf(faces: FaceSet, targetOf: (face: number) => ArrayLike<number> | undefined): Lesson {
  const classes = faces.classes.length;
  const kept: number[] = [];
  const rows = new Float32Array(faces.count * classes);
  for (let face = 0; face < faces.count; face++) {
    const target = targetOf(face);
    if (target) rows.set(target, classes * (kept.push(face) - 1));
  }
  if (kept.length === 0) {
    throw new InputError(
      `none of the ${faces.count} faces of ${faces.name} has annotations that this paradigm learns from`,
      'Choose another --paradigm, or data with votes for the classes.',
      { field: '--paradigm' },
    );
  }
  return { faces: Uint32Array.from(kept), targets: rows.slice(0, kept.length * classes) };
}

/** The shares of the votes, for every face with a vote for a class. */
export function voteLesson(faces: FaceSet): Lesson {
  const shares = voteShares(faces);
  return lessonOf(faces, (face) => {
    const row = rowOf(shares, face, faces.classes.length);
    return plurality(row) < 0 ? undefined : row;
  });
}

/**
 * The shares of the votes, with the weight of each face as the table `weights`, [rows]: by how far its annotators agree, from `floor` where they do not at all, and of
 * mean 1, so that the learning rate means what it does elsewhere.
 */
export function agreementLesson(faces: FaceSet, floor: number): Lesson {
  const lesson = voteLesson(faces);
  const classes = faces.classes.length;
  const weights = Float32Array.from(lesson.faces, (_, row) => floor + (1 - floor) * agreement(rowOf(lesson.targets, row, classes)));
  const mean = weights.reduce((sum, weight) => sum + weight, 0) / weights.length;
  return { ...lesson, tables: { weights: weights.map((weight) => weight / mean) } };
}

/** The class with most votes as the only truth, for every face with a vote for a class. The seed breaks ties, for each face anew. */
export function pluralityLesson(faces: FaceSet, seed: number, smoothing = 0): Lesson {
  const classes = faces.classes.length;
  const most = drawnPluralities(voteShares(faces), classes, classes, seed);
  return lessonOf(faces, (face) => (most[face] < 0 ? undefined : oneHot(most[face], classes, smoothing)));
}

/** The dataset's own single label. @throws InputError where it has none. */
export function singleLabelLesson(faces: FaceSet): Lesson {
  const { labels, classes } = faces;
  return lessonOf(faces, (face) => (labels && labels[face] !== NO_LABEL ? oneHot(labels[face], classes.length) : undefined));
}

/**
 * Candidate sets as masks of zeros and ones.
 * @param threshold the fewest votes that make a class a candidate; a row of shares counts as ten votes
 */
export function candidateLesson(faces: FaceSet, threshold: number): Lesson {
  const classes = faces.classes.length;
  const columns = faces.voteNames.length;
  const lesson = voteLesson(faces);
  const targets = new Float32Array(lesson.targets.length);
  lesson.faces.forEach((face, row) => {
    const votes = faces.votes.subarray(face * columns, face * columns + classes);
    const isShare = votes.reduce((sum, vote) => sum + vote, 0) < 1.5;
    targets.set(candidateSet(votes, isShare ? { share: threshold / 10 } : { votes: threshold }), row * classes);
  });
  return { ...lesson, targets };
}

/** Every row of a lesson's targets made into another. */
export function mapRows(
  { faces: { length }, targets }: Lesson,
  { classes }: FaceSet,
  map: (row: Float32Array) => ArrayLike<number>,
): Float32Array {
  const mapped = new Float32Array(targets.length);
  for (let row = 0; row < length; row++) mapped.set(map(rowOf(targets, row, classes.length)), row * classes.length);
  return mapped;
}

/** The rows of a table [faces, width] that a lesson learns from. */
export function rowsOfLesson({ faces }: Lesson, table: Float32Array, width: number): Float32Array {
  const rows = new Float32Array(faces.length * width);
  faces.forEach((face, row) => {
    rows.set(rowOf(table, face, width), row * width);
  });
  return rows;
}

function rowOf(table: Float32Array, row: number, width: number): Float32Array {
  return table.subarray(row * width, (row + 1) * width);
}
