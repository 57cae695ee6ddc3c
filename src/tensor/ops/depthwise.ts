/** Convolutions in which an output channel meets one input channel: bound by their loads, they have kernels of their own. */
import type { Gpu } from '../../gpu/gpu.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';
import { launchColumnSum, partialsOf } from './column-sum.js';
import { flopsOf, type Geometry } from './conv2d-geometry.js';
import { splitsOf } from './families.js';

const THREADS = 64;
/** Pixels under the kernel and one step of it, 8×8: beyond them a thread would want too many registers, and a driver compile for too long. */
const LARGEST_FIELD = 64;
/** Pixels of a weight gradient's sum below which it is not worth dividing. */
const SHORTEST_SPLIT = 64;

/** Whether these kernels take the convolution: of a grey image, or with an output channel for each input channel; in whole vec4. */
export function meetsOneChannel({ channels, columns, groups, ...kernel }: Geometry): boolean {
  const field =
    ((kernel.kernel_y - 1) * kernel.dilation_y + kernel.stride_y) * ((kernel.kernel_x - 1) * kernel.dilation_x + kernel.stride_x);
  return channels === 1 && (groups === columns || groups === 1) && columns % 4 === 0 && field <= LARGEST_FIELD;
}

/** The same for the gradient with respect to the input, in which a grey pixel meets all output channels. */
export function isDepthwise(geometry: Geometry): boolean {
  return meetsOneChannel(geometry) && geometry.groups === geometry.columns;
}

/**
 * Lines that a thread computes at once, and pixels along which it walks: the more, the fewer numbers are loaded twice. A GPU needs many threads more
 * urgently.
 */
function blockOf({ adapter }: Gpu): { lines: number; run: number } {
  return adapter.isFallback ? { lines: 2, run: 32 } : { lines: 1, run: 8 };
}

/** What is known of the kernel when the shader is compiled. */
function constantsOf({ kernel_y, kernel_x, stride_y, stride_x, dilation_y, dilation_x }: Geometry): Record<string, number> {
  return {
    ...{ KERNEL_Y: kernel_y, KERNEL_X: kernel_x, STRIDE_Y: stride_y, STRIDE_X: stride_x },
    ...{ DILATION_Y: dilation_y, DILATION_X: dilation_x },
  };
}

/** @param tensors of shaders/depthwise_forward.wgsl */
export function launchDepthwise(
  tape: Tape,
  geometry: Geometry,
  tensors: Record<'input' | 'weight' | 'bias' | 'residual' | 'output', Tensor>,
  epilogue: Record<'BIAS' | 'RESIDUAL' | 'RELU', boolean>,
): void {
  const { batch, output_height, output_width, columns } = geometry;
  const { lines, run } = blockOf(tape.gpu);
  const threads = batch * Math.ceil(output_height / lines) * Math.ceil(output_width / run) * (columns / 4);
  tape.launch('depthwise_forward', {
    constants: { ...constantsOf(geometry), GREY: geometry.groups === 1, LINES: lines, RUN: run, ...epilogue },
    params: { ...geometry },
    tensors,
    groups: Math.ceil(threads / THREADS),
    flops: flopsOf(geometry),
  });
}

/** @param tensors of shaders/depthwise_backward_input.wgsl */
export function launchDepthwiseBackwardInput(
  tape: Tape,
  geometry: Geometry,
  tensors: Record<'output_gradient' | 'weight' | 'input_gradient', Tensor>,
): void {
  const { batch, height, width, columns, stride_y, stride_x, pad_top, pad_left, output_height, output_width } = geometry;
  const { lines, run } = blockOf(tape.gpu);
  // Here both count in strides.
  const block = Math.ceil(lines / stride_y);
  const blocks = Math.ceil((height + (pad_top % stride_y)) / (block * stride_y));
  const steps = Math.ceil((width + (pad_left % stride_x)) / stride_x);
  const threads = batch * blocks * Math.ceil(steps / run) * (columns / 4);
  tape.launch('depthwise_backward_input', {
    constants: { ...constantsOf(geometry), BLOCK: block, RUN: run },
    params: { batch, height, width, output_height, output_width, columns, pad_top, pad_left },
    tensors,
    groups: Math.ceil(threads / THREADS),
    flops: flopsOf(geometry),
  });
}

export function launchDepthwiseBackwardWeight(
  tape: Tape,
  geometry: Geometry,
  { input, outputGradient, weightGradient }: Record<'input' | 'outputGradient' | 'weightGradient', Tensor>,
): void {
  const { batch, height, width, output_height, output_width, columns, pad_top, pad_left } = geometry;
  const { lines } = blockOf(tape.gpu);
  const quads = columns / 4;
  const pixels = batch * output_height * output_width;
  const blocks = batch * Math.ceil(output_height / lines);
  const blocksPerSplit = Math.ceil(blocks / splitsOf(tape.gpu, quads / THREADS, THREADS, pixels, SHORTEST_SPLIT));
  const splits = Math.ceil(blocks / blocksPerSplit);
  const partials = partialsOf(tape, splits, weightGradient);
  tape.launch('depthwise_backward_weight', {
    constants: { ...constantsOf(geometry), GREY: geometry.groups === 1, LINES: lines },
    params: { height, width, output_height, output_width, columns, pad_top, pad_left, blocks, blocks_per_split: blocksPerSplit },
    tensors: { input, output_gradient: outputGradient, partials },
    groups: Math.ceil((splits * quads) / THREADS),
    flops: flopsOf(geometry),
  });
  if (partials !== weightGradient) launchColumnSum(tape, partials, weightGradient.size, weightGradient);
}
