/** The votes as a distribution, and how far each face's votes are to be trusted. */
import { dense } from '../nn/layers.js';
import {
  add,
  exponential,
  logSoftmax,
  mean,
  multiply,
  permute,
  reshape,
  scale,
  slice,
  softmaxDivergence,
  subtract,
} from '../tensor/ops/index.js';
import { normalNoise } from '../tensor/ops/normal-noise.js';
import type { Tape } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { agreementLesson, voteLesson } from './lessons.js';
import { paradigm } from './paradigm.js';

export const distribution = paradigm({
  summary: 'the shares of the votes are the target: KL(votes‖prediction)',
  lesson: (faces) => voteLesson(faces),
  loss: (step) => softmaxDivergence(step.tape, step.student.logits(step.faces()), step.targets(), { kind: 'kl' }).loss,
});

export const agreementWeighted = paradigm({
  summary: 'distribution, each face weighted by how far its annotators agree, 1 − H(votes)/log C',
  constants: { floor: { value: 0.2, min: 0, max: 1, about: 'weight where they do not agree at all' } },
  lesson: (faces, { constants }) => agreementLesson(faces, constants.floor),
  loss(step) {
    const logits = step.student.logits(step.faces());
    return softmaxDivergence(step.tape, logits, step.targets(), { kind: 'kl', weight: step.table('weights') }).loss;
  },
});

/**
 * log of the mean over T draws of softmax(z + σ ε), up to a constant of each row: logits [N, C] of what is predicted when z is uncertain (Kendall & Gal 2017,
 * eq. 12).
 * @param logits z, [N, C]
 * @param deviation σ, [N, C]
 * @param noise ε, [N, T, C]
 */
export function meanOfDraws(tape: Tape, logits: Tensor, deviation: Tensor, noise: Tensor): Tensor {
  const [rows, , classes] = noise.shape;
  const everyDraw = (tensor: Tensor) => reshape(tape, tensor, [rows, 1, classes]);
  const drawn = add(tape, everyDraw(logits), multiply(tape, everyDraw(deviation), noise));
  const terms = permute(tape, logSoftmax(tape, drawn), [0, 2, 1]); // [N, C, T]
  // log Σ exp(x) is what log-softmax subtracts from x: seen at the first draw.
  const first = (tensor: Tensor) => reshape(tape, slice(tape, tensor, 2, 0, 1), [rows, classes]);
  return subtract(tape, first(terms), first(logSoftmax(tape, terms)));
}

/**
 * With a head for s = log σ². Without draws: L = exp(−s)·ℓ + s/2, whose gradient in s is ½ − exp(−s)·ℓ, so that faces that cannot be learned count less. With
 * draws, σ of each logit is that of Gaussian noise on it, and the loss that of the mean prediction; faces are judged without noise.
 */
export const aleatoric = paradigm({
  summary: 'distribution, each face weighted by a learned variance: exp(−s)·ℓ + s/2, or with Gaussian logits (Kendall & Gal 2017)',
  constants: {
    draws: { value: 0, min: 0, max: 1000, about: 'draws of Gaussian logits; 0: faces are weighted instead' },
  },
  lesson: (faces) => voteLesson(faces),
  loss(step) {
    const { tape, student, batch, classes } = step;
    const draws = Math.round(step.constants.draws);
    const { pooled } = student.features(step.faces());
    const logits = student.classify(pooled);
    const logVariance = dense(student.auxiliary('log_variance'), pooled, draws > 0 ? classes : 1);
    if (draws > 0) {
      const deviation = exponential(tape, scale(tape, logVariance, 0.5));
      const predicted = meanOfDraws(tape, logits, deviation, normalNoise(tape, [batch, draws, classes]));
      return softmaxDivergence(tape, predicted, step.targets(), { kind: 'cross-entropy' }).loss;
    }
    const weight = reshape(tape, exponential(tape, scale(tape, logVariance, -1)), [batch]);
    const { loss } = softmaxDivergence(tape, logits, step.targets(), { kind: 'cross-entropy', weight });
    return add(tape, loss, scale(tape, reshape(tape, mean(tape, logVariance), [1]), 0.5));
  },
});
