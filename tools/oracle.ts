/** Elements of products by their definition, one multiply-add after the other in float64: what a kernel's results are held against. */
import { uniform } from '#src/random.js';
import type { Geometry } from '#src/tensor/ops/conv2d-geometry.js';
import type { Definition } from '#src/tensor/tape.js';
import { sizeOf, type Tensor } from '#src/tensor/tensor.js';

export interface Element {
  /** Its place in the output tensor. */
  at: number;
  value: number;
  /** Sum of the terms' absolute values. Rounding in float32, in whatever order, comes to a few 2⁻²⁴ of it, where the terms' signs are random. */
  size: number;
}

type ValuesOf = (tensor: Tensor) => ArrayLike<number>;

/** Elements drawn at random, beside those at borders. */
const RANDOM_ELEMENTS = 256;
/** Elements for each border of an axis: at random places along the others. */
const BORDER_ELEMENTS = 2;
/** Sides of the tiles into which kernels divide their outputs. */
const TILE_SIDES = [4, 8, 16, 24, 32, 48, 64, 128];

/**
 * Some hundred elements of a product's output: corners, places on both sides of the borders of tiles, in the first tile and the last, along each axis and
 * along the rows of the product (which for a convolution are all pixels), and others at random. The same ones each time.
 */
export function sampleOf(definition: Definition, valuesOf: ValuesOf): Element[] {
  return positionsOf(shapeOf(definition)).map((position) => elementAt(definition, position, valuesOf));
}

function shapeOf(definition: Definition): number[] {
  if (definition.product === 'matmul') {
    const { batch, rows, columns } = definition.extent;
    return [batch, rows, columns];
  }
  const { geometry } = definition;
  const { batch, height, width, channels, groups, output_height, output_width, columns, kernel_y, kernel_x } = geometry;
  if (definition.product === 'conv2d_forward') return [batch, output_height, output_width, columns];
  if (definition.product === 'conv2d_backward_input') return [batch, height, width, channels * groups];
  return [kernel_y, kernel_x, channels, columns];
}

function positionsOf(shape: readonly number[]): number[][] {
  const size = sizeOf(shape);
  let drawn = 0;
  const draw = (extent: number) => Math.floor(extent * uniform(0, 0, drawn++));
  const places = new Set([0, size - 1]);
  const columns = shape.at(-1)!;
  for (const axes of [shape, [size / columns, columns]]) {
    for (const [axis, extent] of axes.entries()) {
      for (const border of bordersOf(extent)) {
        for (let i = 0; i < BORDER_ELEMENTS; i++) {
          places.add(axes.reduce((place, length, other) => place * length + (other === axis ? border : draw(length)), 0));
        }
      }
    }
  }
  for (let i = 0; i < RANDOM_ELEMENTS; i++) places.add(draw(size));
  return [...places].map((place) => unravel(place, shape));
}

function bordersOf(extent: number): Set<number> {
  const borders = TILE_SIDES.flatMap((side) => {
    const last = Math.floor((extent - 1) / side) * side;
    return [side - 1, side, last - 1, last];
  });
  return new Set([0, ...borders, extent - 1].filter((border) => border >= 0 && border < extent));
}

function elementAt(definition: Definition, position: number[], valuesOf: ValuesOf): Element {
  let value = 0;
  let size = 0;
  const add = (term: number) => {
    value += term;
    size += Math.abs(term);
  };
  const at = ELEMENTS[definition.product](definition as never, position, valuesOf, add);
  const isCut = definition.product === 'conv2d_forward' && definition.relu && value < 0;
  return { at, value: isCut ? 0 : value, size };
}

type Add = (term: number) => void;
type Of<Product> = Extract<Definition, { product: Product }>;

