import { type Evaluation, evaluateFaces, type JudgedFaces, riskOfLabelled } from '../evaluation/metrics.js';
import { copiedFaces } from '../faces/duplicates.js';
import { type FaceSet, NO_LABEL, selectFaces } from '../faces/face-set.js';
import { candidateSets } from '../labels/candidate-set.js';
import { ferPlusTargets, withoutOutliers } from '../labels/ferplus.js';
import { distributions, plurality } from '../labels/votes.js';

type Probabilities = Float32Array | Float64Array;

/**
 * Measures probabilities [count, classes] against the annotations of a split: accuracies and calibration on the faces that FER+'s majority
 * rule keeps, agreement with the annotators on every face with a vote for a class once single votes are struck out.
 */
export function judge(faces: FaceSet, probabilities: Probabilities): Evaluation {
  return evaluateFaces(judgedFaces(faces, probabilities));
}

/** What the annotations of a split make of its faces. */
export function judgedFaces(faces: FaceSet, probabilities: Probabilities): JudgedFaces {
  const columns = faces.voteNames.length;
  const classes = faces.classes.length;
  const { targets, kept } = ferPlusTargets(faces.votes, columns, classes, 'majority');
  const labels = new Uint8Array(faces.count).fill(NO_LABEL);
  for (const face of kept) labels[face] = plurality(targets.subarray(face * classes, (face + 1) * classes));
  return {
    classes: faces.classes,
    probabilities,
    labels,
    distributions: distributions(withoutOutliers(faces.votes, columns), columns, classes),
    candidates: candidateSets(faces.votes, columns, classes),
    ...(faces.truth && { truth: faces.truth }),
  };
}

/** Risk at every coverage of the faces with a majority, by the model's confidence. */
export function riskOfFaces(faces: FaceSet, probabilities: Probabilities): Float64Array {
  const classes = faces.classes.length;
  const rows = Array.from({ length: faces.count }, (_, face) => probabilities.subarray(face * classes, (face + 1) * classes));
  return riskOfLabelled(rows, judgedFaces(faces, probabilities).labels);
}

/**
 * Faces of which training holds an exact copy (FER2013 has hundreds) make a test easier than it looks: how many there are, and the figures
 * without them, unless there are none or no others.
 */
export function judgeWithoutCopies(
  faces: FaceSet,
  probabilities: Probabilities,
  train: FaceSet,
): { copies: number; withoutCopies?: Evaluation } {
  const copies = new Set(copiedFaces(faces, train));
  const rest = Array.from({ length: faces.count }, (_, face) => face).filter((face) => !copies.has(face));
  if (copies.size === 0 || rest.length === 0) return { copies: copies.size };
  const classes = faces.classes.length;
  const rows = new Float64Array(rest.length * classes);
  rest.forEach((face, i) => {
    rows.set(probabilities.subarray(face * classes, (face + 1) * classes), i * classes);
  });
  return { copies: copies.size, withoutCopies: judge(selectFaces(faces, rest), rows) };
}
