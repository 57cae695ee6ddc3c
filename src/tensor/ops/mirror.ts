import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';
import { launchElementwise } from './elementwise.js';

/** Left and right exchanged: [N, H, W, C] → [N, H, W, C]. @throws ShapeError for another rank. */
export function mirror(tape: Tape, input: Tensor): Tensor {
  if (input.shape.length !== 4) throw new ShapeError(`mirror image of [${input.shape}]`, 'Give [N, H, W, C].');
  const [, , width, channels] = input.shape;
  const launch = (from: Tensor, to: Tensor) =>
    launchElementwise(tape, 'mirror', to, { input: from, output: to }, { params: { width, channels } });
  const output = tape.tensor('mirror', input.shape);
  launch(input, output);
  return tape.record({
    name: 'mirror',
    inputs: [input],
    output,
    gradient(outputGradient) {
      const inputGradient = tape.gradientTarget(input);
      launch(outputGradient, inputGradient);
      return [inputGradient];
    },
  });
}
