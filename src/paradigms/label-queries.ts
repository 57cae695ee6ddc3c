import { labelQueries as decoder, type LabelAnswers, uniformity } from '../nn/label-queries.js';
import { add, cast, scale, softmaxDivergence } from '../tensor/ops/index.js';
import { updateConfidence } from '../tensor/ops/partial-label.js';
import type { Tensor } from '../tensor/tensor.js';
import { paradigm } from './paradigm.js';
import { CANDIDATES, candidatesOf, confidenceOf } from './partial-labels.js';
import type { Student } from './student.js';

function answersOf(student: Student, faces: Tensor): LabelAnswers {
  const map = cast(student.scope.tape, student.features(faces).map, 'f32');
  return decoder(student.auxiliary('label_queries'), map, { classes: student.options.classes, width: 64, heads: 4, layers: 2 });
}

/**
 * Of the paper's method (arXiv 2209.15402) what follows the pretraining: one query per class, their embeddings spread evenly so that rare classes are not crowded,
 * and targets that follow the answers as in PRODEN.
 */
export const labelQueries = paradigm({
  summary: 'a decoder that asks the feature map for each expression, its answers weighted among the candidates (arXiv 2209.15402)',
  constants: {
    ...CANDIDATES,
    uniformity: { value: 1, min: 0, about: 'weight of the evenness of the label embeddings; of our choice' },
  },
  lesson: (faces, context) => candidatesOf(faces, context),
  loss(step) {
    const { tape, student, constants } = step;
    const confidence = confidenceOf(step);
    const { logits, embeddings } = answersOf(student, step.faces());
    updateConfidence(tape, confidence.table, { scores: logits, candidates: step.targets(), rows: step.rows }, { kind: 'probability' });
    const { loss } = softmaxDivergence(tape, logits, confidence.batch, { kind: 'cross-entropy' });
    if (constants.uniformity === 0) return loss;
    return add(tape, loss, scale(tape, uniformity(tape, embeddings), constants.uniformity));
  },
  logits: (student, faces) => answersOf(student, faces).logits,
});
