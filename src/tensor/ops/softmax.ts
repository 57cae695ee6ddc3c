import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';
import { resizeChannels, wholeQuads } from './channels.js';

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
  const length = input.shape.at(-1);
  const name = log ? 'log_softmax' : 'softmax';
  if (!length) throw new ShapeError(`${name} of [${input.shape}]`, 'It goes over the last axis, which must exist and not be empty.');
  if (length % 4 === 0) return overRowsOfQuads(tape, name, input, { length, log });
  return resizeChannels(tape, overRowsOfQuads(tape, name, resizeChannels(tape, input, wholeQuads(length)), { length, log }), length);
}

function overRowsOfQuads(tape: Tape, name: string, input: Tensor, rows: Rows): Tensor {
  const output = tape.tensor(name, input.shape);
  launchSoftmax(tape, input, output, rows);
  return tape.record({
    name,
    inputs: [input],
    output,
    gradient(outputGradient) {
      const inputGradient = tape.gradientTarget(input);
      launchSoftmaxBackward(tape, { output, outputGradient, inputGradient }, rows);
      return [inputGradient];
    },
  });
}

/** Rows, in tensors whose last axis is a multiple of 4, of which the first `length` numbers count. */
interface Rows {
  length: number;
  log?: boolean;
  /** Of the softmax's argument; 1 by default. */
  scale?: number;
}

/** Launches output = softmax(scale · input), 0 behind the `length` numbers that count. */
export function launchSoftmax(tape: Tape, input: Tensor, output: Tensor, rows: Rows): void {
  launchRows(tape, 'softmax_forward', { input, output }, output, rows);
}

/** Launches the gradient in the input of what `launchSoftmax` gave. */
export function launchSoftmaxBackward(
  tape: Tape,
  { output, outputGradient, inputGradient }: { output: Tensor; outputGradient: Tensor; inputGradient: Tensor },
  rows: Rows,
): void {
  launchRows(tape, 'softmax_backward', { output, output_gradient: outputGradient, input_gradient: inputGradient }, output, rows);
}

function launchRows(
  tape: Tape,
  shader: string,
  tensors: Record<string, Tensor>,
  { shape, size }: Tensor,
  { length, log = false, scale = 1 }: Rows,
): void {
  const pitch = shape.at(-1)!;
  const rows = size / pitch;
  const lanes = length <= SHORT_ROW || tape.gpu.adapter.isFallback ? 1 : THREADS_PER_GROUP;
  tape.launch(shader, {
    constants: { LOG: log, LANES: lanes },
    params: { rows, quads: pitch / 4, length, scale },
    tensors,
    groups: Math.ceil((rows * lanes) / THREADS_PER_GROUP),
  });
}
