/** Embeddings kept from step to step: a queue of the last of them, and a prototype for each class. */
import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';
import { launchElementwise } from './elementwise.js';

/**
 * The rows of `values`, [N, D], take the place of the oldest in `queue`, [M, D] (He et al. 2020, MoCo); which these are follows from the tape's step.
 * @throws ShapeError unless M ≥ N
 */
export function enqueue(tape: Tape, queue: Tensor, values: Tensor): void {
  const [batch, width] = values.shape;
  const [count] = queue.shape;
  if (queue.shape[1] !== width || count < batch)
    throw new ShapeError(
      `[${values.shape}] into a queue [${queue.shape}]`,
      'Give a queue of equal width that is no shorter than the batch.',
    );
  launchElementwise(tape, 'enqueue', values, { step: tape.step, values, table: queue }, { params: { batch, width, count } });
}

/**
 * Moves the prototype of each class towards the embeddings of its faces: a running mean of length 1 (Wang et al. 2022, PiCO, eq. 5).
 * @param prototypes [C, D]
 * @param embeddings [N, D]
 * @param labels [N, C], one-hot
 * @throws ShapeError where shapes differ
 */
export function updatePrototypes(tape: Tape, prototypes: Tensor, embeddings: Tensor, labels: Tensor, momentum: number): void {
  const [batch, width] = embeddings.shape;
  const [, classes] = labels.shape;
  if (`${prototypes.shape}` !== `${[classes, width]}` || labels.shape[0] !== batch)
    throw new ShapeError(
      `prototypes [${prototypes.shape}] of embeddings [${embeddings.shape}] labelled [${labels.shape}]`,
      'Give prototypes [C, D], embeddings [N, D] and labels [N, C].',
    );
  tape.launch('prototype_update', {
    params: { batch, classes, width, momentum },
    tensors: { embeddings, labels, prototypes },
    groups: classes,
  });
}
