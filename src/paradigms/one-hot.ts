/** The strongly supervised baselines: one label a face is the truth. */
import { softmaxDivergence } from '../tensor/ops/index.js';
import { pluralityLesson, singleLabelLesson } from './lessons.js';
import { paradigm } from './paradigm.js';

export const oneHot = paradigm({
  summary: 'the class with most votes is the only truth: the baseline',
  lesson: (faces, { seed }) => pluralityLesson(faces, seed),
  loss: (step) => softmaxDivergence(step.tape, step.student.logits(step.faces()), step.targets(), { kind: 'cross-entropy' }).loss,
});

export const labelSmoothing = paradigm({
  summary: 'the class with most votes, with a share spread evenly over all (Szegedy et al. 2016)',
  constants: { smoothing: { value: 0.1, min: 0, max: 1, about: 'share spread over all classes' } },
  lesson: (faces, { constants, seed }) => pluralityLesson(faces, seed, constants.smoothing),
  loss: oneHot.loss,
});

export const singleLabel = paradigm({
  summary: "the dataset's own single label, such as FER2013's beside FER+'s votes",
  lesson: (faces) => singleLabelLesson(faces),
  loss: oneHot.loss,
});
