import { NO_LABEL } from '../faces/face-set.js';
import { plurality } from '../labels/votes.js';
import { SMALLEST_PROBABILITY } from './agreement.js';

/** Labelled faces whose confidence, the largest of their probabilities, lies in (from, to]. The means are null in an empty bin. */
export interface ReliabilityBin {
  from: number;
  to: number;
  count: number;
  /** Mean confidence of the bin's faces. */
  confidence: number | null;
  /** Share of the bin's faces whose most probable class is their label. */
  accuracy: number | null;
}

/** Bins of equal width over the confidence of the labelled faces, after Guo et al. 2017, section 2. */
export function reliabilityBins(probabilities: readonly ArrayLike<number>[], labels: ArrayLike<number>, binCount = 15): ReliabilityBin[] {
  return binsOf(
    probabilities.filter((_, face) => labels[face] !== NO_LABEL),
    Array.from(labels).flatMap((label) => (label === NO_LABEL ? [] : [(predicted: number) => (predicted === label ? 1 : 0)])),
    binCount,
  );
}

/**
 * The same against annotators who may disagree: `accuracy` is the mean share of the votes that the most probable classes have. A model that says of each face what its
 * annotators said has no gap here, though it has one against majority labels (Baan et al. 2022).
 * @param votes distributions, a row for each of probabilities
 */
export function voteReliabilityBins(
  probabilities: readonly ArrayLike<number>[],
  votes: readonly ArrayLike<number>[],
  binCount = 15,
): ReliabilityBin[] {
  return binsOf(
    probabilities,
    votes.map((row) => (predicted: number) => row[predicted]),
    binCount,
  );
}

function binsOf(probabilities: readonly ArrayLike<number>[], correctness: readonly ((predicted: number) => number)[], binCount: number) {
  const bins = Array.from({ length: binCount }, () => ({ count: 0, confidence: 0, correct: 0 }));
  probabilities.forEach((row, face) => {
    const predicted = plurality(row);
    const bin = bins[binOf(row[predicted], binCount)];
    bin.count++;
    bin.confidence += Math.min(row[predicted], 1);
    bin.correct += correctness[face](predicted);
  });
  return bins.map(({ count, confidence, correct }, i) => ({
    from: i / binCount,
    to: (i + 1) / binCount,
    count,
    confidence: count ? confidence / count : null,
    accuracy: count ? correct / count : null,
  }));
}

/** Expected calibration error Σ_bins (n_bin / n) |accuracy − confidence| (Naeini et al. 2015; Guo et al. 2017, eq. 3). */
export function expectedCalibrationError(bins: readonly ReliabilityBin[]): number {
  const gap = (bin: ReliabilityBin) => bin.count * Math.abs((bin.accuracy ?? 0) - (bin.confidence ?? 0));
  return bins.reduce((sum, bin) => sum + gap(bin), 0) / bins.reduce((sum, bin) => sum + bin.count, 0);
}

/**
 * Classwise expected calibration error 1/C Σ_c Σ_bins (n_bin / n) |share of class c − mean p_c|, the bins of equal width over p_c (Kull et al.
 * 2019, section 2; the static calibration error of Nixon et al. 2019): every probability counts, not only the largest. NaN without labelled faces.
 */
export function classwiseCalibrationError(
  probabilities: readonly ArrayLike<number>[],
  labels: ArrayLike<number>,
  classCount: number,
  binCount = 15,
): number {
  const gaps = new Float64Array(classCount * binCount); // faces of the class less the sum of p_c
  let count = 0;
  probabilities.forEach((row, face) => {
    if (labels[face] === NO_LABEL) return;
    count++;
    for (let c = 0; c < classCount; c++) gaps[c * binCount + binOf(row[c], binCount)] += (labels[face] === c ? 1 : 0) - row[c];
  });
  return gaps.reduce((sum, gap) => sum + Math.abs(gap), 0) / count / classCount;
}

/** Index of the bin (from, to] that holds a probability, 0 being in the first; a float32 softmax may exceed 1 by a rounding. */
function binOf(probability: number, binCount: number): number {
  return Math.max(Math.ceil(Math.min(probability, 1) * binCount) - 1, 0);
}

/** Brier score of one face, Σ_c (p_c − [c = label])², from 0 to 2 (Brier 1950). */
export function brierScore(probabilities: ArrayLike<number>, label: number): number {
  let score = 0;
  for (let c = 0; c < probabilities.length; c++) score += (probabilities[c] - (c === label ? 1 : 0)) ** 2;
  return score;
}

/** −log p of the label in nats, p at least SMALLEST_PROBABILITY. */
export function negativeLogLikelihood(probabilities: ArrayLike<number>, label: number): number {
  return -Math.log(Math.max(probabilities[label], SMALLEST_PROBABILITY));
}
