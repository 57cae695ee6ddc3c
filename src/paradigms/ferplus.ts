/** The four training modes of FER+ (Barsoum et al., ICMI 2016, §3; rules and constants as in the authors' code). */
import { InputError } from '../errors.js';
import type { FaceSet } from '../faces/face-set.js';
import { type FerPlusMode, ferPlusTargets, multiTargetWeights } from '../labels/ferplus.js';
import { oneHot } from '../labels/one-hot.js';
import { drawClass } from '../labels/votes.js';
import { softmaxDivergence } from '../tensor/ops/index.js';
import type { Lesson, Paradigm } from './paradigm.js';

function lessonOf(mode: FerPlusMode): (faces: FaceSet) => Lesson {
  return (faces) => {
    const classes = faces.classes.length;
    const { targets, kept } = ferPlusTargets(faces.votes, faces.voteNames.length, classes, mode);
    if (kept.length === 0) {
      throw new InputError(
        `the FER+ ${mode} rule keeps none of the ${faces.count} faces of ${faces.name}`,
        'Choose another --paradigm, or data with more agreement.',
        { field: '--paradigm' },
      );
    }
    const rows = new Float32Array(kept.length * classes);
    kept.forEach((face, i) => {
      rows.set(targets.subarray(face * classes, (face + 1) * classes), i * classes);
    });
    return { faces: kept, targets: rows };
  };
}

export const ferPlusMajority: Paradigm = {
  summary: 'FER+ majority: faces with one class above half of the votes, cross-entropy to that class',
  lesson: lessonOf('majority'),
  loss: (tape, logits, targets) => softmaxDivergence(tape, logits, targets, { kind: 'cross-entropy' }).loss,
};

export const ferPlusProbability: Paradigm = {
  summary: 'FER+ probabilistic label drawing: at every visit one class is drawn from the votes',
  lesson: lessonOf('probability'),
  visit: (target, u) => oneHot(drawClass(target, u), target.length),
  loss: ferPlusMajority.loss,
};

export const ferPlusCrossEntropy: Paradigm = {
  summary: 'FER+ cross-entropy: the distribution of the votes is the target',
  lesson: lessonOf('crossentropy'),
  loss: ferPlusMajority.loss,
};

export const ferPlusMultiTarget: Paradigm = {
  summary: 'FER+ multi-target: the best of the classes with three tenths of the votes, −log max(t·p)',
  lesson: (faces) => {
    const { faces: kept, targets } = lessonOf('multi_target')(faces);
    return { faces: kept, targets: multiTargetWeights(targets) };
  },
  loss: (tape, logits, targets) => softmaxDivergence(tape, logits, targets, { kind: 'multi-target' }).loss,
};
