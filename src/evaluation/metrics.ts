import { InputError } from '../errors.js';
import { NO_LABEL } from '../faces/face-set.js';
import { entropy, plurality } from '../labels/votes.js';
import { accuracy, type ClassFigures, classFigures, confusionMatrix, macroF1, meanClassAccuracy } from './accuracy.js';
import { cosineSimilarity, jensenShannon, klDivergence, rankCorrelation } from './agreement.js';
import {
  brierScore,
  classwiseCalibrationError,
  expectedCalibrationError,
  negativeLogLikelihood,
  type ReliabilityBin,
  reliabilityBins,
  voteReliabilityBins,
} from './calibration.js';
import { approximatedAccuracy, coveringRate } from './partial-label.js';
import { areaUnderRiskCoverage, excessAreaUnderRiskCoverage, riskCoverage } from './selective.js';

/** What a model said of N faces, and what their annotators did. Distributions are rows of C values that sum to 1. */
export interface JudgedFaces {
  classes: readonly string[];
  /** [N, C] the model's probabilities. */
  probabilities: Float32Array | Float64Array;
  /** [N, C] the annotators' votes as shares of the classes; a row of zeros where no vote for a class is left. */
  distributions: Float32Array | Float64Array;
  /** [N] index of the class that counts as right, NO_LABEL (255) where none does. */
  labels: ArrayLike<number>;
  /** [N, C] masks of zeros and ones: the classes that may be right, judging by the votes. */
  candidates?: ArrayLike<number>;
  /** [N, C] the distribution that the votes were drawn from, where it is known (generated faces). */
  truth?: Float32Array | Float64Array;
}

/**
 * All figures of one split; plain JSON. Entropies and divergences are in nats. Three sets of faces are measured:
 * - *labelled* faces, whose label is not NO_LABEL: with FER+ labels the faces on which more than half of the votes agree.
 *   Accuracies, the confusion matrix and calibration cover these, `count` of them.
 * - *voted* faces, which have at least one vote for a class (FER+: once votes that stand alone are struck out as outliers).
 *   All agreement with the annotators covers these, `votedCount` of them.
 * - all faces, `faces` of them: `klToTruth` alone.
 */
export interface Evaluation {
  classes: string[];
  faces: number;

  count: number;
  accuracy: number;
  /** Mean accuracy of the classes that have labelled faces, each weighing the same. */
  meanClassAccuracy: number;
  macroF1: number;
  perClass: ({ name: string } & ClassFigures)[];
  /** [C, C] faces by label (row) and most probable class (column). */
  confusion: number[][];
  /** Expected calibration error over the bins of `reliability`, 15 of equal width. */
  ece: number;
  /** The same over the probabilities of all classes, mean of the classes. */
  classwiseEce: number;
  /** Mean −log p of the label. */
  nll: number;
  /** Mean Brier score, from 0 to 2. */
  brier: number;
  reliability: ReliabilityBin[];
  /** Area under the risk-coverage curve, the faces ordered by the largest probability; and what a perfect order of them would save of it. */
  aurc: number;
  excessAurc: number;

  votedCount: number;
  /** Share of the voted faces whose most probable class has most of the votes, whether or not it has more than half of them. */
  pluralityAccuracy: number;
  /** Expected calibration error against the share of the votes that the most probable class has (Baan et al. 2022), over 15 bins. */
  eceToVotes: number;
  /** Mean KL(votes‖prediction). */
  klToVotes: number;
  /** The same for a guesser who gives every face the mean distribution of these very votes: the best answer without looking. */
  klOfMeanVotes: number;
  /** Mean Jensen–Shannon divergence between votes and prediction. */
  jensenShannon: number;
  /** Mean cosine between votes and prediction. */
  cosine: number;
  /** Mean entropies, and their rank correlation: is the model unsure of the faces that people disagree on? */
  entropy: { predictions: number; votes: number; rankCorrelation: number | null };

  /** Share of the voted faces whose most probable class is a candidate, where candidates are given. */
  coveringRate?: number;
  /** Mean weight of that class among the candidates alone, 0 where it is none of them. */
  approximatedAccuracy?: number;

  /** Mean KL(truth‖prediction), where the true distributions are known. */
  klToTruth?: number;
}

/**
 * Measures predictions against labels and annotators.
 *
 * @throws InputError if rows are missing or are no distributions (NaN, negative, not summing to 1), a label names no class,
 *   or no face is labelled or voted on
 */
