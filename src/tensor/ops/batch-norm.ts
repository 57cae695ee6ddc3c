import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';
import {
  channelsOf,
  copyChannels,
  divideRows,
  launchAffineBackward,
  overChunks,
  overRows,
  type RowDivision,
  requireChannelVectors,
  resizeChannels,
  wholeQuads,
} from './channels.js';

/** All of shape [C]. The running values are read in evaluation, and updated by each run in training. */
export interface BatchNormState {
  scale: Tensor;
  shift: Tensor;
  runningMean: Tensor;
  runningVariance: Tensor;
}

export interface BatchNormOptions {
  /** Applied last, after the residual. */
  activation?: 'none' | 'relu';
  /** Added before the activation; of the input's shape. */
  residual?: Tensor;
  epsilon?: number;
  /** Share of the batch in the running values, as in PyTorch. */
  momentum?: number;
}

/**
 * Batch normalisation over all axes but the last (Ioffe & Szegedy 2015, algorithms 1 and 2), with residual and activation:
 * act((x − mean) / √(variance + ε) · scale + shift + residual), [..., C] → [..., C].
 *
 * In training mean and (biased) variance are those of the batch, and the running values move towards the batch's mean and unbiased variance
 * by `momentum`. In evaluation the running values take their place and are constants.
 * @throws ShapeError where shapes do not fit, or a batch has a single row in training: its variance is undefined.
 */
export function batchNorm(tape: Tape, input: Tensor, state: BatchNormState, options: BatchNormOptions = {}): Tensor {
  const { activation = 'none', residual, epsilon = 1e-5, momentum = 0.1 } = options;
  const { scale, shift, runningMean, runningVariance } = state;
  requireChannelVectors('batchNorm', input, { scale, shift, runningMean, runningVariance });
  if (residual && residual.shape.join() !== input.shape.join()) {
    throw new ShapeError(
      `batchNorm: residual [${residual.shape}] for an input [${input.shape}]`,
      'Both are added element by element: give them one shape.',
    );
  }
  if (channelsOf(input) % 4 !== 0) return batchNormOfAnyChannels(tape, input, state, options);

  const division = divideRows(tape, input);
  const { columns, rows, chunks, rowsPerChunk, rowsPerThread } = division;
  if (tape.training && rows < 2) {
    throw new ShapeError(
      `batchNorm of [${input.shape}] in training`,
      'One row has no variance: use a larger batch, or drop the last incomplete one.',
    );
  }
  const { mean, variance } = tape.training
    ? batchMoments(tape, input, division, state, momentum)
    : { mean: runningMean, variance: runningVariance };

  const relu = activation === 'relu';
  const output = tape.tensor('batch_norm', input.shape, input.dtype);
  overRows(tape, division, { input, output, ...(residual && { residual }) }, (run, count, groups) =>
    tape.launch('batch_norm_forward', {
      constants: { RELU: relu, RESIDUAL: residual !== undefined },
      params: { columns, rows: count, rows_per_thread: rowsPerThread, epsilon },
      tensors: { mean, variance, scale, shift, residual: scale, ...run },
      groups,
    }),
  );

  return tape.record({
    name: 'batchNorm',
    inputs: residual ? [input, scale, shift, residual] : [input, scale, shift],
    output,
    gradient(outputGradient) {
      // Under the activation's mask the output's gradient is the residual's, and what the others are made of.
      const gradient = !relu
        ? outputGradient
        : residual?.differentiable
          ? tape.gradientTarget(residual)
          : tape.tensor('batch_norm.masked', input.shape, input.dtype);
      const scaleGradient = tape.gradientTarget(scale);
      const shiftGradient = tape.gradientTarget(shift);
      const partials = tape.tensor('batch_norm.partials', [chunks, 2, columns * 4]);
      const summed = { input, output_gradient: outputGradient, ...(relu && { output, masked_gradient: gradient }) };
      const unused = tape.tensor('unused', [4]);
      overChunks(tape, division, summed, partials, (run, size, groups) =>
        tape.launch('batch_norm_backward_sums', {
          constants: { RELU: relu },
          params: { columns, ...size, rows_per_chunk: rowsPerChunk, epsilon },
          tensors: { mean, variance, output: scale, masked_gradient: unused, ...run },
          groups,
        }),
      );
      launchAffineBackward(tape, division, partials, scaleGradient, shiftGradient);

      let inputGradient: Tensor | undefined;
      if (input.differentiable) {
        inputGradient = tape.gradientTarget(input);
        const sums = tape.training
          ? { scale_gradient: scaleGradient, shift_gradient: shiftGradient }
          : { input: scale, scale_gradient: scale, shift_gradient: scale };
        const applied = { output_gradient: gradient, input_gradient: inputGradient, ...(tape.training && { input }) };
        overRows(tape, division, applied, (run, count, groups) =>
          tape.launch('batch_norm_backward_input', {
            constants: { BATCH_MOMENTS: tape.training },
            params: { columns, rows: count, batch_rows: rows, rows_per_thread: rowsPerThread, epsilon },
            tensors: { mean, variance, scale, ...sums, ...run },
            groups,
          }),
        );
      }
      return [inputGradient, scaleGradient, shiftGradient, gradient];
    },
  });
}

/** The batch's mean and biased variance of each channel; moves the running values. */
function batchMoments(
  tape: Tape,
  input: Tensor,
  division: RowDivision,
  { runningMean, runningVariance }: BatchNormState,
  momentum: number,
): { mean: Tensor; variance: Tensor } {
  const { columns, rows, chunks, rowsPerChunk, lanes } = division;
  const channels = columns * 4;
  const partials = tape.tensor('batch_norm.partials', [chunks, 2, channels]);
  overChunks(tape, division, { input }, partials, (tensors, size, groups) =>
    tape.launch('batch_norm_statistics', { params: { columns, ...size, rows_per_chunk: rowsPerChunk }, tensors, groups }),
  );
  const moments = { mean: tape.tensor('batch_norm.mean', [channels]), variance: tape.tensor('batch_norm.variance', [channels]) };
  tape.launch('batch_norm_moments', {
    constants: { LANES: lanes },
    params: { channels, rows, rows_per_chunk: rowsPerChunk, chunks, momentum },
    tensors: { partials, ...moments, running_mean: runningMean, running_variance: runningVariance },
    groups: division.channelGroups,
  });
  return moments;
}

/** Pads the channels to a multiple of four, and cuts the result. */
function batchNormOfAnyChannels(tape: Tape, input: Tensor, state: BatchNormState, { residual, ...options }: BatchNormOptions): Tensor {
  const channels = channelsOf(input);
  const widen = (tensor: Tensor) => resizeChannels(tape, tensor, wholeQuads(channels));
  const { scale, shift, runningMean, runningVariance } = state;
  const wide = { scale: widen(scale), shift: widen(shift), runningMean: widen(runningMean), runningVariance: widen(runningVariance) };
  const output = batchNorm(tape, widen(input), wide, { ...options, residual: residual && widen(residual) });
  if (tape.training) {
    copyChannels(tape, wide.runningMean, runningMean);
    copyChannels(tape, wide.runningVariance, runningVariance);
  }
  return resizeChannels(tape, output, channels);
}
