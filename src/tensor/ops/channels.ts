import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import { sizeOf, type Tensor } from '../tensor.js';

const THREADS_PER_GROUP = 64;
/** Elements that one workgroup of `channels_resize.wgsl` covers. */
const RESIZED_PER_GROUP = 1024;
/** Rows that a thread walks at least, where there are enough of them: below, its start costs as much as its work. */
const LEAST_ROWS = 16;
/**
 * How sums over rows are divided. `threads` of a first stage keep the adapter busy (more would only lengthen the second), `lanes` of them share a
 * channel in the second stage. Software adapters have few cores, and threads and barriers cost them more than longer loops.
 */
const DIVISION = { software: { threads: 4096, lanes: 1 }, gpu: { threads: 32768, lanes: 32 } };

/** Length of the last axis. */
export function channelsOf(tensor: Tensor): number {
  return tensor.shape.at(-1) ?? 1;
}

/** The last axis cut to `channels`, or filled up with zeros: [..., C] → [..., channels]. */
export function resizeChannels(tape: Tape, input: Tensor, channels: number): Tensor {
  if (input.shape.length === 0 || !Number.isInteger(channels) || channels < 1) {
    throw new ShapeError(`resizeChannels of [${input.shape}] to ${channels} channels`, 'It takes [..., C] and a positive count.');
  }
  const output = tape.tensor(`${input.label}.channels`, [...input.shape.slice(0, -1), channels], input.dtype);
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
    again: 'same',
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

/** Work over [rows, 4 * columns] in which a thread owns four channels of some rows. */
export interface RowDivision {
  columns: number;
  rows: number;
  /** First stage of a sum over the rows: `chunks` of `rowsPerChunk`, none empty, and the workgroups. */
  chunks: number;
  rowsPerChunk: number;
  chunkGroups: number;
  /** Second stage: threads per channel, and workgroups. */
  lanes: number;
  channelGroups: number;
}

export function divideRows(tape: Tape, input: Tensor): RowDivision {
  const { threads, lanes } = DIVISION[tape.gpu.adapter.isFallback ? 'software' : 'gpu'];
  const columns = channelsOf(input) / 4;
  const rows = sizeOf(input.shape.slice(0, -1));
  const rowsPerChunk = Math.max(LEAST_ROWS, Math.ceil((rows * columns) / threads));
  const chunks = Math.ceil(rows / rowsPerChunk);
  return {
    columns,
    rows,
    chunks,
    rowsPerChunk,
    chunkGroups: Math.ceil((columns * chunks) / THREADS_PER_GROUP),
    lanes,
    channelGroups: Math.ceil((columns * 4 * lanes) / THREADS_PER_GROUP),
  };
}

/** Launches the second stage of the gradients of a normalisation's scale and shift. `partials`: [chunks, 2, C]. */
export function launchAffineBackward(
  tape: Tape,
  { columns, chunks, lanes, channelGroups }: RowDivision,
  partials: Tensor,
  scaleGradient: Tensor,
  shiftGradient: Tensor,
): void {
  tape.launch('affine_backward', {
    constants: { LANES: lanes },
    params: { channels: columns * 4, chunks },
    tensors: { partials, scale_gradient: scaleGradient, shift_gradient: shiftGradient },
    groups: channelGroups,
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
