/** Batch normalisation in float64 over rows of `channels` numbers; written for plainness. */
export interface BatchNormCase {
  input: ArrayLike<number>;
  scale: ArrayLike<number>;
  shift: ArrayLike<number>;
  residual?: ArrayLike<number>;
  relu?: boolean;
  epsilon?: number;
  /** Constant moments of an evaluation; without them those of the batch. */
  moments?: { mean: ArrayLike<number>; variance: ArrayLike<number> };
}

/** Mean and biased variance of each channel. */
export function batchMoments(input: ArrayLike<number>, channels: number): { mean: Float64Array; variance: Float64Array } {
  const rows = input.length / channels;
  const mean = new Float64Array(channels);
  const variance = new Float64Array(channels);
  for (let i = 0; i < input.length; i++) mean[i % channels] += input[i] / rows;
  for (let i = 0; i < input.length; i++) variance[i % channels] += (input[i] - mean[i % channels]) ** 2 / rows;
  return { mean, variance };
}

export function batchNorm({ input, scale, shift, residual, relu = false, epsilon = 1e-5, moments }: BatchNormCase): Float64Array {
  const channels = scale.length;
  const { mean, variance } = moments ?? batchMoments(input, channels);
  return Float64Array.from(input, (value, i) => {
    const c = i % channels;
    const sum = ((value - mean[c]) / Math.sqrt(variance[c] + epsilon)) * scale[c] + shift[c] + (residual?.[i] ?? 0);
    return relu && sum <= 0 ? 0 : sum;
  });
}

export function batchNormGradients(given: BatchNormCase, outputGradient: ArrayLike<number>) {
  const { input, scale, relu = false, epsilon = 1e-5, moments } = given;
  const channels = scale.length;
  const rows = input.length / channels;
  const { mean, variance } = moments ?? batchMoments(input, channels);
  const output = batchNorm(given);
  const deviation = Float64Array.from(variance, (value) => Math.sqrt(value + epsilon));
  const normal = Float64Array.from(input, (value, i) => (value - mean[i % channels]) / deviation[i % channels]);
  const masked = Float64Array.from(outputGradient, (value, i) => (relu && output[i] <= 0 ? 0 : value));
  const scaleGradient = new Float64Array(channels);
  const shiftGradient = new Float64Array(channels);
  for (let i = 0; i < input.length; i++) {
    scaleGradient[i % channels] += masked[i] * normal[i];
    shiftGradient[i % channels] += masked[i];
  }
  const inputGradient = masked.map((value, i) => {
    const c = i % channels;
    const throughMoments = moments ? 0 : (shiftGradient[c] + normal[i] * scaleGradient[c]) / rows;
    return (scale[c] / deviation[c]) * (value - throughMoments);
  });
  return { input: inputGradient, scale: scaleGradient, shift: shiftGradient, residual: masked };
}
