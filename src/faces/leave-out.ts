import { UsageError } from '../errors.js';
import { plurality } from '../labels/votes.js';
import { expressionName } from './expressions.js';
import { type Dataset, type FaceSet, NO_LABEL, selectFaces, votesOf } from './face-set.js';
import { leftOutNotes } from './listed-faces.js';

/**
 * A dataset without some of its classes, as AffectNet-7 is AffectNet without contempt: faces that most annotators took for one of them are
 * left out, the votes of the others for it do not count.
 * @throws UsageError for a name that is no class, or where fewer than two classes stay
 */
export function withoutClasses(dataset: Dataset, names: readonly string[]): Dataset {
  const gone = names.map((name) => expressionName(name));
  const unknown = gone.find((name) => !dataset.classes.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`${dataset.name} has no class '${unknown}'`, `Its classes are ${dataset.classes.join(', ')}.`, {
      field: '--leave-out',
    });
  }
  if (dataset.classes.length - new Set(gone).size < 2) {
    throw new UsageError('fewer than two classes would stay', 'Leave out fewer.', { field: '--leave-out' });
  }
  const leftOut: Record<string, number> = Object.fromEntries(gone.map((name) => [name, 0]));
  const part = (faces: FaceSet) => withoutColumns(faces, gone, leftOut);
  const [train, validation, test] = [part(dataset.train), part(dataset.validation), part(dataset.test)];
  return {
    ...dataset,
    classes: train.classes,
    train,
    validation,
    test,
    notes: [...dataset.notes, ...leftOutNotes(leftOut)],
    leftOut: { ...dataset.leftOut, ...leftOut },
  };
}

function withoutColumns(faces: FaceSet, gone: readonly string[], leftOut: Record<string, number>): FaceSet {
  const kept: number[] = [];
  for (let face = 0; face < faces.count; face++) {
    const best = plurality(votesOf(faces, face).subarray(0, faces.classes.length));
    const name = faces.classes[best];
    if (best >= 0 && gone.includes(name)) leftOut[name]++;
    else kept.push(face);
  }
  const rest = selectFaces(faces, kept);
  const classes = faces.classes.filter((name) => !gone.includes(name));
  const voteNames = faces.voteNames.filter((name) => !gone.includes(name));
  return {
    ...rest,
    classes,
    voteNames,
    votes: columnsOf(rest.votes, faces.voteNames, voteNames),
    ...(rest.labels && {
      labels: rest.labels.map((label) => {
        const index = label === NO_LABEL ? -1 : classes.indexOf(faces.classes[label]);
        return index < 0 ? NO_LABEL : index;
      }),
    }),
    ...(rest.truth && { truth: normalised(columnsOf(rest.truth, faces.classes, classes), classes.length) }),
  };
}

/** Some columns of a table, by their names. */
function columnsOf(table: Float32Array, names: readonly string[], wanted: readonly string[]): Float32Array {
  const columns = wanted.map((name) => names.indexOf(name));
  const rows = table.length / names.length;
  return Float32Array.from({ length: rows * columns.length }, (_, i) => {
    const row = Math.floor(i / columns.length);
    return table[row * names.length + columns[i % columns.length]];
  });
}

/** Rows that sum to 1 again. */
function normalised(table: Float32Array, width: number): Float32Array {
  for (let start = 0; start < table.length; start += width) {
    const row = table.subarray(start, start + width);
    const sum = row.reduce((left, right) => left + right, 0);
    if (sum > 0) row.set(row.map((share) => share / sum));
  }
  return table;
}