export function evaluateFaces({ classes, probabilities, distributions, labels, candidates, truth }: JudgedFaces): Evaluation {
  const predictions = rows('probabilities', probabilities, labels.length, classes.length);
  const votes = rows('distributions', distributions, labels.length, classes.length, { mayBeEmpty: true });
  const truths = truth && rows('truth', truth, labels.length, classes.length);

  const all = Array.from(labels, (_, face) => face);
  const labelled = all.filter((face) => labels[face] !== NO_LABEL);
  const voted = all.filter((face) => votes[face].some((share) => share > 0));
  const stray = labelled.find((face) => labels[face] >= classes.length);
  if (stray !== undefined) {
    const remedy = `Number the ${classes.length} classes from 0; ${NO_LABEL} means no label.`;
    throw new InputError(`face ${stray} has label ${labels[stray]}, which is no class`, remedy, { field: 'labels' });
  }
  if (labelled.length === 0 || voted.length === 0) {
    const lack = labelled.length === 0 ? 'a label that counts' : 'a vote for a class';
    throw new InputError(`none of the ${all.length} faces to evaluate has ${lack}`, 'Evaluate another split, or more faces.');
  }

  const confusion = confusionMatrix(predictions, labels, classes.length);
  const reliability = reliabilityBins(predictions, labels);
  const meanVotes = classes.map((_, c) => mean(voted, (face) => votes[face][c]));
  const predictionEntropies = voted.map((face) => entropy(predictions[face]));
  const voteEntropies = voted.map((face) => entropy(votes[face]));

  const masks = candidates && voted.map((face) => classes.map((_, c) => candidates[face * classes.length + c]));
  const votedPredictions = voted.map((face) => predictions[face]);
  const risks = riskOfLabelled(predictions, labels);

  return {
    classes: [...classes],
    faces: all.length,

    count: labelled.length,
    accuracy: accuracy(confusion),
    meanClassAccuracy: meanClassAccuracy(confusion),
    macroF1: macroF1(confusion),
    perClass: classFigures(confusion).map((figures, c) => ({ name: classes[c], ...figures })),
    confusion,
    ece: expectedCalibrationError(reliability),
    classwiseEce: classwiseCalibrationError(predictions, labels, classes.length),
    nll: mean(labelled, (face) => negativeLogLikelihood(predictions[face], labels[face])),
    brier: mean(labelled, (face) => brierScore(predictions[face], labels[face])),
    reliability,
    aurc: areaUnderRiskCoverage(risks),
    excessAurc: excessAreaUnderRiskCoverage(risks),

    votedCount: voted.length,
    pluralityAccuracy: mean(voted, (face) => (votes[face][plurality(predictions[face])] === Math.max(...votes[face]) ? 1 : 0)),
    eceToVotes: expectedCalibrationError(
      voteReliabilityBins(
        votedPredictions,
        voted.map((face) => votes[face]),
      ),
    ),
    klToVotes: mean(voted, (face) => klDivergence(votes[face], predictions[face])),
    klOfMeanVotes: mean(voted, (face) => klDivergence(votes[face], meanVotes)),
    jensenShannon: mean(voted, (face) => jensenShannon(votes[face], predictions[face])),
    cosine: mean(voted, (face) => cosineSimilarity(votes[face], predictions[face])),
    entropy: {
      predictions: mean(predictionEntropies, (nats) => nats),
      votes: mean(voteEntropies, (nats) => nats),
      rankCorrelation: rankCorrelation(predictionEntropies, voteEntropies),
    },

    ...(masks && {
      coveringRate: coveringRate(votedPredictions, masks),
      approximatedAccuracy: approximatedAccuracy(votedPredictions, masks),
    }),
    ...(truths && { klToTruth: mean(all, (face) => klDivergence(truths[face], predictions[face])) }),
  };
}

/** Risk at every coverage of the labelled faces, by the largest probability: [count]. */
export function riskOfLabelled(predictions: readonly ArrayLike<number>[], labels: ArrayLike<number>): Float64Array {
  const labelled = predictions.flatMap((row, face) => (labels[face] === NO_LABEL ? [] : [{ row, label: labels[face] }]));
  const answers = labelled.map(({ row }) => plurality(row));
  return riskCoverage(
    labelled.map(({ row }, i) => row[answers[i]]),
    labelled.map(({ label }, i) => label === answers[i]),
  );
}

function mean(values: readonly number[], of: (value: number) => number): number {
  return values.reduce((sum, value) => sum + of(value), 0) / values.length;
}

/** The rows of a matrix [count, width], each checked to be a distribution. */
function rows(field: string, matrix: Float32Array | Float64Array, count: number, width: number, { mayBeEmpty = false } = {}) {
  if (matrix.length !== count * width) {
    const remedy = 'Give one row for each label and one value for each class.';
    throw new InputError(`${matrix.length} values, but ${count} faces of ${width} classes`, remedy, { field });
  }
  return Array.from({ length: count }, (_, face) => {
    const row = matrix.subarray(face * width, (face + 1) * width);
    let sum = 0;
    for (const value of row) sum += value;
    const isDistribution = row.every((value) => value >= 0) && (Math.abs(sum - 1) < 1e-3 || (mayBeEmpty && sum === 0));
    if (!isDistribution) {
      const remedy = `Each row needs values of at least 0 that sum to 1${mayBeEmpty ? ', or only zeros' : ''}.`;
      throw new InputError(`row ${face} is no distribution: ${Array.from(row).join(' ')}`, remedy, { field });
    }
    return row;
  });
}