/** Each adds the terms of one element, and tells its place. */
const ELEMENTS: { [Product in Definition['product']]: (of: Of<Product>, position: number[], valuesOf: ValuesOf, add: Add) => number } = {
  matmul({ extent, a, b, bias, outputPitch }, [matrix, row, column], valuesOf, add) {
    const { rows, depth, columns } = extent;
    const [left, right] = [valuesOf(a.tensor), valuesOf(b.tensor)];
    const { pitch = a.transposed ? rows : depth } = a;
    const leftMatrix = a.shared ? 0 : matrix * (a.transposed ? depth : rows) * pitch;
    const rightMatrix = b.shared ? 0 : matrix * depth * columns;
    for (let k = 0; k < depth; k++) {
      const inLeft = a.transposed ? k * pitch + row : row * pitch + k;
      const inRight = b.transposed ? column * depth + k : k * columns + column;
      add(left[leftMatrix + inLeft] * right[rightMatrix + inRight]);
    }
    if (bias) add(valuesOf(bias)[column]);
    return (matrix * rows + row) * outputPitch + column;
  },

  conv2d_forward({ geometry, ...operands }, [image, oy, ox, column], valuesOf, add) {
    const { kernel_y, kernel_x, channels, columns, groups } = geometry;
    const [input, weight] = [valuesOf(operands.input), valuesOf(operands.weight)];
    const group = Math.floor(column / (columns / groups));
    for (let ky = 0; ky < kernel_y; ky++) {
      for (let kx = 0; kx < kernel_x; kx++) {
        const pixel = inputPixel(geometry, image, oy, ox, ky, kx);
        if (pixel === undefined) continue;
        for (let c = 0; c < channels; c++) {
          add(input[(pixel * groups + group) * channels + c] * weight[((ky * kernel_x + kx) * channels + c) * columns + column]);
        }
      }
    }
    const at = outputPixel(geometry, image, oy, ox) * columns + column;
    if (operands.bias) add(valuesOf(operands.bias)[column]);
    if (operands.residual) add(valuesOf(operands.residual)[at]);
    return at;
  },

  conv2d_backward_input({ geometry, ...operands }, [image, y, x, channel], valuesOf, add) {
    const { height, width, kernel_y, kernel_x, channels, columns, groups } = geometry;
    const { output_height, output_width, stride_y, stride_x, pad_top, pad_left, dilation_y, dilation_x } = geometry;
    const [gradient, weight] = [valuesOf(operands.outputGradient), valuesOf(operands.weight)];
    const columnsOfGroup = columns / groups;
    const first = Math.floor(channel / channels) * columnsOfGroup;
    for (let ky = 0; ky < kernel_y; ky++) {
      for (let kx = 0; kx < kernel_x; kx++) {
        // The output pixel that meets this one by the tap, if there is one.
        const oy = (y + pad_top - ky * dilation_y) / stride_y;
        const ox = (x + pad_left - kx * dilation_x) / stride_x;
        if (!Number.isInteger(oy) || !Number.isInteger(ox) || oy < 0 || ox < 0 || oy >= output_height || ox >= output_width) continue;
        for (let column = first; column < first + columnsOfGroup; column++) {
          const inWeight = ((ky * kernel_x + kx) * channels + (channel % channels)) * columns + column;
          add(gradient[outputPixel(geometry, image, oy, ox) * columns + column] * weight[inWeight]);
        }
      }
    }
    const place = ((image * height + y) * width + x) * channels * groups + channel;
    if (operands.residual) add(valuesOf(operands.residual)[place]);
    return place;
  },

  conv2d_backward_weight({ geometry, ...operands }, [ky, kx, channel, column], valuesOf, add) {
    const { batch, output_height, output_width, kernel_x, channels, columns, groups } = geometry;
    const [input, gradient] = [valuesOf(operands.input), valuesOf(operands.outputGradient)];
    const group = Math.floor(column / (columns / groups));
    for (let image = 0; image < batch; image++) {
      for (let oy = 0; oy < output_height; oy++) {
        for (let ox = 0; ox < output_width; ox++) {
          const pixel = inputPixel(geometry, image, oy, ox, ky, kx);
          if (pixel === undefined) continue;
          const inInput = (pixel * groups + group) * channels + channel;
          add(input[inInput] * gradient[outputPixel(geometry, image, oy, ox) * columns + column]);
        }
      }
    }
    return ((ky * kernel_x + kx) * channels + channel) * columns + column;
  },
};

/** The input pixel that a tap meets, counted over all images; undefined in the padding. */
function inputPixel(geometry: Geometry, image: number, oy: number, ox: number, ky: number, kx: number): number | undefined {
  const { height, width, stride_y, stride_x, pad_top, pad_left, dilation_y, dilation_x } = geometry;
  const y = oy * stride_y - pad_top + ky * dilation_y;
  const x = ox * stride_x - pad_left + kx * dilation_x;
  return y < 0 || x < 0 || y >= height || x >= width ? undefined : (image * height + y) * width + x;
}

function outputPixel({ output_height, output_width }: Geometry, image: number, oy: number, ox: number): number {
  return (image * output_height + oy) * output_width + ox;
}

function unravel(place: number, shape: readonly number[]): number[] {
  const position: number[] = [];
  let rest = place;
  for (const extent of shape.toReversed()) {
    position.unshift(rest % extent);
    rest = Math.floor(rest / extent);
  }
  return position;
}
