import { dense } from '../nn/layers.js';
import { add, divide, exponential, gather, mean, multiply, scale, softmaxDivergence, subtract } from '../tensor/ops/index.js';
import type { Tensor } from '../tensor/tensor.js';
import { pluralityLesson } from './lessons.js';
import { paradigm } from './paradigm.js';
import type { Student } from './student.js';

/** Width of the mean and of its uncertainty. */
const WIDTH = 64;

function meanOf(student: Student, pooled: Tensor): Tensor {
  return dense(student.auxiliary('mean'), pooled, WIDTH);
}

/**
 * Relative uncertainty learning (Zhang, Wang & Deng, NeurIPS 2021). Faces are mixed in pairs, each by its share of the pair's uncertainty, and the mixture
 * shall be told as both; who is harder to tell gets the larger share. The batch is in random order, so that the next face is a random partner.
 */
export const rul = paradigm({
  summary: 'RUL: pairs of faces mixed by their relative uncertainty must be told as both (Zhang et al. 2021)',
  lesson: (faces, { seed }) => pluralityLesson(faces, seed),
  loss(step) {
    const { tape, student, batch } = step;
    const { pooled } = student.features(step.faces());
    const feature = meanOf(student, pooled); // [N, 64]
    const logUncertainty = dense(student.auxiliary('log_uncertainty'), pooled, WIDTH);
    const uncertainty = mean(tape, exponential(tape, logUncertainty), { axes: [1], keepDims: true }); // [N, 1]
    const order = Uint32Array.from({ length: batch }, (_, i) => (i + 1) % batch);
    const next = tape.constant('partners', [batch], order);
    const partner = (tensor: Tensor) => gather(tape, tensor, next);

    const share = divide(tape, uncertainty, add(tape, uncertainty, partner(uncertainty)));
    // a·μ + (1 − a)·μ' as μ' + a·(μ − μ')
    const other = partner(feature);
    const mixed = add(tape, other, multiply(tape, subtract(tape, feature, other), share));
    const targets = step.targets();
    // Half the cross-entropy to either label is the cross-entropy to their mean.
    const both = scale(tape, add(tape, targets, partner(targets)), 0.5);
    return softmaxDivergence(tape, student.classify(mixed), both, { kind: 'cross-entropy' }).loss;
  },
  logits: (student, faces) => student.classify(meanOf(student, student.features(faces).pooled)),
});
