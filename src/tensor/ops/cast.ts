import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';
import { launchPointwise } from './parts.js';

/**
 * The same numbers stored as `dtype`: the boundary between parts that keep f16 and parts that need f32. Rounded to f16 they have eleven bits; beyond 65504
 * they are infinite (WGSL leaves it to the device), and below 3·10⁻⁸ zero. The gradient is stored as the input is. `input` itself where it has that type.
 * @throws ShapeError for u32, DeviceError where the adapter has no 16-bit floats
 */
export function cast(tape: Tape, input: Tensor, dtype: 'f32' | 'f16'): Tensor {
  if (input.dtype === dtype) return input;
  if (input.dtype === 'u32') throw new ShapeError(`cast of ${input.label} from u32 to ${dtype}`, 'Cast f32 to f16, or f16 to f32.');
  const output = tape.tensor('cast', input.shape, dtype);
  launchPointwise(tape, 'copy', { input, output });
  return tape.record({
    name: 'cast',
    inputs: [input],
    output,
    gradient(outputGradient) {
      const inputGradient = tape.gradientTarget(input);
      launchPointwise(tape, 'copy', { input: outputGradient, output: inputGradient });
      return [inputGradient];
    },
  });
}
