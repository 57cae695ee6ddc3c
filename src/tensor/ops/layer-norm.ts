import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';
import { channelsOf, divideRows, launchAffineBackward, requireChannelVectors, resizeChannels, wholeQuads } from './channels.js';
import { overImages, partsOf, rowsOf } from './parts.js';

const THREADS_PER_GROUP = 64;
/** Threads that share a row on a GPU; on a software adapter each has its own (see layer_norm_forward.wgsl). */
const LANES_ON_GPU = 32;

/**
 * Layer normalisation over the last axis (Ba, Kiros & Hinton 2016, section 3): (x − mean) / √(variance + ε) · scale + shift with the row's own mean and
 * biased variance, [..., C] → [..., C]; scale and shift [C].
 * @throws ShapeError where shapes do not fit.
 */
export function layerNorm(tape: Tape, input: Tensor, parameters: { scale: Tensor; shift: Tensor }, { epsilon = 1e-5 } = {}): Tensor {
  requireChannelVectors('layerNorm', input, { ...parameters });
  const channels = channelsOf(input);
  if (channels % 4 === 0) return layerNormOfQuads(tape, input, parameters, channels, epsilon);
  const widen = (tensor: Tensor) => resizeChannels(tape, tensor, wholeQuads(channels));
  const wide = { scale: widen(parameters.scale), shift: widen(parameters.shift) };
  return resizeChannels(tape, layerNormOfQuads(tape, widen(input), wide, channels, epsilon), channels);
}

/** Of rows padded to a multiple of four, in which only the first `channels` count. */
function layerNormOfQuads(
  tape: Tape,
  input: Tensor,
  { scale, shift }: { scale: Tensor; shift: Tensor },
  channels: number,
  epsilon: number,
): Tensor {
  const division = divideRows(tape, input);
  const { columns, rows } = division;
  const output = tape.tensor('layer_norm', input.shape);
  const statistics = tape.tensor('layer_norm.statistics', [rows, 2]);
  const lanes = tape.gpu.adapter.isFallback ? 1 : LANES_ON_GPU;
  const groupsOf = (count: number) => Math.ceil((count * lanes) / THREADS_PER_GROUP);
  const byRow = (tensor: Tensor) => tape.view(tensor, [rows, 4 * columns]);
  const x = byRow(input);
  overImages(tape, { input: x, output: byRow(output), statistics }, (run, count) =>
    tape.launch('layer_norm_forward', {
      constants: { LANES: lanes, PADDED: channels % 4 !== 0 },
      params: { columns, channels, rows: count, epsilon },
      tensors: { ...run, scale, shift },
      groups: groupsOf(count),
      again: 'same',
    }),
  );

  return tape.record({
    name: 'layerNorm',
    inputs: [input, scale, shift],
    output,
    gradient(outputGradient) {
      const dy = byRow(outputGradient);
      let inputGradient: Tensor | undefined;
      if (input.differentiable) {
        inputGradient = tape.gradientTarget(input);
        overImages(tape, { input: x, output_gradient: dy, statistics, input_gradient: byRow(inputGradient) }, (run, count) =>
          tape.launch('layer_norm_backward_input', {
            constants: { LANES: lanes },
            params: { columns, channels, rows: count },
            tensors: { ...run, scale },
            groups: groupsOf(count),
          }),
        );
      }
      if (!scale.differentiable && !shift.differentiable) return [inputGradient, undefined, undefined];
      const { chunks, rowsPerChunk } = division;
      const partials = tape.tensor('layer_norm.partials', [chunks, 2, columns * 4]);
      for (const { first, count } of partsOf(tape, chunks, [rowsPerChunk * 16 * columns, rowsPerChunk * 8, 32 * columns])) {
        const part = { first: first * rowsPerChunk, count: Math.min(count * rowsPerChunk, rows - first * rowsPerChunk) };
        tape.launch('layer_norm_backward_sums', {
          params: { columns, rows: part.count, rows_per_chunk: rowsPerChunk, chunks: count },
          tensors: {
            ...rowsOf(tape, { input: x, output_gradient: dy, statistics }, part),
            ...rowsOf(tape, { partials }, { first, count }),
          },
          groups: Math.ceil((columns * count) / THREADS_PER_GROUP),
        });
      }
      const scaleGradient = tape.gradientTarget(scale);
      const shiftGradient = tape.gradientTarget(shift);
      launchAffineBackward(tape, division, partials, scaleGradient, shiftGradient);
      return [inputGradient, scaleGradient, shiftGradient];
    },
  });
}
