import { add, detach, gather, logSoftmax, multiply, scale, sigmoid, softmaxDivergence, subtract, sum } from '../tensor/ops/index.js';
import { writeRows } from '../tensor/ops/write-rows.js';
import type { Tape } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { pluralityLesson } from './lessons.js';
import { neighbourDistributions } from './neighbours.js';
import { paradigm } from './paradigm.js';

export interface MixedTargets {
  /** One-hot, [N, C] */
  labels: Tensor;
  /** What the model says of the neighbours, [N, C]; no gradient flows through it. */
  neighbours: Tensor;
  /** s of λ = σ(s), the trust in each label: [N, 1] */
  trust: Tensor;
}

/** λ·labels + (1 − λ)·neighbours, [N, C]. */
export function mixedTargets(tape: Tape, { labels, neighbours, trust }: MixedTargets): Tensor {
  return add(tape, neighbours, multiply(tape, subtract(tape, labels, neighbours), sigmoid(tape, trust)));
}

/**
 * The trust after one step down the gradient of the mean cross-entropy −Σ t log p to `mixedTargets`, [N, 1]: with L = Σ_n L_n / N,
 * ∂L/∂s_n = −λ (1 − λ) Σ_c (label_c − neighbours_c) log p_c / N.
 */
export function trustAfter(tape: Tape, logits: Tensor, { labels, neighbours, trust }: MixedTargets, rate: number): Tensor {
  const lambda = sigmoid(tape, trust);
  const slope = subtract(tape, lambda, multiply(tape, lambda, lambda));
  const difference = subtract(tape, labels, neighbours);
  const gain = sum(tape, multiply(tape, difference, logSoftmax(tape, detach(tape, logits))), { axes: [1], keepDims: true });
  return add(tape, trust, scale(tape, multiply(tape, slope, gain), rate / logits.shape[0]));
}

/**
 * Label distributions from neighbours, each mixed with the label by a trust of its own that is learned (Le et al., WACV 2023; constants of the authors' code
 * for RAF-DB). Neighbours are those of the batch by the cosine of their features, as in `neighbours`, where the authors take the nearest in valence and arousal,
 * which most datasets do not tell; their learned similarity and the loss that keeps classes apart are left out.
 */
export const ldlVa = paradigm({
  summary: 'LDL-VA: one label, mixed with what the model says of similar faces by a learned trust in each label (Le et al. 2023)',
  constants: {
    trust: { value: 0.5, about: 'first s of every face; its label has the share σ(s) of the target' },
    rate: { value: 10, min: 0, about: 'learning rate of s; 0: all labels keep their share' },
    temperature: { value: 0.1, min: 0.001, about: 'of the softmax over cosines that weighs the neighbours; of our choice' },
  },
  lesson(faces, { seed, constants }) {
    const lesson = pluralityLesson(faces, seed);
    return { ...lesson, tables: { trust: new Float32Array(lesson.faces.length).fill(constants.trust) } };
  },
  loss(step) {
    const { tape, student, constants } = step;
    const { pooled } = student.features(step.faces());
    const logits = student.classify(pooled);
    const table = step.keepTable('trust', step.lessonTable('trust'));
    const parts = {
      labels: step.targets(),
      neighbours: neighbourDistributions(step, pooled, logits, constants.temperature),
      trust: gather(tape, table, step.rows),
    };
    writeRows(tape, table, step.rows, trustAfter(tape, logits, parts, constants.rate));
    return softmaxDivergence(tape, logits, mixedTargets(tape, parts), { kind: 'cross-entropy' }).loss;
  },
});
