import { dense } from '../nn/layers.js';
import type { Features } from '../nn/models.js';
import { add, gather, multiply, sigmoid, softmaxDivergence } from '../tensor/ops/index.js';
import { rankRegularisation } from '../tensor/ops/rank-regularisation.js';
import { relabel } from '../tensor/ops/relabel.js';
import type { Tensor } from '../tensor/tensor.js';
import { pluralityLesson } from './lessons.js';
import { paradigm } from './paradigm.js';
import type { Student } from './student.js';

/** z = α (W f + b), α = σ(w·f + c): importance weights on the logits. */
function weighted(student: Student, { pooled }: Features): { logits: Tensor; importance: Tensor } {
  const { tape } = student.scope;
  const importance = sigmoid(tape, dense(student.auxiliary('importance'), pooled, 1)); // [N, 1]
  return { logits: multiply(tape, student.classify(pooled), importance), importance };
}

/**
 * Self-cure network (Wang et al., CVPR 2020; constants of the authors' code at batch 64). New labels are judged in evaluation mode, where the authors take
 * those of training, and only for the low group, as the paper says.
 */
export const scn = paradigm({
  summary: 'SCN: importance weights on the logits, kept apart by rank regularisation; doubtful labels are replaced (Wang et al. 2020)',
  constants: {
    share: { value: 0.7, min: 0.01, max: 0.99, about: 'share of a batch in the high group' },
    margin: { value: 0.07, min: 0, about: 'least distance of the mean weights of both groups' },
    relabelMargin: { value: 0.2, min: 0, max: 1, about: 'a label gives way to a class more probable by over this' },
    relabelEpoch: { value: 10, min: 0, about: 'labels stay as they are before this epoch' },
  },
  lesson: (faces, { seed }) => pluralityLesson(faces, seed),
  loss(step) {
    const { tape, student, constants } = step;
    const labels = step.keepTable('labels');
    const targets = gather(tape, labels, step.rows);
    const { logits, importance } = weighted(student, student.features(step.faces()));
    const { loss } = softmaxDivergence(tape, logits, targets, { kind: 'cross-entropy' });
    const { loss: rankLoss, high } = rankRegularisation(tape, importance, constants);
    const relabelling = () => {
      const now = tape.evaluating(() => weighted(student, student.features(step.faces())).logits);
      relabel(tape, labels, { logits: now, targets, high, rows: step.rows }, constants.relabelMargin);
    };
    step.afterwards(relabelling, ({ epoch }) => epoch >= constants.relabelEpoch);
    return add(tape, loss, rankLoss);
  },
  logits: (student, faces) => weighted(student, student.features(faces)).logits,
});
