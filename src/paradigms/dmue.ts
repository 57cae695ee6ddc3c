import { dense, inside } from '../nn/layers.js';
import {
  add,
  concat,
  detach,
  divide,
  matmul,
  max,
  multiply,
  permute,
  relu,
  reshape,
  scale,
  sigmoid,
  softmax,
  softmaxDivergence,
  subtract,
  sum,
} from '../tensor/ops/index.js';
import { normaliseRows } from '../tensor/ops/normalise-rows.js';
import type { Tape } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { pluralityLesson } from './lessons.js';
import { paradigm } from './paradigm.js';
import type { Student } from './student.js';

/** Takes a logit out of a softmax. */
const NEVER = -1e9;
/** Added to divisors that may be 0. */
const TINY = 1e-6;

/** What the branches say of a batch: the branch of a class tells the other classes from each other, and learns from the faces of those alone. */
interface Branches {
  /** [C, N, C], branch first; what a branch says of its own class counts nowhere. */
  scores: Tensor;
  /** One-hot, [N, C] */
  labels: Tensor;
}

interface Others {
  /** [C, N]: 1 where a face is not of the branch's class */
  isOther: Tensor;
  /** How many these are, never 0: [C, 1] */
  count: Tensor;
}

function constantOf(tape: Tape, shape: readonly number[], valueAt: (index: number) => number): Tensor {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return tape.constant(
    'constant',
    shape,
    Float32Array.from({ length: size }, (_, i) => valueAt(i)),
  );
}

function othersOf(tape: Tape, labels: Tensor): Others {
  const one = constantOf(tape, [1, 1], () => 1);
  const isOther = subtract(tape, one, permute(tape, labels, [1, 0]));
  return {
    isOther,
    count: add(
      tape,
      sum(tape, isOther, { axes: [1], keepDims: true }),
      constantOf(tape, [1, 1], () => TINY),
    ),
  };
}

/** The scores with those of each branch's own class taken out of the softmax. */
function withoutOwn(tape: Tape, scores: Tensor): Tensor {
  const [classes] = scores.shape;
  const isOwn = (index: number) => index % (classes + 1) === 0;
  return add(
    tape,
    scores,
    constantOf(tape, [classes, 1, classes], (i) => (isOwn(i) ? NEVER : 0)),
  );
}

/** The mean over the branches of their cross-entropies, each over the faces of other classes: [1]. */
export function branchLoss(tape: Tape, { scores, labels }: Branches): Tensor {
  const [classes, batch] = scores.shape;
  const rows = classes * batch;
  const { isOther, count } = othersOf(tape, labels);
  const weight = scale(tape, divide(tape, isOther, count), batch);
  const targets = concat(tape, Array<Tensor>(classes).fill(labels), 0);
  return softmaxDivergence(tape, reshape(tape, withoutOwn(tape, scores), [rows, classes]), targets, {
    kind: 'cross-entropy',
    weight: reshape(tape, weight, [rows]),
  }).loss;
}

/** What the branch of each face's class says of it, softened by T: the other classes that it could be of, [N, C]. No gradient flows through it. */
export function latentDistributions(tape: Tape, { scores, labels }: Branches, temperature: number): Tensor {
  const [classes, batch] = scores.shape;
  const shares = softmax(tape, scale(tape, withoutOwn(tape, detach(tape, scores)), 1 / temperature));
  const own = reshape(tape, permute(tape, labels, [1, 0]), [classes, batch, 1]);
  return sum(tape, multiply(tape, shares, own), { axes: [0] });
}

/** Mean squared distance of the prediction, without the class of the label, from the latent distribution: [1]. */
export function latentLoss(tape: Tape, logits: Tensor, labels: Tensor, latent: Tensor): Tensor {
  const others = subtract(
    tape,
    constantOf(tape, [1, 1], () => 1),
    labels,
  );
  return meanSquare(tape, subtract(tape, multiply(tape, softmax(tape, logits), others), latent));
}

/**
 * How differently branches and target branch find faces alike (Tung & Mori 2019): for the faces that a branch learns from, the mean squared distance of the
 * products of all pairs, of the branch's scores and of the target branch's features, in rows of length 1; mean over the branches, [1].
 */
export function similarityLoss(tape: Tape, { scores, labels }: Branches, features: Tensor): Tensor {
  const [classes, batch] = scores.shape;
  const { isOther, count } = othersOf(tape, labels);
  const left = reshape(tape, isOther, [classes, batch, 1]);
  const right = reshape(tape, isOther, [classes, 1, batch]);
  const pairs = multiply(tape, left, right);
  const known = multiply(
    tape,
    scores,
    constantOf(tape, [classes, 1, classes], (i) => (i % (classes + 1) === 0 ? 0 : 1)),
  );
  const rowsOf = (products: Tensor) => normaliseRows(tape, reshape(tape, multiply(tape, products, pairs), [classes * batch, batch]));
  const ofBranches = rowsOf(matmul(tape, known, known, { transposeB: true }));
  const ofTarget = rowsOf(reshape(tape, matmul(tape, features, features, { transposeB: true }), [1, batch, batch]));
  const difference = divide(
    tape,
    reshape(tape, subtract(tape, ofBranches, ofTarget), [classes, batch, batch]),
    reshape(tape, count, [classes, 1, 1]),
  );
  return scale(tape, meanSquare(tape, difference), batch * batch); // Σ / C
}

