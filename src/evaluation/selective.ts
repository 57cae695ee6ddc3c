/**
 * Selective prediction: a model that may decline to answer. Faces are answered in the order of confidence; the *coverage* is the share of faces
 * answered, the *risk* the share of errors among those.
 */

/** One point of a risk-coverage curve. */
export interface RiskAtCoverage {
  coverage: number;
  risk: number;
}

/**
 * Risk at every coverage k / N, k = 1 … N (Geifman & El-Yaniv 2017). Faces of equal confidence cannot be told apart: each counts as the mean of
 * their errors, so that the curve does not depend on the order of the faces.
 * @param confidences [N] any numbers, more is surer
 * @param correct [N] whether each face was told rightly
 * @returns [N] the risk of the k surest faces
 */
export function riskCoverage(confidences: ArrayLike<number>, correct: ArrayLike<boolean>): Float64Array {
  const order = Array.from(confidences, (_, face) => face).sort((a, b) => confidences[b] - confidences[a]);
  const risks = new Float64Array(order.length);
  let errors = 0;
  for (let start = 0, end = 0; start < order.length; start = end) {
    while (end < order.length && confidences[order[end]] === confidences[order[start]]) end++;
    const tied = order.slice(start, end);
    const share = tied.filter((face) => !correct[face]).length / tied.length;
    for (let k = start; k < end; k++) risks[k] = (errors + share * (k + 1 - start)) / (k + 1);
    errors += share * tied.length;
  }
  return risks;
}

/** Area under the risk-coverage curve, the mean risk over all coverages (Geifman, Uziel & El-Yaniv 2019). NaN without faces. */
export function areaUnderRiskCoverage(risks: ArrayLike<number>): number {
  let sum = 0;
  for (let k = 0; k < risks.length; k++) sum += risks[k];
  return sum / risks.length;
}

/**
 * E-AURC: that area less the area which the same errors would leave if they were all the least sure (Geifman, Uziel & El-Yaniv 2019, section 3).
 * 0 is a perfect order of the faces, whatever the accuracy.
 */
export function excessAreaUnderRiskCoverage(risks: ArrayLike<number>): number {
  const count = risks.length;
  const errors = Math.round(risks[count - 1] * count);
  let best = 0;
  for (let wrong = 1; wrong <= errors; wrong++) best += wrong / (count - errors + wrong);
  return areaUnderRiskCoverage(risks) - best / count;
}

/** The curve thinned to at most `points` coverages, evenly from the first share to 1, for a file or a chart. */
export function riskCoveragePoints(risks: ArrayLike<number>, points = 100): RiskAtCoverage[] {
  const count = risks.length;
  const shown = Math.min(points, count);
  return Array.from({ length: shown }, (_, i) => {
    const answered = Math.ceil(((i + 1) * count) / shown);
    return { coverage: answered / count, risk: risks[answered - 1] };
  });
}
