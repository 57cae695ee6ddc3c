import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';
import { launchElementwise } from './elementwise.js';

/**
 * Rows of a table: input [N, …], indices [M] (u32) → [M, …]. A row may be taken more than once; its gradients add up. An index of N or
 * more gives NaN.
 * @throws ShapeError unless `input` has rows and `indices` is a list of u32
 */
export function gather(tape: Tape, input: Tensor, indices: Tensor): Tensor {
  if (input.shape.length === 0 || indices.shape.length !== 1 || indices.dtype !== 'u32') {
    throw new ShapeError(
      `gather from [${input.shape}] by ${indices.dtype} indices [${indices.shape}]`,
      'Give a table [N, …] and a list [M] of u32 indices.',
    );
  }
  const [rows, ...rest] = input.shape;
  const [count] = indices.shape;
  const width = input.size / rows;
  const output = tape.tensor('gather', [count, ...rest], input.dtype);
  launchElementwise(tape, 'gather_forward', output, { input, indices, output }, { params: { rows, width } });
  return tape.record({
    name: 'gather',
    inputs: [input],
    output,
    gradient(outputGradient) {
      const inputGradient = tape.gradientTarget(input);
      const tensors = { indices, output_gradient: outputGradient, input_gradient: inputGradient };
      launchElementwise(tape, 'gather_backward', inputGradient, tensors, { params: { count, width } });
      return [inputGradient];
    },
  });
}
