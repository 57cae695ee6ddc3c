/**
 * Smallest probability that divergences and likelihoods reckon with. A softmax in float32 can underflow to 0, which
 * would make the mean over thousands of faces infinite; with this bound no single term exceeds −log(1e-7) = 16.1 nats.
 */
export const SMALLEST_PROBABILITY = 1e-7;

/** Kullback–Leibler divergence KL(t‖p) = Σ t (log t − log p) in nats, with 0 log 0 = 0 and p at least SMALLEST_PROBABILITY. */
export function klDivergence(target: ArrayLike<number>, probabilities: ArrayLike<number>): number {
  let divergence = 0;
  for (let c = 0; c < target.length; c++) {
    if (target[c] > 0) divergence += target[c] * Math.log(target[c] / Math.max(probabilities[c], SMALLEST_PROBABILITY));
  }
  return divergence;
}

/** Jensen–Shannon divergence ½ KL(t‖m) + ½ KL(p‖m), m = (t + p) / 2 (Lin 1991): symmetric, from 0 to log 2 nats. */
export function jensenShannon(target: ArrayLike<number>, probabilities: ArrayLike<number>): number {
  const middle = Array.from(target, (t, c) => (t + probabilities[c]) / 2);
  return (klDivergence(target, middle) + klDivergence(probabilities, middle)) / 2;
}

/** Cosine of the angle between two distributions, from 0 (no common class) to 1 (equal). */
export function cosineSimilarity(target: ArrayLike<number>, probabilities: ArrayLike<number>): number {
  let [product, targetSquare, square] = [0, 0, 0];
  for (let c = 0; c < target.length; c++) {
    product += target[c] * probabilities[c];
    targetSquare += target[c] ** 2;
    square += probabilities[c] ** 2;
  }
  return product / Math.sqrt(targetSquare * square);
}

/**
 * Spearman's rank correlation, from −1 to 1: Pearson's correlation of the ranks, equal values sharing their mean rank.
 * Null where one of the two does not vary, for then there is no order to compare.
 */
export function rankCorrelation(a: ArrayLike<number>, b: ArrayLike<number>): number | null {
  const [ranksA, ranksB] = [ranks(a), ranks(b)];
  const meanRank = (a.length + 1) / 2;
  let [product, squareA, squareB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    product += (ranksA[i] - meanRank) * (ranksB[i] - meanRank);
    squareA += (ranksA[i] - meanRank) ** 2;
    squareB += (ranksB[i] - meanRank) ** 2;
  }
  return squareA > 0 && squareB > 0 ? product / Math.sqrt(squareA * squareB) : null;
}

/** 1-based ranks; equal values share the mean of the ranks they take up. */
function ranks(values: ArrayLike<number>): Float64Array {
  const order = Array.from(values, (_, i) => i).sort((i, j) => values[i] - values[j]);
  const result = new Float64Array(values.length);
  for (let start = 0, end = 0; start < order.length; start = end) {
    while (end < order.length && values[order[end]] === values[order[start]]) end++;
    for (let k = start; k < end; k++) result[order[k]] = (start + 1 + end) / 2;
  }
  return result;
}
