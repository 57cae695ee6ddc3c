import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';

const ROWS_PER_GROUP = 64;

/** Rows of length 1: x / |x|, [N, D] → [N, D]; a row of zeros stays so and has no gradient. @throws ShapeError unless `input` is a table. */
export function normaliseRows(tape: Tape, input: Tensor): Tensor {
  if (input.shape.length !== 2) throw new ShapeError(`rows of [${input.shape}] to normalise`, 'Give [N, D].');
  const [rows, width] = input.shape;
  const spec = { params: { rows, width }, groups: Math.ceil(rows / ROWS_PER_GROUP) };
  const output = tape.tensor('normalise_rows', input.shape);
  tape.launch('normalise_rows', { ...spec, tensors: { input, output } });
  return tape.record({
    name: 'normalise_rows',
    inputs: [input],
    output,
    gradient(outputGradient) {
      const inputGradient = tape.gradientTarget(input);
      const tensors = { input, output, output_gradient: outputGradient, input_gradient: inputGradient };
      tape.launch('normalise_rows_backward', { ...spec, tensors });
      return [inputGradient];
    },
  });
}
