import { type Evaluation, evaluateFaces } from '../evaluation/metrics.js';
import type { FaceSet } from '../faces/face-set.js';
import { NO_LABEL } from '../faces/face-set.js';
import { candidateSets } from '../labels/candidate-set.js';
import { ferPlusTargets, withoutOutliers } from '../labels/ferplus.js';
import { distributions, plurality } from '../labels/votes.js';

/**
 * Measures probabilities [count, classes] against the annotations of a split: accuracies and calibration on the faces that FER+'s majority
 * rule keeps, agreement with the annotators on every face with a vote for a class once single votes are struck out.
 */
export function judge(faces: FaceSet, probabilities: Float32Array): Evaluation {
  const columns = faces.voteNames.length;
  const classes = faces.classes.length;
  const { targets, kept } = ferPlusTargets(faces.votes, columns, classes, 'majority');
  const labels = new Uint8Array(faces.count).fill(NO_LABEL);
  for (const face of kept) labels[face] = plurality(targets.subarray(face * classes, (face + 1) * classes));
  return evaluateFaces({
    classes: faces.classes,
    probabilities,
    labels,
    candidates: candidateSets(faces.votes, columns, classes),
    distributions: distributions(withoutOutliers(faces.votes, columns), columns, classes),
    ...(faces.truth && { truth: faces.truth }),
  });
}
