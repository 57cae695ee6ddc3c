/**
 * Temperature scaling (Guo et al. 2017, section 4.2): logits divided by one number T > 0. It changes how sure a model is, never what it
 * answers. Probabilities are enough, for softmax(z / T) = p^(1/T) / Σ p^(1/T).
 */

/** Log of a probability that a float32 softmax has rounded to 0: below the smallest that it can hold, exp(−103). */
const LOG_OF_ZERO = -104;

/** 1/T is looked for between the two ends; a fit at an end means that the model knows nothing, or everything. */
const LEAST_SHARPNESS = 0.01;
const MOST_SHARPNESS = 100;
/** Halvings of log(1/T): leaves less than 1e-14 of the range. */
const HALVINGS = 50;

/**
 * The temperature that minimises the mean cross-entropy −Σ t log softmax(z / T). It is convex in 1/T, so the root of its derivative
 * Σ (Σ_c p_c z_c − Σ_c t_c z_c) is found by bisection. Fit on validation faces, never on those to be reported.
 * @param probabilities [N, C]
 * @param distributions [N, C] what annotators said; rows of zeros do not count
 * @returns T, from 0.01 to 100
 */
export function fitTemperature(probabilities: ArrayLike<number>, distributions: ArrayLike<number>, classCount: number): number {
  const logits = Float64Array.from(probabilities, logOf);
  const slope = (sharpness: number) => {
    let sum = 0;
    for (let row = 0; row < logits.length; row += classCount) {
      let mass = 0;
      let target = 0;
      for (let c = row; c < row + classCount; c++) {
        mass += distributions[c];
        target += distributions[c] * logits[c];
      }
      if (mass > 0) sum += mass * meanLogit(logits, row, classCount, sharpness) - target;
    }
    return sum;
  };
  let [low, high] = [Math.log(LEAST_SHARPNESS), Math.log(MOST_SHARPNESS)];
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (low + high) / 2;
    if (slope(Math.exp(middle)) > 0) high = middle;
    else low = middle;
  }
  return Math.exp(-(low + high) / 2);
}

/** softmax(z / T) of every row of probabilities softmax(z), [N, C]. */
export function atTemperature(probabilities: ArrayLike<number>, classCount: number, temperature: number): Float64Array {
  const scaled = Float64Array.from(probabilities, (p) => logOf(p) / temperature);
  for (let row = 0; row < scaled.length; row += classCount) {
    const values = scaled.subarray(row, row + classCount);
    const top = values.reduce((left, right) => Math.max(left, right));
    const sum = values.reduce((total, value) => total + Math.exp(value - top), 0);
    values.forEach((value, c) => {
      values[c] = Math.exp(value - top) / sum;
    });
  }
  return scaled;
}

function logOf(probability: number): number {
  return probability > 0 ? Math.log(probability) : LOG_OF_ZERO;
}

/** Σ_c p_c z_c of one row, p = softmax(sharpness · z). */
function meanLogit(logits: Float64Array, row: number, classCount: number, sharpness: number): number {
  let top = -Infinity;
  for (let c = row; c < row + classCount; c++) top = Math.max(top, logits[c]);
  let [sum, weighted] = [0, 0];
  for (let c = row; c < row + classCount; c++) {
    const weight = Math.exp(sharpness * (logits[c] - top));
    sum += weight;
    weighted += weight * logits[c];
  }
  return weighted / sum;
}
