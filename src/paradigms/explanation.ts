import { UsageError } from '../errors.js';
import type { ModelName } from '../nn/models.js';
import { cast, detach, matmul, permute, reshape } from '../tensor/ops/index.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Constants, Paradigm } from './paradigm.js';
import type { Student } from './student.js';

/** What a model says of faces, and where in them it read that. */
export interface Explanation {
  /** [N, classes] */
  logits: Tensor;
  /** A map per class, [N, classes, H, W]. */
  maps: Tensor;
  /** `attention`: each map is a distribution over the places; `activation`: what each place adds to the logit, which is the mean of the map and a bias. */
  kind: 'attention' | 'activation';
}

/** Whose last layer reads the mean of the feature map. */
const POOLED_BY_MEAN: readonly ModelName[] = ['small', 'resnet18'];

/**
 * Class activation maps (Zhou et al. 2016, eq. 2): what each place of the last feature map [N, H, W, D] adds to the logit of each class, [N, H, W, classes]. The last
 * layer's weights count as constant; it must have been recorded before.
 * @throws UsageError where it reads something else than the mean of the map
 */
export function activationMaps({ scope: { tape, parameters }, model, options: { classes } }: Student, map: Tensor): Tensor {
  if (!POOLED_BY_MEAN.includes(model)) {
    throw new UsageError(
      `class activation maps need a last layer that reads the mean of the feature map, which that of ${model} does not`,
      `Choose --model ${POOLED_BY_MEAN.join(' or ')}.`,
      { field: '--model' },
    );
  }
  const [batch, height, width, channels] = map.shape;
  const weight = detach(tape, parameters.entries.get('head.weight')!.tensor); // [D, classes]
  const maps = matmul(tape, reshape(tape, cast(tape, map, 'f32'), [batch * height * width, channels]), weight);
  return reshape(tape, maps, [batch, height, width, classes]);
}

/** Explains what the whole network says by its class activation maps. @throws UsageError where it has none */
export function explainByActivation(student: Student, faces: Tensor): Explanation {
  const { map, pooled } = student.features(faces);
  const logits = student.classify(pooled);
  return { logits, maps: permute(student.scope.tape, activationMaps(student, map), [0, 3, 1, 2]), kind: 'activation' };
}

/** How a model that learned by `paradigm` judges faces [N, H, W, C], and where it looks. @throws UsageError where that cannot be told */
export function explanationOf({ explain, logits }: Paradigm, constants: Constants, student: Student, faces: Tensor): Explanation {
  if (explain) return explain(student, faces, constants);
  if (!logits && POOLED_BY_MEAN.includes(student.model)) return explainByActivation(student, faces);
  throw new UsageError(
    logits ? 'the paradigm of this run judges by more than the network, and has no maps to show' : `${student.model} has no maps to show`,
    `Explain a run of --paradigm pll-mim, or one of --model ${POOLED_BY_MEAN.join(' or ')} that is judged by the network alone, as of --paradigm distribution.`,
    { field: '--explain' },
  );
}
