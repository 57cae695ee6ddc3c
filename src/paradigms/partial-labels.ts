/** Partial labels: of each face only a set of candidates is known, one of which is right. */
import type { FaceSet } from '../faces/face-set.js';
import { add, gather, multiply, scale, softmaxDivergence } from '../tensor/ops/index.js';
import { partialLabelLoss, updateConfidence } from '../tensor/ops/partial-label.js';
import type { Tensor } from '../tensor/tensor.js';
import { candidateLesson, mapRows } from './lessons.js';
import { type Constant, type Lesson, type LessonContext, paradigm } from './paradigm.js';
import type { TrainingStep } from './training-step.js';

/** Where candidates come from. */
export const CANDIDATES = {
  votes: { value: 2, min: 0, about: 'fewest votes that make a class a candidate' },
} as const satisfies Record<string, Constant>;

type Name = keyof typeof CANDIDATES;

/** Candidates as targets, and the even distribution over them as the first confidence. */
export function candidatesOf(
  faces: FaceSet,
  { constants: { votes } }: LessonContext<Name>,
): Lesson & { tables: { confidence: Float32Array } } {
  const lesson = candidateLesson(faces, votes);
  const confidence = mapRows(lesson, faces, (row) => {
    const count = row.reduce((sum, value) => sum + value, 0);
    return row.map((value) => value / count);
  });
  return { ...lesson, tables: { confidence } };
}

/** The confidences kept from step to step, and those of the batch as they are before it. */
export function confidenceOf(step: TrainingStep): { table: Tensor; batch: Tensor } {
  const table = step.keepTable('confidence', step.lessonTable('confidence'));
  return { table, batch: gather(step.tape, table, step.rows) };
}

/** The share that confidences keep at each visit to a face; constants of PiCO (Wang et al. 2022, authors' code). */
export const MOMENTUM = {
  begin: { value: 0.95, min: 0, max: 1, about: 'momentum of the confidences in the first epoch; as in PiCO' },
  end: { value: 0.8, min: 0, max: 1, about: 'momentum of the confidences in the last epoch; as in PiCO' },
} as const satisfies Record<string, Constant>;

/**
 * Moves the confidences of the batch towards what `scores` [N, C] say of the candidates now, and returns them, [N, C].
 * @param warmup epochs in which they stay as they are
 */
export function movedConfidence(
  step: TrainingStep<keyof typeof MOMENTUM>,
  scores: Tensor,
  candidates: Tensor,
  kind: 'probability' | 'largest',
  warmup = 0,
): Tensor {
  const { tape, rows, constants } = step;
  const table = step.keepTable('confidence', step.lessonTable('confidence'));
  const momentum = step.schedule('confidence_momentum', ({ epoch, epochs }) => {
    if (epoch < warmup) return 1;
    const share = Math.min(1, epoch / Math.max(1, epochs));
    return constants.begin + share * (constants.end - constants.begin);
  });
  updateConfidence(tape, table, { scores, candidates, rows }, { kind, momentum });
  return gather(tape, table, rows);
}

export const cc = paradigm({
  summary: 'CC, classifier-consistent partial labels: −log of the probability of all candidates (Feng et al. 2020)',
  constants: CANDIDATES,
  lesson: candidatesOf,
  loss: (step) => partialLabelLoss(step.tape, step.student.logits(step.faces()), step.targets(), { kind: 'candidates' }),
});

export const rc = paradigm({
  summary: 'RC, risk-consistent partial labels: candidates weighted by what the model says behind each step (Feng et al. 2020)',
  constants: CANDIDATES,
  lesson: candidatesOf,
  loss(step) {
    const { tape, student } = step;
    const confidence = confidenceOf(step);
    const candidates = step.targets();
    step.afterwards(() => {
      const scores = tape.evaluating(() => student.logits(step.faces()));
      updateConfidence(tape, confidence.table, { scores, candidates, rows: step.rows }, { kind: 'probability' });
    });
    return softmaxDivergence(tape, student.logits(step.faces()), confidence.batch, { kind: 'cross-entropy' }).loss;
  },
});

/** Cross-entropy to the confidences that the model had in the candidates at its visit before; those of this visit take their place. */
function lossByConfidence(kind: 'probability' | 'activation'): (step: TrainingStep) => Tensor {
  return (step) => {
    const confidence = confidenceOf(step);
    const scores = step.student.logits(step.faces());
    updateConfidence(step.tape, confidence.table, { scores, candidates: step.targets(), rows: step.rows }, { kind });
    return softmaxDivergence(step.tape, scores, confidence.batch, { kind: 'cross-entropy' }).loss;
  };
}

export const proden = paradigm({
  summary: 'PRODEN: candidates weighted by what the model said of the face before (Lv et al. 2020)',
  constants: CANDIDATES,
  lesson: candidatesOf,
  loss: lossByConfidence('probability'),
});

export const lws = paradigm({
  summary: 'LWS: sigmoid losses inside and outside of the candidates, leveraged against each other (Wen et al. 2021)',
  constants: { ...CANDIDATES, beta: { value: 2, min: 0, about: 'weight of the classes that are no candidates; the paper has 1 and 2' } },
  lesson(faces, context) {
    const lesson = candidatesOf(faces, context);
    const confidence = mapRows(lesson, faces, (row) => {
      const count = row.reduce((sum, value) => sum + value, 0);
      return row.map((value) => (value > 0 ? 1 / count : 1 / (row.length - count)));
    });
    return { ...lesson, tables: { confidence } };
  },
  loss(step) {
    const { tape, student, constants } = step;
    const weights = confidenceOf(step);
    const candidates = step.targets();
    const logits = student.logits(step.faces());
    updateConfidence(tape, weights.table, { scores: logits, candidates, rows: step.rows }, { kind: 'each-side' });
    return partialLabelLoss(tape, logits, candidates, { kind: 'leveraged', weights: weights.batch, leverage: constants.beta });
  },
});

/** The authors' code hides other classes by a factor of 0, which a negative activation loses against: here they are left out. */
export const cavl = paradigm({
  summary: 'CAVL: the candidate with the largest class activation value is the truth (Zhang et al. 2022)',
  constants: CANDIDATES,
  lesson: candidatesOf,
  loss: lossByConfidence('activation'),
});

export const crDpll = paradigm({
  summary: 'CR-DPLL: the complement is wrong, and two views agree with their common confidence in the candidates (Wu, Wang & Zhang 2022)',
  constants: {
    ...CANDIDATES,
    ramp: {
      value: 0.125,
      min: 0.01,
      max: 1,
      about: 'share of the run in which the weight of the second part rises; the paper has 100 of 800 epochs',
    },
  },
  lesson: (faces, context) => candidatesOf(faces, context),
  loss(step) {
    const { tape, student, constants } = step;
    const confidence = confidenceOf(step);
    const candidates = step.targets();
    const views = [0, 1].map((view) => student.logits(step.faces(view)));
    // The geometric mean of softmaxes is the softmax of the mean of their logits.
    const scores = scale(tape, add(tape, views[0], views[1]), 0.5);
    updateConfidence(tape, confidence.table, { scores, candidates, rows: step.rows }, { kind: 'probability' });
    const [first, second] = views.map((logits) => softmaxDivergence(tape, logits, confidence.batch, { kind: 'kl' }).loss);
    const weight = step.schedule('consistency', ({ epoch, epochs }) => Math.min(1, epoch / (constants.ramp * epochs)));
    const complement = partialLabelLoss(tape, views[0], candidates, { kind: 'complement' });
    return add(tape, complement, multiply(tape, add(tape, first, second), weight));
  },
});
