/** Distillation at the level of distributions: T²·KL(teacher‖student) at temperature T (Hinton, Vinyals & Dean 2015), mixed with the votes. */
import { add, detach, scale, softmax, softmaxDivergence } from '../tensor/ops/index.js';
import type { Tape } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { rowsOfLesson, voteLesson } from './lessons.js';
import { paradigm } from './paradigm.js';
import type { TrainingStep } from './training-step.js';

const CONSTANTS = {
  teacher: { value: 0.5, min: 0, max: 1, about: "share of the teacher's distribution, the rest is the votes'" },
  temperature: { value: 2, min: 0.1, max: 100, about: 'softens both distributions' },
} as const;

/** What the running average of the student's weights says of the batch, logits [N, C]. Nothing flows back. */
export function averagedLogits(step: TrainingStep, view: number): Tensor {
  const faces = step.faces(view);
  return step.tape.evaluating(() => detach(step.tape, step.teacher().logits(faces)));
}

/** softmax(logits / T). */
export function softened(tape: Tape, logits: Tensor, temperature: number): Tensor {
  return softmax(tape, temperature === 1 ? logits : scale(tape, logits, 1 / temperature));
}

export const selfDistillation = paradigm({
  summary: "distribution, mixed with what the running average of the model's own weights says (Tarvainen & Valpola 2017)",
  constants: CONSTANTS,
  lesson: (faces) => voteLesson(faces),
  loss(step) {
    const { tape, constants } = step;
    const logits = step.student.logits(step.faces());
    const taught = softened(tape, averagedLogits(step, 0), constants.temperature);
    return mixed(step, logits, taught);
  },
});

export const bornAgain = paradigm({
  summary: 'distribution, mixed with what the runs of --teacher say: the previous generation or an ensemble (Furlanello et al. 2018)',
  constants: CONSTANTS,
  learnsFromRuns: true,
  lesson(faces, { teacher, constants: { temperature } }) {
    if (!teacher) throw new TypeError('born-again was given no distributions of a teacher');
    const lesson = voteLesson(faces);
    const classes = faces.classes.length;
    const rows = rowsOfLesson(lesson, teacher, classes);
    for (let start = 0; start < rows.length; start += classes) sharpen(rows.subarray(start, start + classes), 1 / temperature);
    return { ...lesson, tables: { teacher: rows } };
  },
  loss: (step) => mixed(step, step.student.logits(step.faces()), step.table('teacher')),
});

/** (1 − λ)·KL(votes‖p) + λ·T²·KL(taught‖p_T). */
function mixed(step: TrainingStep<keyof typeof CONSTANTS>, logits: Tensor, taught: Tensor): Tensor {
  const { tape, constants } = step;
  const { loss: fromVotes } = softmaxDivergence(tape, logits, step.targets(), { kind: 'kl' });
  const { loss: fromTeacher } = softmaxDivergence(tape, logits, taught, { kind: 'kl', temperature: constants.temperature });
  return add(tape, scale(tape, fromVotes, 1 - constants.teacher), scale(tape, fromTeacher, constants.teacher));
}

/** p^power, normalised: softmax(z/T) from softmax(z) with power 1/T. */
function sharpen(row: Float32Array, power: number): void {
  const raised = Array.from(row, (share) => share ** power);
  const sum = raised.reduce((left, right) => left + right, 0);
  row.set(raised.map((share) => share / sum));
}
