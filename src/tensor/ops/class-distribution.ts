import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';

export interface ClassDistributionState {
  /** Sums of this epoch's predictions by class, and counts: [C, C + 1], at first 0. */
  sums: Tensor;
  /** Of the epoch before: [C, C]. */
  distribution: Tensor;
  /** Above 0 in the first step of an epoch: [1]. */
  begins: Tensor;
}

/**
 * Keeps the mean prediction over the faces of each class, epoch by epoch (Liu et al. 2023, Ada-DF). Where the class itself has less than `threshold` of its
 * mean prediction, `threshold` takes its place and the rest is even.
 * @param logits [N, C]
 * @param targets [N, C], one-hot
 * @throws ShapeError where shapes differ
 */
export function updateClassDistribution(
  tape: Tape,
  { sums, distribution, begins }: ClassDistributionState,
  { logits, targets }: { logits: Tensor; targets: Tensor },
  threshold: number,
): void {
  const [batch, classes] = logits.shape;
  if (
    `${targets.shape}` !== `${logits.shape}` ||
    `${distribution.shape}` !== `${[classes, classes]}` ||
    `${sums.shape}` !== `${[classes, classes + 1]}`
  )
    throw new ShapeError(
      `class distributions [${distribution.shape}] with sums [${sums.shape}] of logits [${logits.shape}] and targets [${targets.shape}]`,
      'Give logits and targets [N, C], distributions [C, C] and sums [C, C + 1].',
    );
  tape.launch('class_distribution', {
    params: { batch, classes, threshold },
    tensors: { logits, targets, begins, sums, distribution },
    groups: Math.ceil(classes / 64),
  });
}
