import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import { sizeOf, type Tensor } from '../tensor.js';
import { channelsOf, copyChannels, requireChannelVectors, resizeChannels, wholeQuads } from './channels.js';
import { bytesOf, partsOf, rowsOf } from './parts.js';

/**
 * How the rows are divided (shaders/lib/column_blocks.wgsl). A workgroup has so many `threads`; a first stage has about `groups` of them, and at most
 * `chunks` for a column, which every thread (or workgroup, where it is shared) of the second stage reads again before its `rowsPerThread`.
 */
const DIVISION = {
  software: { threads: 16, shared: false, groups: 64, chunks: 32, leastRows: 4, rowsPerThread: 512 },
  gpu: { threads: 256, shared: true, groups: 512, chunks: 128, leastRows: 2, rowsPerThread: 8 },
};
/** Columns of four channels that a workgroup takes at most: 256 bytes of each row. */
const MOST_COLUMNS = 16;
/** Rows after which a binding may begin again, whatever the channels: 32 of at least 8 bytes. */
const ALIGNED_ROWS = 32;

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

  const { training } = tape;
  const division = divide(tape, input);
  const { columns, rows, chunks, block, rowsPerChunk, rowsPerPart, constants } = division;
  if (training && rows < 2) {
    throw new ShapeError(
      `batchNorm of [${input.shape}] in training`,
      'One row has no variance: use a larger batch, or drop the last incomplete one.',
    );
  }
  const moments = tape.tensor('batch_norm.moments', [training ? 1 + chunks : 1, 2, columns * 4]);
  if (training) {
    overChunks(tape, division, { input }, (run, size, groups) =>
      tape.launch('batch_norm_statistics', { constants, params: size, tensors: { moments, ...run }, groups }),
    );
  }
  const relu = activation === 'relu';
  const epilogue = { has_residual: residual ? 1 : 0, relu: relu ? 1 : 0 };
  const output = tape.tensor('batch_norm', input.shape, input.dtype);
  overRows(tape, division, { input, output, ...(residual && { residual }) }, (run, part, groups) =>
    tape.launch('batch_norm_forward', {
      constants: { ...constants, BATCH_MOMENTS: training },
      params: { ...part, ...epilogue, batch_rows: rows, rows_per_chunk: rowsPerChunk, chunks, epsilon, momentum },
      tensors: { moments, scale, shift, residual: scale, running_mean: runningMean, running_variance: runningVariance, ...run },
      groups,
      again: {
        shader: 'batch_norm_apply',
        constants,
        params: { columns, block, rows: part.rows, rows_per_part: part.rows_per_part, ...epilogue, epsilon },
        tensors: { moments, scale, shift, residual: scale, ...run },
      },
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
      const partials = tape.tensor('batch_norm.partials', [chunks, 2, columns * 4]);
      const summed = { input, output_gradient: outputGradient, ...(relu && { output, masked_gradient: gradient }) };
      const unused = tape.tensor('unused', [4]);
      overChunks(tape, division, summed, (run, size, groups) =>
        tape.launch('batch_norm_backward_sums', {
          constants: { ...constants, RELU: relu },
          params: { ...size, epsilon },
          tensors: { moments, output: scale, masked_gradient: unused, partials, ...run },
          groups,
        }),
      );

      const scaleGradient = tape.gradientTarget(scale);
      const shiftGradient = tape.gradientTarget(shift);
      const inputGradient = input.differentiable ? tape.gradientTarget(input) : undefined;
      const finish = (tensors: Record<string, Tensor>, part: RowsPart, groups: number) =>
        tape.launch('batch_norm_backward_input', {
          constants: { ...constants, BATCH_MOMENTS: training },
          params: { ...part, batch_rows: rows, chunks, epsilon },
          tensors: { input: scale, moments, partials, scale, scale_gradient: scaleGradient, shift_gradient: shiftGradient, ...tensors },
          groups,
        });
      if (inputGradient) {
        overRows(tape, division, { output_gradient: gradient, input_gradient: inputGradient, ...(training && { input }) }, finish);
      } else {
        const none = { columns, block, rows: 0, rows_per_part: rowsPerPart, once: 1 };
        finish({ output_gradient: scale, input_gradient: unused }, none, division.blocks);
      }
      return [inputGradient, scaleGradient, shiftGradient, gradient];
    },
  });
}