/** Mean over all elements of their squares, [1]. */
function meanSquare(tape: Tape, values: Tensor): Tensor {
  return scale(tape, reshape(tape, sum(tape, multiply(tape, values, values)), [1]), 1 / values.size);
}

/**
 * How sure the label is, in (0, 1), [N, 1]: two dense layers read how alike the face is to those of each class in the batch, by the mean cosine of the features
 * brought to 0…1 over the classes, beside the label.
 */
function confidence(student: Student, features: Tensor, labels: Tensor): Tensor {
  const { tape } = student.scope;
  const tiny = constantOf(tape, [1, 1], () => TINY);
  const directions = normaliseRows(tape, features);
  const sums = matmul(tape, matmul(tape, directions, directions, { transposeB: true }), labels);
  const cosines = divide(tape, sums, add(tape, sum(tape, labels, { axes: [0], keepDims: true }), tiny)); // [N, C]
  const most = max(tape, cosines, { axes: [1], keepDims: true });
  const least = scale(tape, max(tape, scale(tape, cosines, -1), { axes: [1], keepDims: true }), -1);
  const alike = divide(tape, subtract(tape, cosines, least), add(tape, subtract(tape, most, least), tiny));
  const scope = student.auxiliary('confidence');
  const hidden = dense(inside(scope, 'hidden'), concat(tape, [alike, labels], 1), labels.shape[1]);
  // PReLU (He et al. 2015, eq. 1): max(x, 0) + a min(x, 0)
  const slope = scope.parameters.weight(inside(scope, 'slope').path, [1], (values) => values.fill(0.25), false);
  const bent = subtract(tape, relu(tape, hidden), multiply(tape, relu(tape, scale(tape, hidden, -1)), slope));
  return sigmoid(tape, dense(inside(scope, 'output'), bent, 1));
}

/**
 * Latent distribution mining and pairwise uncertainty estimation (She et al., CVPR 2021; constants of the authors' code). On the common trunk stand a last stage
 * for each class, that never sees it and so tells what else its faces could be, and one for all classes, which judges. Branches see the whole batch at once, so
 * that their batch norms take it all in; the authors' further norm of the features, which their larger network does without, is left out.
 */
export const dmue = paradigm({
  summary:
    'DMUE: a branch for each class tells what else its faces could be; logits are weighted by how sure the label is (She et al. 2021)',
  constants: {
    ramp: {
      value: 9,
      min: 0.01,
      about: 'epochs until the target branch leads; the code has 9 or 10 for RAF-DB, 10 to 14 for FER+, 4 to 6 for AffectNet',
    },
    latent: { value: 0.5, min: 0, about: 'weight of the distance from the latent distribution' },
    similarity: { value: 1000, min: 0, about: 'weight of how differently the branches find faces alike' },
    temperature: { value: 1.2, min: 0.1, about: 'softens the latent distribution' },
  },
  lesson: (faces, { seed }) => pluralityLesson(faces, seed),
  loss(step) {
    const { tape, student, constants, classes, batch } = step;
    const labels = step.targets();
    const trunk = student.trunk(step.faces());
    const { pooled } = student.top(trunk);
    const logits = student.classify(pooled);
    const scoresOf = (own: number) => {
      const scope = student.auxiliary(`branch${own}`);
      return student.classify(student.top(trunk, scope).pooled, scope);
    };
    const all = Array.from({ length: classes }, (_, own) => scoresOf(own));
    const branches = { scores: reshape(tape, concat(tape, all, 0), [classes, batch, classes]), labels };

    const weighted = multiply(tape, logits, confidence(student, pooled, labels));
    const { loss: labelLoss } = softmaxDivergence(tape, weighted, labels, { kind: 'cross-entropy' });
    const latent = latentLoss(tape, logits, labels, latentDistributions(tape, branches, constants.temperature));
    const alike = similarityLoss(tape, branches, pooled);
    const target = add(tape, labelLoss, add(tape, scale(tape, latent, constants.latent), scale(tape, alike, constants.similarity)));

    const { ramp } = constants;
    const ofTarget = step.schedule('target_weight', ({ epoch }) => (epoch > ramp ? 1 : Math.exp(-5 * (1 - epoch / ramp) ** 2)));
    const ofBranches = step.schedule('branch_weight', ({ epoch }) => (epoch < ramp ? 1 : Math.exp(-((1 - ramp / epoch) ** 2))));
    return add(tape, multiply(tape, target, ofTarget), multiply(tape, branchLoss(tape, branches), ofBranches));
  },
});
