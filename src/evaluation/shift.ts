import { UsageError } from '../errors.js';
import { expressionName } from '../faces/expressions.js';
import { type FaceSet, NO_LABEL } from '../faces/face-set.js';

/** The classes that a model and a dataset have in common, by whatever names, in the model's order. */
export interface SharedClasses {
  names: string[];
  /** Their indices among the classes of the model, and of the data. */
  inModel: number[];
  inData: number[];
  leftOut: { model: string[]; data: string[] };
}

/**
 * Finds the classes that a model and a dataset share. Names of one expression are taken for the same ('happy' is 'happiness').
 *
 * @throws UsageError where they share fewer than two classes
 */
export function sharedClasses(modelClasses: readonly string[], dataClasses: readonly string[]): SharedClasses {
  const dataNames = dataClasses.map(expressionName);
  const pairs = modelClasses
    .map((name, index) => ({ name, index, other: dataNames.indexOf(expressionName(name)) }))
    .filter(({ other }) => other >= 0);
  if (pairs.length < 2) {
    throw new UsageError(
      `the model tells ${modelClasses.join(', ')}; the data has ${dataClasses.join(', ')}`,
      'Evaluate on data that shares at least two classes with the run.',
      { field: '--data' },
    );
  }
  const inModel = pairs.map(({ index }) => index);
  const inData = pairs.map(({ other }) => other);
  return {
    names: pairs.map(({ name }) => name),
    inModel,
    inData,
    leftOut: {
      model: modelClasses.filter((_, index) => !inModel.includes(index)),
      data: dataClasses.filter((_, index) => !inData.includes(index)),
    },
  };
}

/**
 * The faces with the shared classes as their classes. Votes for the others stay, beside 'unknown' and the like: they count against a majority, and a face
 * on which they have it has no label.
 */
export function facesOfShared(faces: FaceSet, { names, inData, leftOut }: SharedClasses): FaceSet {
  const columns = faces.voteNames.map((_, column) => column);
  const order = [...inData, ...columns.filter((column) => !inData.includes(column))];
  const votes = new Float32Array(faces.votes.length);
  for (let start = 0; start < votes.length; start += columns.length) {
    order.forEach((column, place) => {
      votes[start + place] = faces.votes[start + column];
    });
  }
  const { labels, truth, ...rest } = faces;
  return {
    ...rest,
    classes: names,
    voteNames: order.map((column, place) => names[place] ?? faces.voteNames[column]),
    votes,
    ...(labels && { labels: labels.map((label) => (inData.includes(label) ? inData.indexOf(label) : NO_LABEL)) }),
    // What reliable annotators would say with fewer words to choose from is not known.
    ...(truth &&
      leftOut.data.length === 0 && {
        truth: truth.map((_, i) => truth[i - (i % names.length) + inData[i % names.length]]),
      }),
  };
}

/**
 * Probabilities [N, model's classes] given that the class is a shared one, p_c / Σ_shared p: [N, shared]. A row that leaves nothing for the shared classes
 * becomes uniform.
 */
export function probabilitiesOfShared(probabilities: ArrayLike<number>, classCount: number, { inModel }: SharedClasses): Float32Array {
  const shared = new Float32Array((probabilities.length / classCount) * inModel.length);
  for (let row = 0; row < shared.length / inModel.length; row++) {
    const kept = inModel.map((c) => probabilities[row * classCount + c]);
    const mass = kept.reduce((sum, p) => sum + p, 0);
    shared.set(
      kept.map((p) => (mass > 0 ? p / mass : 1 / kept.length)),
      row * inModel.length,
    );
  }
  return shared;
}
