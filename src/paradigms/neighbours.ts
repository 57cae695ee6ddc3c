import { add, detach, matmul, multiply, scale, softmax, softmaxDivergence } from '../tensor/ops/index.js';
import { normaliseRows } from '../tensor/ops/normalise-rows.js';
import type { Tensor } from '../tensor/tensor.js';
import { voteLesson } from './lessons.js';
import { paradigm } from './paradigm.js';
import type { TrainingStep } from './training-step.js';

/**
 * What the model says of the faces of the batch that look alike, by the cosine of their features: mean of their distributions, weighted by a softmax over the
 * cosines, [N, classes]. Nothing flows back through it.
 */
export function neighbourDistributions({ tape, batch }: TrainingStep, pooled: Tensor, logits: Tensor, temperature: number): Tensor {
  const directions = normaliseRows(tape, detach(tape, pooled));
  const cosines = matmul(tape, directions, directions, { transposeB: true }); // [N, N]
  const itself = tape.constant(
    'itself',
    [batch, batch],
    Float32Array.from({ length: batch * batch }, (_, i) => (i % (batch + 1) === 0 ? -1e9 : 0)),
  );
  const near = softmax(tape, add(tape, scale(tape, cosines, 1 / temperature), itself));
  return matmul(tape, near, softmax(tape, detach(tape, logits)));
}

/**
 * Label distributions from neighbours, after LDL-ALSG (Chen et al., CVPR 2020): what the model says of the faces that look alike is part of the target, by a
 * share that is the same for all. `ldl-va` learns it.
 */
export const neighbours = paradigm({
  summary: 'the votes, mixed with what the model says of the faces of the batch that look most alike (Chen et al. 2020)',
  constants: {
    share: { value: 0.3, min: 0, max: 1, about: "share of the neighbours' distribution in the target" },
    temperature: { value: 0.1, min: 0.001, about: 'of the softmax over cosines that weighs the neighbours' },
    begin: { value: 2, min: 0, about: 'epochs before which neighbours are not asked' },
  },
  lesson: (faces) => voteLesson(faces),
  loss(step) {
    const { tape, student, constants } = step;
    const { pooled } = student.features(step.faces());
    const logits = student.classify(pooled);
    const theirs = neighbourDistributions(step, pooled, logits, constants.temperature);

    // (1 − λ)·votes + λ·theirs
    const votes = step.targets();
    const share = step.schedule('neighbour_share', ({ epoch }) => (epoch < constants.begin ? 0 : constants.share));
    const rest = step.schedule('vote_share', ({ epoch }) => (epoch < constants.begin ? 1 : 1 - constants.share));
    const target = add(tape, multiply(tape, votes, rest), multiply(tape, theirs, share));
    return softmaxDivergence(tape, logits, target, { kind: 'kl' }).loss;
  },
});