/** The work over [rows, 4 * columns]: workgroups take a block of columns of some of the rows. */
interface Division {
  constants: { THREADS: number; SHARED: boolean };
  columns: number;
  /** Columns of a workgroup at most, and the number of such blocks. */
  block: number;
  blocks: number;
  rows: number;
  /** First stage: `chunks` of `rowsPerChunk`, none empty. */
  chunks: number;
  rowsPerChunk: number;
  /** Second stage: rows of a part. */
  rowsPerPart: number;
  /** Chunks or parts of a workgroup. */
  partsPerGroup: number;
}

function divide(tape: Tape, input: Tensor): Division {
  const { threads, shared, groups, chunks: most, leastRows, rowsPerThread } = DIVISION[tape.gpu.adapter.isFallback ? 'software' : 'gpu'];
  const columns = channelsOf(input) / 4;
  const rows = sizeOf(input.shape.slice(0, -1));
  const blocks = Math.ceil(columns / MOST_COLUMNS);
  const block = Math.ceil(columns / blocks);
  const lanes = shared ? Math.floor(threads / block) : 1;
  const partsPerGroup = shared ? 1 : Math.floor(threads / block);
  const wanted = Math.min(most, Math.ceil((groups * partsPerGroup) / blocks), Math.ceil(rows / (lanes * leastRows)));
  const rowsPerChunk = Math.ceil(rows / wanted / ALIGNED_ROWS) * ALIGNED_ROWS;
  const chunks = Math.ceil(rows / rowsPerChunk);
  const constants = { THREADS: threads, SHARED: shared };
  return { constants, columns, block, blocks, rows, chunks, rowsPerChunk, rowsPerPart: lanes * rowsPerThread, partsPerGroup };
}

/** Params of a kernel over some of the rows. */
type RowsPart = Record<'columns' | 'block' | 'rows' | 'rows_per_part' | 'once', number>;

/** Calls `launch` with runs of the rows of tensors [..., C], for a kernel that treats them one by one. */
function overRows<T extends Record<string, Tensor>>(
  tape: Tape,
  { columns, block, blocks, rows, rowsPerPart, partsPerGroup }: Division,
  tensors: T,
  launch: (run: T, part: RowsPart, groups: number) => void,
): void {
  const channels = columns * 4;
  for (const part of partsOf(tape, rows, bytesOf(tensors, channels))) {
    const params = { columns, block, rows: part.count, rows_per_part: rowsPerPart, once: part.first === 0 ? 1 : 0 };
    launch(rowsOf(tape, tensors, part, [channels]), params, blocks * Math.ceil(part.count / (rowsPerPart * partsPerGroup)));
  }
}

/** Calls `launch` with runs of chunks of the rows of tensors [..., C], for a kernel that sums them by chunk. */
function overChunks<T extends Record<string, Tensor>>(
  tape: Tape,
  { columns, block, blocks, rows, chunks, rowsPerChunk, partsPerGroup }: Division,
  tensors: T,
  launch: (run: T, params: Record<'columns' | 'block' | 'rows' | 'rows_per_chunk' | 'first_chunk', number>, groups: number) => void,
): void {
  const channels = columns * 4;
  for (const part of partsOf(tape, chunks, bytesOf(tensors, rowsPerChunk * channels))) {
    const first = part.first * rowsPerChunk;
    const count = Math.min(part.count * rowsPerChunk, rows - first);
    const params = { columns, block, rows: count, rows_per_chunk: rowsPerChunk, first_chunk: part.first };
    launch(rowsOf(tape, tensors, { first, count }, [channels]), params, blocks * Math.ceil(part.count / partsPerGroup));
  }
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
