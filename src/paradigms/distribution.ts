/** The votes as a distribution, and how far each face's votes are to be trusted. */
import { dense } from '../nn/layers.js';
import { add, exponential, mean, reshape, scale, softmaxDivergence } from '../tensor/ops/index.js';
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

/** With a head for s = log σ²: L = exp(−s)·ℓ + s/2, whose gradient in s is ½ − exp(−s)·ℓ, so that faces that cannot be learned count less. */
export const aleatoric = paradigm({
  summary: 'distribution, each face weighted by a learned variance: exp(−s)·ℓ + s/2 (Kendall & Gal 2017)',
  lesson: (faces) => voteLesson(faces),
  loss(step) {
    const { tape, student } = step;
    const { pooled } = student.features(step.faces());
    const logVariance = reshape(tape, dense(student.auxiliary('log_variance'), pooled, 1), [step.batch]);
    const weight = exponential(tape, scale(tape, logVariance, -1));
    const { loss } = softmaxDivergence(tape, student.classify(pooled), step.targets(), { kind: 'cross-entropy', weight });
    return add(tape, loss, scale(tape, reshape(tape, mean(tape, logVariance), [1]), 0.5));
  },
});
