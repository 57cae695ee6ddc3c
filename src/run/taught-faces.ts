import { type FaceSet, NO_LABEL } from '../faces/face-set.js';
import { withCandidates, withWrongLabels } from '../labels/noise.js';
import type { TrainOptions } from './options.js';

/**
 * The training faces with the annotations that are learned from: those of the dataset, unless options for experiments change them. First a share of them is
 * made wrong, then all become candidate sets, so that those of a wrong label may lack the right one.
 */
export function taughtFaces(faces: FaceSet, options: Pick<TrainOptions, 'wrongLabels' | 'candidates' | 'seed'>): FaceSet {
  return hidden(mistaken(faces, options), options);
}

/** A share of the faces with two classes exchanged, in the votes and in the dataset's own label. */
function mistaken(faces: FaceSet, { wrongLabels: share, seed }: Pick<TrainOptions, 'wrongLabels' | 'seed'>): FaceSet {
  if (share === 0) return faces;
  const { votes, exchanged } = withWrongLabels(faces.votes, { ...tableOf(faces), share, seed });
  const labels = faces.labels?.map((label, face) => {
    const [right, other] = exchanged[face] ?? [label, label];
    return label === right ? other : label === other ? right : label;
  });
  return { ...faces, votes, ...(labels && { labels }) };
}

/** All faces with nothing but a set of candidates; the dataset's own label becomes one of them. */
function hidden(faces: FaceSet, { candidates: rate, seed }: Pick<TrainOptions, 'candidates' | 'seed'>): FaceSet {
  if (rate === 0) return faces;
  const { votes, labels: drawn } = withCandidates(faces.votes, { ...tableOf(faces), rate, seed });
  const labels = faces.labels?.map((label, face) => (label === NO_LABEL || drawn[face] < 0 ? NO_LABEL : drawn[face]));
  return { ...faces, votes, areCandidates: true, ...(labels && { labels }) };
}

function tableOf({ voteNames, classes }: FaceSet): { columns: number; classes: number } {
  return { columns: voteNames.length, classes: classes.length };
}
