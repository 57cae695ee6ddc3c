import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';
import { launchPointwise } from './parts.js';

/** Values of KIND in shaders/lib/activation.wgsl. */
const KINDS = { relu: 0, gelu: 1, silu: 2, sigmoid: 3, exponential: 4 } as const;

/** max(x, 0); NaN stays NaN. The gradient at 0 is 0. */
export function relu(tape: Tape, input: Tensor): Tensor {
  return activation(tape, input, 'relu');
}

/** Gaussian error linear unit, x · (1 + erf(x / √2)) / 2 (Hendrycks & Gimpel 2016, eq. 1), as in published vision transformers; not its tanh form. */
export function gelu(tape: Tape, input: Tensor): Tensor {
  return activation(tape, input, 'gelu');
}

/** x · sigmoid(x), also called swish (Elfwing, Uchibe & Doya 2018). */
export function silu(tape: Tape, input: Tensor): Tensor {
  return activation(tape, input, 'silu');
}

/** 1 / (1 + exp(−x)). */
export function sigmoid(tape: Tape, input: Tensor): Tensor {
  return activation(tape, input, 'sigmoid');
}

/** exp(x). */
export function exponential(tape: Tape, input: Tensor): Tensor {
  return activation(tape, input, 'exponential');
}

function activation(tape: Tape, input: Tensor, kind: keyof typeof KINDS): Tensor {
  const constants = { KIND: KINDS[kind] };
  const output = tape.tensor(kind, input.shape, input.dtype);
  launchPointwise(tape, 'activation_forward', { input, output }, { constants });
  return tape.record({
    name: kind,
    inputs: [input],
    output,
    gradient(outputGradient) {
      const inputGradient = tape.gradientTarget(input);
      // The slopes of these follow from the output as well, which spares keeping the input alive.
      const saved = kind === 'gelu' || kind === 'silu' ? input : output;
      const tensors = { input: saved, output_gradient: outputGradient, input_gradient: inputGradient };
      launchPointwise(tape, 'activation_backward', tensors, { constants });
      return [inputGradient];
    },
  });
}
