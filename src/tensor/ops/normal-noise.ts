import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';
import { launchElementwise } from './elementwise.js';

/** Independent numbers from the standard normal distribution, drawn anew in every step. Not differentiable. */
export function normalNoise(tape: Tape, shape: readonly number[]): Tensor {
  const output = tape.tensor('normal_noise', shape);
  launchElementwise(tape, 'normal_noise', output, { step: tape.step, output }, { params: { stream: tape.nextStream() } });
  return output;
}
