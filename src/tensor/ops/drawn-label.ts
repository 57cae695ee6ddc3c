import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';

/**
 * For each row of distributions [N, C] the one-hot vector of a class drawn from it, anew in every epoch: a function of seed, epoch and `indices`, u32 [N].
 * Not differentiable.
 * @throws ShapeError where the counts differ
 */
export function drawnLabel(tape: Tape, shares: Tensor, indices: Tensor): Tensor {
  const [rows, classes] = shares.shape;
  if (shares.shape.length !== 2 || indices.size !== rows || indices.dtype !== 'u32')
    throw new ShapeError(`labels drawn from [${shares.shape}] for ${indices.dtype} [${indices.shape}]`, 'Give [N, C] and u32 [N].');
  const output = tape.tensor('drawn_label', shares.shape);
  tape.launch('drawn_label', {
    params: { rows, classes, stream: tape.nextStream() },
    tensors: { step: tape.step, shares, indices, output },
    groups: Math.ceil(rows / 64),
  });
  return output;
}
