import { add, mean, multiply, reshape, scale, softmaxDivergence, subtract } from '../tensor/ops/index.js';
import { mirror } from '../tensor/ops/mirror.js';
import { activationMaps } from './explanation.js';
import { pluralityLesson } from './lessons.js';
import { paradigm } from './paradigm.js';

/**
 * Erasing attention consistency (Zhang et al., ECCV 2022): what is seen in a face and in its mirror image must be the same, mirrored. Wants --augment strong.
 */
export const eac = paradigm({
  summary: 'EAC: the attention maps of a face and of its mirror image must agree; for --augment strong, which erases (Zhang et al. 2022)',
  constants: { consistency: { value: 5, min: 0, about: 'weight of the mean squared difference of the maps' } },
  lesson: (faces, { seed }) => pluralityLesson(faces, seed),
  loss(step) {
    const { tape, student, constants } = step;
    const faces = step.faces();
    const seen = student.features(faces);
    const mirrored = student.features(mirror(tape, faces));
    const { loss } = softmaxDivergence(tape, student.classify(seen.pooled), step.targets(), { kind: 'cross-entropy' });
    const difference = subtract(tape, activationMaps(student, seen.map), mirror(tape, activationMaps(student, mirrored.map)));
    const error = reshape(tape, mean(tape, multiply(tape, difference, difference)), [1]);
    return add(tape, loss, scale(tape, error, constants.consistency));
  },
});
