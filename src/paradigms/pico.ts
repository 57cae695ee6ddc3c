import { dense, inside } from '../nn/layers.js';
import { normal } from '../random.js';
import { add, concat, detach, divide, matmul, multiply, relu, scale, softmaxDivergence, subtract, sum } from '../tensor/ops/index.js';
import { enqueue, updatePrototypes } from '../tensor/ops/memory-bank.js';
import { normaliseRows } from '../tensor/ops/normalise-rows.js';
import { updateConfidence } from '../tensor/ops/partial-label.js';
import type { Tensor } from '../tensor/tensor.js';
import { paradigm } from './paradigm.js';
import { CANDIDATES, candidatesOf, MOMENTUM, movedConfidence } from './partial-labels.js';
import type { Student } from './student.js';
import type { TrainingStep } from './training-step.js';

/** Width of an embedding. */
const WIDTH = 128;
/** Random stream of the first embeddings. */
const STREAM = 0x7069636f;

/** Two dense layers to a point on the sphere, [N, D] → [N, 128]. */
function embed(student: Student, pooled: Tensor): Tensor {
  const { tape } = student.scope;
  const scope = student.auxiliary('projection');
  const hidden = relu(tape, dense(inside(scope, 'hidden'), pooled, pooled.shape[1]));
  return normaliseRows(tape, dense(inside(scope, 'output'), hidden, WIDTH));
}

/** Points evenly spread on the sphere: [count, 128]. */
function randomPoints(count: number): Float32Array {
  const points = Float32Array.from({ length: count * WIDTH }, (_, i) => normal(0, STREAM, i));
  for (let start = 0; start < points.length; start += WIDTH) {
    const row = points.subarray(start, start + WIDTH);
    const length = Math.hypot(...row);
    row.forEach((value, d) => {
      row[d] = value / length;
    });
  }
  return points;
}

/** One-hot of the most probable candidate, [N, C]. */
function pseudoLabels(step: TrainingStep, scores: Tensor, candidates: Tensor): Tensor {
  const { tape, batch } = step;
  const labels = tape.tensor('pseudo_labels', candidates.shape);
  const rows = tape.constant(
    'batch_rows',
    [batch],
    Uint32Array.from({ length: batch }, (_, i) => i),
  );
  updateConfidence(tape, labels, { scores, candidates, rows }, { kind: 'largest' });
  return labels;
}

/**
 * PiCO (Wang et al., ICLR 2022; constants of the authors' code). Embeddings of faces with one pseudo-label attract each other, against a queue of the last
 * ones from the averaged weights; the nearest prototype among the candidates moves the confidences that the classifier learns from. Keys come from the
 * average in evaluation mode, and the queue is normalised row by row (the authors' code takes the wrong axis).
 */
export const pico = paradigm({
  summary: 'PiCO: contrastive embeddings and class prototypes tell which candidate is right (Wang et al. 2022)',
  constants: {
    ...CANDIDATES,
    contrast: { value: 0.5, min: 0, about: 'weight of the contrastive loss' },
    temperature: { value: 0.07, min: 0.001, about: 'of the contrastive loss' },
    queue: { value: 8192, min: 1, about: 'embeddings kept' },
    prototypes: { value: 0.99, min: 0, max: 1, about: 'momentum of the class prototypes' },
    ...MOMENTUM,
    warmup: {
      value: 1,
      min: 0,
      about: 'epochs in which only the two views of one face attract each other, and confidences stay as they are',
    },
  },
  lesson: (faces, context) => candidatesOf(faces, context),
  loss(step) {
    const { tape, student, constants, batch, classes } = step;
    const candidates = step.targets();
    const features = student.features(step.faces(0));
    const logits = student.classify(features.pooled);
    const queries = embed(student, features.pooled); // [N, 128]
    const keys = tape.evaluating(() => {
      const teacher = step.teacher();
      return detach(tape, embed(teacher, teacher.features(step.faces(1)).pooled));
    });
    const labels = pseudoLabels(step, logits, candidates);

    const length = Math.max(Math.round(constants.queue), batch);
    const queue = step.keep('queue', [length, WIDTH], randomPoints(length));
    const queueLabels = step.keep('queue_labels', [length, classes], new Float32Array(length * classes));
    const prototypes = step.keep('prototypes', [classes, WIDTH], randomPoints(classes));

    // The classifier learns from the confidences that the prototypes of the steps before have moved; in the warm-up these still lie anywhere.
    const nearest = matmul(tape, detach(tape, queries), prototypes, { transposeB: true });
    const targets = movedConfidence(step, nearest, candidates, 'largest', constants.warmup);
    const { loss } = softmaxDivergence(tape, logits, targets, { kind: 'cross-entropy' });

    // Positives: of the same pseudo-label; its own other view alone while these mean nothing yet.
    const likeLabels = step.schedule('like_labels', ({ epoch }) => (epoch < constants.warmup ? 0 : 1));
    const alike = matmul(tape, labels, concat(tape, [labels, queueLabels], 0), { transposeB: true }); // [N, N + M]
    const own = new Float32Array(batch * (batch + length));
    for (let i = 0; i < batch; i++) own[i * (batch + length) + i] = 1;
    const ownKey = tape.constant('own_key', [batch, batch + length], own);
    const positives = add(tape, ownKey, multiply(tape, subtract(tape, alike, ownKey), likeLabels));
    const shares = divide(tape, positives, sum(tape, positives, { axes: [1], keepDims: true }));
    const similarity = matmul(tape, queries, concat(tape, [keys, queue], 0), { transposeB: true });
    const { loss: contrast } = softmaxDivergence(tape, scale(tape, similarity, 1 / constants.temperature), shares, {
      kind: 'cross-entropy',
    });

    step.afterwards(() => {
      updatePrototypes(tape, prototypes, queries, labels, constants.prototypes);
      enqueue(tape, queue, keys);
      enqueue(tape, queueLabels, labels);
    });
    return add(tape, loss, scale(tape, contrast, constants.contrast));
  },
});
