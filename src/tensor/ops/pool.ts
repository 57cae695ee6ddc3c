import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';
import { channelsOf, overWholeQuads } from './channels.js';
import { overImages } from './parts.js';

/** One number for both axes, or [along y, along x]. */
type Pair = number | readonly [number, number];

export interface PoolOptions {
  /** Cells of a window. */
  kernel: Pair;
  /** From one window to the next; by default the kernel, so that windows touch. */
  stride?: Pair;
  /** Cells around the image that exist for no sum and no maximum; at most half of the kernel. */
  padding?: Pair;
}

const THREADS_PER_GROUP = 64;
/** Neighbouring cells along x that one thread walks. */
const RUN = 16;
/** The place of a maximum in its window is kept in a byte. */
const MOST_PLACES = 256;

/**
 * Maximum over windows, [N, H, W, C] → [N, H', W', C] with H' = ⌊(H + 2·padding − kernel) / stride⌋ + 1. Of equal maxima the first in row
 * order gets the gradient; NaN wins over numbers.
 * @throws ShapeError where the window does not fit.
 */
export function maxPool2d(tape: Tape, input: Tensor, options: PoolOptions): Tensor {
  const window = poolWindow('maxPool2d', input, options);
  const { kernel_height: height, kernel_width: width } = window;
  if (height * width > MOST_PLACES) {
    throw new ShapeError(`maxPool2d with a kernel of ${height} x ${width}`, `A window holds at most ${MOST_PLACES} cells.`);
  }
  return overWholeQuads(tape, input, (quads) => {
    const columns = channelsOf(quads) / 4;
    const cells = outputCells(window);
    const output = tape.tensor('max_pool2d', [...cells, columns * 4], input.dtype);
    const places = tape.tensor('max_pool2d.places', [...cells, columns], 'u32');
    overImages(tape, { input: quads, output, places }, (tensors, images) => {
      const groups = groupsOver(outputCells({ ...window, images }), columns);
      tape.launch('max_pool2d_forward', { params: { ...window, images, columns }, tensors, groups, again: 'same' });
    });
    return tape.record({
      name: 'maxPool2d',
      inputs: [quads],
      output,
      gradient(outputGradient) {
        const inputGradient = tape.gradientTarget(quads);
        overImages(tape, { places, output_gradient: outputGradient, input_gradient: inputGradient }, (tensors, images) => {
          const groups = groupsOver(inputCells({ ...window, images }), columns);
          tape.launch('max_pool2d_backward', { params: { ...window, images, columns }, tensors, groups });
        });
        return [inputGradient];
      },
    });
  });
}

/**
 * Mean over windows, [N, H, W, C] → [N, H', W', C] with the sizes of maxPool2d. Padding does not count: a window at the border is divided
 * by the number of the image's cells that it covers (PyTorch's count_include_pad=False).
 * @throws ShapeError where the window does not fit.
 */
export function averagePool2d(tape: Tape, input: Tensor, options: PoolOptions): Tensor {
  const window = poolWindow('averagePool2d', input, options);
  return averageOverWindows(tape, 'averagePool2d', input, window, outputCells(window));
}

/** Mean over each image, [N, H, W, C] → [N, C]. */
export function globalAveragePool(tape: Tape, input: Tensor): Tensor {
  const [images, height, width] = imageShape('globalAveragePool', input);
  return averageOverWindows(tape, 'globalAveragePool', input, poolWindow('globalAveragePool', input, { kernel: [height, width] }), [
    images,
  ]);
}

/** @param leading the output's shape but for the channels. */
function averageOverWindows(tape: Tape, name: string, input: Tensor, window: PoolWindow, leading: readonly number[]): Tensor {
  return overWholeQuads(tape, input, (quads) => {
    const columns = channelsOf(quads) / 4;
    const output = tape.tensor('average_pool2d', [...leading, columns * 4], input.dtype);
    overImages(tape, { input: quads, output }, (tensors, images) => {
      const groups = groupsOver(outputCells({ ...window, images }), columns);
      tape.launch('average_pool2d_forward', { params: { ...window, images, columns }, tensors, groups, again: 'same' });
    });
    return tape.record({
      name,
      inputs: [quads],
      output,
      gradient(outputGradient) {
        const inputGradient = tape.gradientTarget(quads);
        overImages(tape, { output_gradient: outputGradient, input_gradient: inputGradient }, (tensors, images) => {
          const groups = groupsOver(inputCells({ ...window, images }), columns);
          tape.launch('average_pool2d_backward', { params: { ...window, images, columns }, tensors, groups });
        });
        return [inputGradient];
      },
    });
  });
}

/** The params of lib/pool.wgsl, without the channels. */
type PoolWindow = ReturnType<typeof poolWindow>;

function poolWindow(operator: string, input: Tensor, { kernel, stride = kernel, padding = 0 }: PoolOptions) {
  const [images, inputHeight, inputWidth] = imageShape(operator, input);
  const [kernelHeight, kernelWidth] = pair(kernel);
  const [strideY, strideX] = pair(stride);
  const [paddingY, paddingX] = pair(padding);
  const window = `${operator} of [${input.shape}] with kernel ${pair(kernel)}, stride ${pair(stride)}, padding ${pair(padding)}`;
  const counts = [kernelHeight, kernelWidth, strideY, strideX];
  if (
    !counts.every((count) => Number.isInteger(count) && count > 0) ||
    ![paddingY, paddingX].every((count) => Number.isInteger(count) && count >= 0)
  ) {
    throw new ShapeError(window, 'Kernel and stride are positive whole numbers, padding whole and not negative.');
  }
  if (2 * paddingY > kernelHeight || 2 * paddingX > kernelWidth)
    throw new ShapeError(window, 'Padding is at most half of the kernel, else a window could be empty.');
  if (inputHeight + 2 * paddingY < kernelHeight || inputWidth + 2 * paddingX < kernelWidth)
    throw new ShapeError(window, 'The kernel is larger than the padded image.');
  return {
    images,
    input_height: inputHeight,
    input_width: inputWidth,
    output_height: Math.floor((inputHeight + 2 * paddingY - kernelHeight) / strideY) + 1,
    output_width: Math.floor((inputWidth + 2 * paddingX - kernelWidth) / strideX) + 1,
    kernel_height: kernelHeight,
    kernel_width: kernelWidth,
    stride_y: strideY,
    stride_x: strideX,
    padding_y: paddingY,
    padding_x: paddingX,
    run: RUN,
  };
}

function imageShape(operator: string, input: Tensor): readonly [number, number, number] {
  if (input.shape.length !== 4) throw new ShapeError(`${operator} of [${input.shape}]`, 'It takes images [N, H, W, C].');
  return [input.shape[0], input.shape[1], input.shape[2]];
}

function inputCells(window: PoolWindow): [number, number, number] {
  return [window.images, window.input_height, window.input_width];
}

function outputCells(window: PoolWindow): [number, number, number] {
  return [window.images, window.output_height, window.output_width];
}

function groupsOver([images, height, width]: [number, number, number], columns: number): number {
  return Math.ceil((images * height * Math.ceil(width / RUN) * columns) / THREADS_PER_GROUP);
}

function pair(value: Pair): readonly [number, number] {
  return typeof value === 'number' ? [value, value] : value;
}
