/** The update rules in float64, one parameter at a time. */

/** Of each parameter a factor on the learning rate, and one on weight decay. */
export interface Groups {
  rates: readonly number[];
  decays: readonly number[];
}

export interface Sgd {
  momentum: number;
  nesterov: boolean;
  weightDecay: number;
}

/** torch.optim.SGD without dampening; changes `parameters` and `velocity`. */
export function sgd(
  parameters: Float64Array,
  velocity: Float64Array,
  gradients: ArrayLike<number>,
  { rates, decays }: Groups,
  learningRate: number,
  options: Sgd,
): void {
  for (let i = 0; i < parameters.length; i++) {
    const gradient = gradients[i] + options.weightDecay * decays[i] * parameters[i];
    velocity[i] = options.momentum * velocity[i] + gradient;
    const update = options.nesterov ? gradient + options.momentum * velocity[i] : velocity[i];
    parameters[i] = parameters[i] - learningRate * rates[i] * update;
  }
}

export interface Adamw {
  beta1: number;
  beta2: number;
  epsilon: number;
  weightDecay: number;
}

/** torch.optim.AdamW; `t` counts steps from 1. Changes `parameters`, `first` and `second`. */
export function adamw(
  parameters: Float64Array,
  first: Float64Array,
  second: Float64Array,
  gradients: ArrayLike<number>,
  { rates, decays }: Groups,
  learningRate: number,
  t: number,
  { beta1, beta2, epsilon, weightDecay }: Adamw,
): void {
  for (let i = 0; i < parameters.length; i++) {
    const gradient = gradients[i];
    const rate = learningRate * rates[i];
    parameters[i] = parameters[i] * (1 - rate * weightDecay * decays[i]);
    first[i] = beta1 * first[i] + (1 - beta1) * gradient;
    second[i] = beta2 * second[i] + (1 - beta2) * gradient * gradient;
    const corrected = first[i] / (1 - beta1 ** t);
    const denominator = Math.sqrt(second[i] / (1 - beta2 ** t)) + epsilon;
    parameters[i] = parameters[i] - (rate * corrected) / denominator;
  }
}

export function globalNorm(gradients: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < gradients.length; i++) sum += gradients[i] * gradients[i];
  return Math.sqrt(sum);
}

/** Gradients whose norm is above `limit`, scaled down to it. */
export function clip(gradients: Float32Array, limit: number): Float64Array {
  const norm = globalNorm(gradients);
  return Float64Array.from(gradients, (gradient) => (norm > limit ? (gradient * limit) / norm : gradient));
}

/** Changes `average`. */
export function movingAverage(average: Float64Array, parameters: ArrayLike<number>, decay: number): void {
  for (let i = 0; i < average.length; i++) average[i] = decay * average[i] + (1 - decay) * parameters[i];
}
