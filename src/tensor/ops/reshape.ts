import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import { sizeOf, type Tensor } from '../tensor.js';

/**
 * The same numbers in another shape. A view: it costs no launch and no memory, in either direction.
 * @throws ShapeError where the number of elements differs.
 */
export function reshape(tape: Tape, input: Tensor, shape: readonly number[]): Tensor {
  if (sizeOf(shape) !== input.size)
    throw new ShapeError(`reshape of [${input.shape}] to [${shape}]`, 'Both shapes need the same number of elements.');
  return tape.record({
    name: 'reshape',
    inputs: [input],
    output: tape.view(input, shape),
    gradient: (outputGradient) => [tape.view(outputGradient, input.shape)],
  });
}

/** The same numbers, through which no gradient flows: what is computed from them counts as constant. A view. */
export function detach(tape: Tape, input: Tensor): Tensor {
  return tape.view(input, input.shape);
}
