import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';

const THREADS_PER_GROUP = 64;
/** Up to this length a row is one thread's work, beyond it a workgroup's; on a software adapter, where barriers are dear, always one thread's. */
const SHORT_ROW = 64;

/** exp(x) / Σ exp(x) over the last axis. NaN, as in PyTorch, for a row with NaN or +∞ in it or with nothing but −∞. */
export function softmax(tape: Tape, input: Tensor): Tensor {
  return overRows(tape, input, false);
}

/** x − log Σ exp(x) over the last axis, exact also where softmax itself would round to 0. */
export function logSoftmax(tape: Tape, input: Tensor): Tensor {
  return overRows(tape, input, true);
}

function overRows(tape: Tape, input: Tensor, log: boolean): Tensor {
  const name = log ? 'log_softmax' : 'softmax';
  const length = input.shape.at(-1);
  if (!length) throw new ShapeError(`${name} of [${input.shape}]`, 'It goes over the last axis, which must exist and not be empty.');
  const rows = input.size / length;
  const lanes = length <= SHORT_ROW || tape.gpu.adapter.isFallback ? 1 : THREADS_PER_GROUP;
  const launch = (shader: string, tensors: Record<string, Tensor>) =>
    tape.launch(shader, {
      constants: { LOG: log, LANES: lanes },
      params: { rows, length },
      tensors,
      groups: Math.ceil((rows * lanes) / THREADS_PER_GROUP),
    });

  const output = tape.tensor(name, input.shape);
  launch('softmax_forward', { input, output });
  return tape.record({
    name,
    inputs: [input],
    output,
    gradient(outputGradient) {
      const inputGradient = tape.gradientTarget(input);
      launch('softmax_backward', { output, output_gradient: outputGradient, input_gradient: inputGradient });
      return [inputGradient];
    },
  });
}
