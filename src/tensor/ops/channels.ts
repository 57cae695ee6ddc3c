import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import { sizeOf, type Tensor } from '../tensor.js';

const THREADS_PER_GROUP = 64;
/** Elements that one workgroup of `channels_resize.wgsl` covers. */
const RESIZED_PER_GROUP = 1024;
/** Rows that a thread walks at least, where there are enough of them: below, its start costs as much as its work. */
const LEAST_ROWS = 16;
/** Threads that keep any adapter busy; more would only make the second stage longer. */
const MOST_THREADS = 16384;
/** Chunks that a thread of a second stage adds up before more threads share the channel. */
const CHUNKS_PER_LANE = 8;
const MOST_LANES = 64;

/** Length of the last axis. */
export function channelsOf(tensor: Tensor): number {
  return tensor.shape.at(-1) ?? 1;
}

/** The last axis cut to `channels`, or filled up with zeros: [..., C] → [..., channels]. */
export function resizeChannels(tape: Tape, input: Tensor, channels: number): Tensor {
  if (input.shape.length === 0 || !Number.isInteger(channels) || channels < 1) {
    throw new ShapeError(`resizeChannels of [${input.shape}] to ${channels} channels`, 'It takes [..., C] and a positive count.');
  }
  const output = tape.tensor(`${input.label}.channels`, [...input.shape.slice(0, -1), channels]);
  copyChannels(tape, input, output);
  return tape.record({
    name: 'resizeChannels',
    inputs: [input],
    output,
    gradient(outputGradient) {
      const inputGradient = tape.gradientTarget(input);
      copyChannels(tape, outputGradient, inputGradient);
      return [inputGradient];
    },
  });
}

/** Writes `output` with the channels of `input` that it has room for, and zeros beyond them. */
export function copyChannels(tape: Tape, input: Tensor, output: Tensor): void {
  tape.launch('channels_resize', {
    params: { size: output.size, input_channels: channelsOf(input), output_channels: channelsOf(output) },
    tensors: { input, output },
    groups: Math.ceil(output.size / RESIZED_PER_GROUP),
  });
}

/** The next multiple of four: the channels that kernels over vec4 take. */
export function wholeQuads(channels: number): number {
  return Math.ceil(channels / 4) * 4;
}

/** Applies an operator that treats each channel by itself and takes multiples of four, to any number of them. */
export function overWholeQuads(tape: Tape, input: Tensor, operator: (input: Tensor) => Tensor): Tensor {
  const channels = channelsOf(input);
  if (channels % 4 === 0) return operator(input);
  return resizeChannels(tape, operator(resizeChannels(tape, input, wholeQuads(channels))), channels);
}

/** How a two-stage sum per channel divides its rows: `chunks` of `rowsPerChunk`, none empty, each walked by one thread per four channels. */
export interface RowChunks {
  columns: number;
  rows: number;
  chunks: number;
  rowsPerChunk: number;
  /** Workgroups of the first stage. */
  groups: number;
}

export function divideRows(input: Tensor): RowChunks {
  const columns = channelsOf(input) / 4;
  const rows = sizeOf(input.shape.slice(0, -1));
  const rowsPerChunk = Math.max(LEAST_ROWS, Math.ceil((rows * columns) / MOST_THREADS));
  const chunks = Math.ceil(rows / rowsPerChunk);
  return { columns, rows, chunks, rowsPerChunk, groups: Math.ceil((columns * chunks) / THREADS_PER_GROUP) };
}

/** Threads per channel (a power of two) and workgroups of the second stage of a sum over chunks. */
export function secondStage(channels: number, chunks: number): { lanes: number; groups: number } {
  const lanes = 2 ** Math.ceil(Math.log2(Math.min(MOST_LANES, Math.max(1, chunks / CHUNKS_PER_LANE))));
  return { lanes, groups: Math.ceil((channels * lanes) / THREADS_PER_GROUP) };
}

/** Launches the second stage of the gradients of a normalisation's scale and shift. `partials`: [chunks, 2, C]. */
export function launchAffineBackward(tape: Tape, partials: Tensor, scaleGradient: Tensor, shiftGradient: Tensor): void {
  const [chunks, , channels] = partials.shape as [number, number, number];
  const { lanes, groups } = secondStage(channels, chunks);
  tape.launch('affine_backward', {
    params: { channels, chunks, lanes },
    tensors: { partials, scale_gradient: scaleGradient, shift_gradient: shiftGradient },
    groups,
  });
}

/** Throws ShapeError unless every tensor is [C] with the channels of `input`. */
export function requireChannelVectors(operator: string, input: Tensor, vectors: Record<string, Tensor>): void {
  if (input.shape.length < 2)
    throw new ShapeError(`${operator} of [${input.shape}]`, 'It takes [..., C]: at least one axis of rows, and the channels.');
  const channels = channelsOf(input);
  for (const [name, vector] of Object.entries(vectors)) {
    if (vector.shape.length === 1 && vector.size === channels) continue;
    throw new ShapeError(`${operator}: ${name} [${vector.shape}] for an input [${input.shape}]`, `Give ${name} the shape [${channels}].`);
  }
}
