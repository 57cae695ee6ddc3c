/** The four training modes of FER+ (Barsoum et al., ICMI 2016, §3; rules and constants as in the authors' code). */
import type { FaceSet } from '../faces/face-set.js';
import { type FerPlusMode, ferPlusTarget, multiTargetWeights } from '../labels/ferplus.js';
import { drawnLabel } from '../tensor/ops/drawn-label.js';
import { softmaxDivergence } from '../tensor/ops/index.js';
import { lessonOf } from './lessons.js';
import { type Lesson, paradigm } from './paradigm.js';

function lessonIn(mode: FerPlusMode): (faces: FaceSet) => Lesson {
  return (faces) => {
    const columns = faces.voteNames.length;
    return lessonOf(faces, (face) => ferPlusTarget(faces.votes.subarray(face * columns, (face + 1) * columns), faces.classes.length, mode));
  };
}

export const ferPlusMajority = paradigm({
  summary: 'FER+ majority: faces with one class above half of the votes, cross-entropy to that class',
  lesson: lessonIn('majority'),
  loss: (step) => softmaxDivergence(step.tape, step.student.logits(step.faces()), step.targets(), { kind: 'cross-entropy' }).loss,
});

export const ferPlusProbability = paradigm({
  summary: 'FER+ probabilistic label drawing: at every visit one class is drawn from the votes',
  lesson: lessonIn('probability'),
  loss(step) {
    const target = drawnLabel(step.tape, step.targets(), step.indices);
    return softmaxDivergence(step.tape, step.student.logits(step.faces()), target, { kind: 'cross-entropy' }).loss;
  },
});

export const ferPlusCrossEntropy = paradigm({
  summary: 'FER+ cross-entropy: the distribution of the votes is the target',
  lesson: lessonIn('crossentropy'),
  loss: ferPlusMajority.loss,
});

export const ferPlusMultiTarget = paradigm({
  summary: 'FER+ multi-target: the best of the classes with three tenths of the votes, −log max(t·p)',
  lesson(faces) {
    const lesson = lessonIn('multi_target')(faces);
    return { ...lesson, targets: multiTargetWeights(lesson.targets) };
  },
  loss: (step) => softmaxDivergence(step.tape, step.student.logits(step.faces()), step.targets(), { kind: 'multi-target' }).loss,
});
