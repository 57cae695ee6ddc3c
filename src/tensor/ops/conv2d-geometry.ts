/** Sizes of a convolution. */
import { ShapeError } from '../../errors.js';
import type { Tensor } from '../tensor.js';

/** How the kernel moves over the image. */
export interface Conv2dSteps {
  /** Along both axes, or [y, x]. Default 1. */
  stride?: number | [number, number];
  /** Zero pixels around the image: on all sides, [y, x], or [top, bottom, left, right]. Default 0. */
  padding?: number | [number, number] | [number, number, number, number];
  /** Distance of the kernel's taps: along both axes, or [y, x]. Default 1. */
  dilation?: number | [number, number];
  /** Input and output channels fall into so many groups, convolved one by one. Default 1. */
  groups?: number;
}

/** All sizes of a convolution, named as the params of its shaders. */
export interface Geometry {
  batch: number;
  height: number;
  width: number;
  /** Input channels of one group. */
  channels: number;
  output_height: number;
  output_width: number;
  /** Output channels of all groups. */
  columns: number;
  kernel_y: number;
  kernel_x: number;
  stride_y: number;
  stride_x: number;
  pad_top: number;
  pad_left: number;
  dilation_y: number;
  dilation_x: number;
  groups: number;
}

/** @throws ShapeError where shapes do not fit, or the kernel is larger than the padded image. */
export function geometryOf(input: Tensor, weight: Tensor, { stride = 1, padding = 0, dilation = 1, groups = 1 }: Conv2dSteps): Geometry {
  const fail = (what: string, remedy: string): never => {
    throw new ShapeError(`conv2d of [${input.shape}] with weight [${weight.shape}]: ${what}`, remedy);
  };
  if (input.shape.length !== 4 || weight.shape.length !== 4) {
    fail('both need four axes', 'Input is [N, H, W, Cin], weight [kernel y, kernel x, Cin / groups, Cout].');
  }
  const [batch, height, width, inputChannels] = input.shape as [number, number, number, number];
  const [kernel_y, kernel_x, channels, columns] = weight.shape as [number, number, number, number];
  if (channels * groups !== inputChannels) {
    fail(`${inputChannels} input channels in ${groups} groups`, `The weight is for ${channels * groups}.`);
  }
  if (columns % groups !== 0) fail(`${columns} output channels in ${groups} groups`, 'The groups must divide them.');
  const [stride_y, stride_x] = pair(stride);
  const [dilation_y, dilation_x] = pair(dilation);
  for (const value of [stride_y, stride_x, dilation_y, dilation_x]) {
    if (!Number.isInteger(value) || value < 1) fail(`stride ${stride}, dilation ${dilation}`, 'Both are whole numbers from 1.');
  }
  const [pad_top, bottom, pad_left, right] = sides(padding);
  for (const value of [pad_top, bottom, pad_left, right]) {
    if (!Number.isInteger(value) || value < 0) fail(`padding ${padding}`, 'It is in whole pixels, not negative.');
  }
  const output_height = Math.floor((height + pad_top + bottom - dilation_y * (kernel_y - 1) - 1) / stride_y) + 1;
  const output_width = Math.floor((width + pad_left + right - dilation_x * (kernel_x - 1) - 1) / stride_x) + 1;
  if (output_height < 1 || output_width < 1) {
    fail('the kernel is larger than the padded image', 'Use larger images, more padding or a smaller kernel.');
  }
  return {
    ...{ batch, height, width, channels, output_height, output_width, columns, kernel_y, kernel_x },
    ...{ stride_y, stride_x, pad_top, pad_left, dilation_y, dilation_x, groups },
  };
}

function pair(value: number | [number, number]): [number, number] {
  return typeof value === 'number' ? [value, value] : value;
}

/** [top, bottom, left, right] */
function sides(padding: NonNullable<Conv2dSteps['padding']>): [number, number, number, number] {
  if (typeof padding !== 'number' && padding.length === 4) return padding;
  const [y, x] = pair(padding);
  return [y, y, x, x];
}

/** Multiply-adds counted twice, those with padding included: the same for all three directions. */
export function flopsOf(geometry: Geometry): number {
  const { batch, output_height, output_width, columns } = geometry;
  return 2 * batch * output_height * output_width * columns * depthOf(geometry);
}

/** Terms of one output. */
export function depthOf({ kernel_y, kernel_x, channels }: Geometry): number {
  return kernel_y * kernel_x * channels;
}
