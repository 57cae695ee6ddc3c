import { dense, inside } from '../nn/layers.js';
import { updateClassDistribution } from '../tensor/ops/class-distribution.js';
import { add, divide, matmul, max, multiply, reshape, scale, sigmoid, softmax, softmaxDivergence, subtract } from '../tensor/ops/index.js';
import { rankRegularisation } from '../tensor/ops/rank-regularisation.js';
import type { Tape } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { pluralityLesson } from './lessons.js';
import { paradigm } from './paradigm.js';
import type { Student } from './student.js';

interface Branch {
  /** α·fc(f), [N, classes] */
  logits: Tensor;
  /** α = σ(w·f + c), [N, 1] */
  attention: Tensor;
}

/** A last stage of its own on the common trunk; the target branch is the backbone's own. */
function branch(student: Student, trunk: Tensor, kind: 'auxiliary' | 'target'): Branch {
  const { tape } = student.scope;
  const scope = kind === 'target' ? student.scope : student.auxiliary('branch');
  const { pooled } = student.top(trunk, scope);
  const attention = sigmoid(tape, dense(kind === 'target' ? student.auxiliary('attention') : inside(scope, 'attention'), pooled, 1));
  return { logits: multiply(tape, student.classify(pooled, scope), attention), attention };
}

/** [N, 1] brought to least…1 by the extremes of the batch. */
function stretched(tape: Tape, values: Tensor, least: number): Tensor {
  const top = max(tape, values, { keepDims: true });
  const bottom = scale(tape, max(tape, scale(tape, values, -1), { keepDims: true }), -1);
  const span = subtract(tape, top, bottom);
  const floor = tape.constant('least', [1, 1], Float32Array.of(least));
  // The span of equal values is 0: a little is added.
  const tiny = tape.constant('tiny', [1, 1], Float32Array.of(1e-6));
  return add(tape, scale(tape, divide(tape, subtract(tape, values, bottom), add(tape, span, tiny)), 1 - least), floor);
}

/**
 * Adaptive distribution fusion (Liu et al., ICASSP 2023; constants of the authors' code for RAF-DB). For datasets with one label a face: an auxiliary branch
 * learns the label; its mean prediction for each class, mixed with its prediction for the face by the face's attention, is the target of the other branch,
 * which judges.
 */
export const adaDf = paradigm({
  summary: 'Ada-DF: targets from class distributions and an auxiliary branch, for data with one label a face (Liu et al. 2023)',
  constants: {
    threshold: { value: 0.7, min: 0, max: 1, about: 'least share of a class in its own distribution; the paper has 0.5 for AffectNet' },
    beta: { value: 3, min: 1, about: 'epochs until the target branch leads; the paper has 5 for AffectNet' },
    least: { value: 0.2, min: 0, max: 1, about: 'least weight of the class distribution' },
    share: { value: 0.7, min: 0.01, max: 0.99, about: 'share of a batch in the high group' },
    margin: { value: 0.07, min: 0, about: 'least distance of the mean attention of both groups' },
  },
  lesson: (faces, { seed }) => pluralityLesson(faces, seed),
  loss(step) {
    const { tape, student, constants, classes } = step;
    const targets = step.targets();
    const trunk = student.trunk(step.faces());
    const helper = branch(student, trunk, 'auxiliary');
    const judge = branch(student, trunk, 'target');
    const attention = scale(tape, add(tape, helper.attention, judge.attention), 0.5);

    const state = {
      sums: step.keep('class_sums', [classes, classes + 1], new Float32Array(classes * (classes + 1))),
      distribution: step.keep('class_distribution', [classes, classes], new Float32Array(classes * classes)),
      begins: step.schedule('epoch_begins', ({ epoch }) => (Number.isInteger(epoch) ? 1 : 0)),
    };
    updateClassDistribution(tape, state, { logits: helper.logits, targets }, constants.threshold);

    const weight = stretched(tape, attention, constants.least);
    const ofFace = softmax(tape, helper.logits);
    const ofClass = matmul(tape, targets, state.distribution);
    // (1 − w)·ofFace + w·ofClass
    const fused = add(tape, ofFace, multiply(tape, subtract(tape, ofClass, ofFace), weight));

    const { beta } = constants;
    const ofLabels = step.schedule('label_weight', ({ epoch }) => (epoch <= beta ? 1 : Math.exp(-((1 - beta / epoch) ** 2))));
    const ofTargets = step.schedule('target_weight', ({ epoch }) => (epoch <= beta ? Math.exp(-((1 - epoch / beta) ** 2)) : 1));
    const { loss: labelLoss } = softmaxDivergence(tape, helper.logits, targets, { kind: 'cross-entropy' });
    const { loss: targetLoss } = softmaxDivergence(tape, judge.logits, fused, { kind: 'kl' });
    const { loss: rankLoss } = rankRegularisation(tape, reshape(tape, attention, [step.batch]), constants);
    return add(tape, add(tape, multiply(tape, labelLoss, ofLabels), multiply(tape, targetLoss, ofTargets)), rankLoss);
  },
  logits: (student, faces) => branch(student, student.trunk(faces), 'target').logits,
});
