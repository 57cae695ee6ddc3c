import { UsageError } from '../errors.js';
import { add, cast, detach, matmul, mean, multiply, reshape, scale, softmaxDivergence, subtract } from '../tensor/ops/index.js';
import { mirror } from '../tensor/ops/mirror.js';
import type { Tensor } from '../tensor/tensor.js';
import { pluralityLesson } from './lessons.js';
import { paradigm } from './paradigm.js';
import type { TrainingStep } from './training-step.js';

/** The attention map of every class, [N, H, W, classes]: what each place adds to its logit. The last layer's weights count as constant. */
function attention(step: TrainingStep, features: Tensor): Tensor {
  const { tape, student } = step;
  const map = cast(tape, features, 'f32');
  const { shape } = map;
  const weight = student.scope.parameters.entries.get('head.weight')!.tensor; // [D, classes]
  if (weight.shape[0] !== shape[3]) {
    throw new UsageError(
      `eac reads attention maps from the last layer, which in ${student.model} has other layers between it and the feature map`,
      'Choose --model small or resnet18.',
      { field: '--model' },
    );
  }
  const maps = matmul(tape, reshape(tape, map, [map.size / shape[3], shape[3]]), detach(tape, weight));
  return reshape(tape, maps, [shape[0], shape[1], shape[2], step.classes]);
}

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
    const difference = subtract(tape, attention(step, seen.map), mirror(tape, attention(step, mirrored.map)));
    const error = reshape(tape, mean(tape, multiply(tape, difference, difference)), [1]);
    return add(tape, loss, scale(tape, error, constants.consistency));
  },
});
