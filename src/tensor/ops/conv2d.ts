import { ShapeError } from '../../errors.js';
import type { Tape, Work } from '../tape.js';
import type { Tensor } from '../tensor.js';
import { launchColumnSum, partialsOf } from './column-sum.js';
import { type Conv2dSteps, depthOf, flopsOf, type Geometry, geometryOf } from './conv2d-geometry.js';
import { isDepthwise, launchDepthwise, launchDepthwiseBackwardInput, launchDepthwiseBackwardWeight, meetsOneChannel } from './depthwise.js';
import { type Family, fitsTexture, type Kernel, kernelFor, productClass, splitsOf } from './families.js';
import { launchPointwise, overImages, sumOverImages } from './parts.js';
import { launchWinograd, launchWinogradWeightGradient, prefersWinograd, type WinogradGeometry } from './winograd.js';

export interface Conv2dOptions extends Conv2dSteps {
  /** [Cout], added to every pixel. */
  bias?: Tensor;
  /** Applied last. Default none. */
  activation?: 'none' | 'relu';
  /** Of the output's shape, added before the activation. */
  residual?: Tensor;
}

/** Pixels that a thread of the direct kernels computes. */
const DIRECT_PIXELS = 4;
/** Pixels of a weight gradient's sum below which it is not worth dividing. */
const SHORTEST_SPLIT = 64;
/** Vec4 of sums in the registers of a lane of an outer product: more save loads, and spill. */
const LANE_QUADS = 24;
/** Vec4 of channels for which it keeps sums at a time: with more, it would have more weights to load than pixels; with fewer, some would be empty. */
const WIDE = 8;
const NARROW = [2, 4];
/** From which sizes a copy into a texture is worth while, measured on llvmpipe. */
const TEXTURE = { loads: 1, flops: 2 ** 21 };
/** KIND of the rectified linear unit in shaders/lib/activation.wgsl. */
const RELU = 0;

/**
 * Convolution (in the sense of deep learning: cross-correlation) of images [N, H, W, Cin] with a weight [kernel y, kernel x, Cin / groups, Cout]:
 * act(input ∗ weight + bias + residual) → [N, H', W', Cout] with H' = ⌊(H + padding − dilation · (kernel − 1) − 1) / stride⌋ + 1.
 * @throws ShapeError where shapes do not fit, or the kernel is larger than the padded image.
 */
export function conv2d(tape: Tape, input: Tensor, weight: Tensor, options: Conv2dOptions = {}): Tensor {
  const { bias, residual, activation = 'none' } = options;
  const geometry = geometryOf(input, weight, options);
  const outputShape = [geometry.batch, geometry.output_height, geometry.output_width, geometry.columns];
  if (bias && bias.shape.join() !== String(geometry.columns)) {
    throw new ShapeError(
      `conv2d: bias [${bias.shape}] for ${geometry.columns} output channels`,
      `It has one value per channel: [${geometry.columns}].`,
    );
  }
  if (residual && residual.shape.join() !== outputShape.join()) {
    throw new ShapeError(
      `conv2d: residual [${residual.shape}] for an output [${outputShape}]`,
      'Both are added element by element: give them one shape.',
    );
  }
  const relu = activation === 'relu';
  const output = tape.tensor('conv2d', outputShape, input.dtype);
  overImages(tape, { input, output, ...(residual && { residual }) }, (run, batch) =>
    launchForward(tape, { ...geometry, batch }, { weight, bias, residual: undefined, ...run }, relu),
  );

  return tape.record({
    name: 'conv2d',
    inputs: [input, weight, ...(bias ? [bias] : []), ...(residual ? [residual] : [])],
    output,
    gradient(outputGradient) {
      let gradient = outputGradient;
      if (relu) {
        // Under the activation's mask the output's gradient is the residual's, and what the others are made of.
        gradient = residual?.differentiable ? tape.gradientTarget(residual) : tape.tensor('conv2d.masked', outputShape, input.dtype);
        const tensors = { input: output, output_gradient: outputGradient, input_gradient: gradient };
        launchPointwise(tape, 'activation_backward', tensors, { constants: { KIND: RELU } });
      }
      let inputGradient: Tensor | undefined;
      if (input.differentiable) {
        inputGradient = tape.gradientTarget(input);
        const others = tape.takeGradient(input);
        overImages(tape, { gradient, inputGradient, ...(others && { residual: others }) }, (run, batch) =>
          launchBackwardInput(tape, { ...geometry, batch }, { weight, residual: undefined, ...run }),
        );
      }
      let weightGradient: Tensor | undefined;
      if (weight.differentiable) {
        weightGradient = tape.gradientTarget(weight);
        sumOverImages(tape, { input, gradient }, weightGradient, (run, batch, sum) =>
          launchBackwardWeight(tape, { ...geometry, batch }, run.input, run.gradient, sum),
        );
      }
      let biasGradient: Tensor | undefined;
      if (bias?.differentiable) {
        biasGradient = tape.gradientTarget(bias);
        sumOverImages(tape, { gradient }, biasGradient, (run, _, sum) => launchColumnSum(tape, run.gradient, geometry.columns, sum));
      }
      return [inputGradient, weightGradient, ...(bias ? [biasGradient] : []), ...(residual ? [gradient] : [])];
    },
  });
}

/** What shaders/winograd_input.wgsl is made for. */
function isWinograd({ kernel_y, kernel_x, stride_y, stride_x, dilation_y, dilation_x, groups }: Geometry): boolean {
  return kernel_y === 3 && kernel_x === 3 && [stride_y, stride_x, dilation_y, dilation_x, groups].every((value) => value === 1);
}

/** The convolution with the flipped weight that leads from the output's gradient back to the input's. */
function turn({
  batch,
  height,
  width,
  channels,
  output_height,
  output_width,
  columns,
  kernel_y,
  kernel_x,
  ...rest
}: Geometry): WinogradGeometry {
  return {
    ...{ batch, height: output_height, width: output_width, channels: columns },
    ...{ output_height: height, output_width: width, columns: channels },
    ...{ pad_top: kernel_y - 1 - rest.pad_top, pad_left: kernel_x - 1 - rest.pad_left },
  };
}

/** Neighbouring channels of one group that a thread of the direct kernels takes. */
function directChannels(channelsOfGroup: number): number {
  return channelsOfGroup % 4 === 0 ? 4 : 1;
}

/** The tile of an outer product whose lanes own pixels, with as many channels each as there are columns, but no more than it has registers for. */
function pixelTile(kernel: Kernel, columns: number): Kernel {
  if (kernel.family !== 'outer-product') return kernel;
  const QUADS = NARROW.find((quads) => columns <= 4 * quads) ?? WIDE;
  const PIXELS = LANE_QUADS / QUADS;
  const constants = { SUBGROUP: kernel.threads, PIXELS, QUADS };
  return { ...kernel, rows: PIXELS * kernel.threads, columns: 4 * QUADS, constants };
}

/** How often a forward convolution, or the gradient of its weight, loads a pixel of the input. */
function loadsOf({ kernel_y, kernel_x, stride_y, stride_x }: Geometry): number {
  return (kernel_y * kernel_x) / (stride_y * stride_x);
}

function isNarrow({ constants }: Kernel): boolean {
  return Number(constants.QUADS) < WIDE;
}

/** The name of one operand where it is worth while to copy it into a texture, each number of the copy being loaded so many times. */
function textureOf(kernel: Kernel, operand: Record<string, Tensor>, flops: number, loads: number): string[] {
  const [[name, tensor]] = Object.entries(operand) as [[string, Tensor]];
  return loads >= TEXTURE.loads && flops >= TEXTURE.flops && fitsTexture(kernel, tensor) ? [name] : [];
}

interface Operands {
  input: Tensor;
  weight: Tensor;
  bias: Tensor | undefined;
  residual: Tensor | undefined;
  output: Tensor;
}

function launchForward(tape: Tape, geometry: Geometry, { input, weight, bias, residual, output }: Operands, relu: boolean): void {
  const { batch, output_height, output_width, columns, channels } = geometry;
  const tensors = { input, weight, bias: bias ?? weight, residual: residual ?? input, output };
  const epilogue = { BIAS: bias !== undefined, RESIDUAL: residual !== undefined, RELU: relu };
  const flops = flopsOf(geometry);
  if (meetsOneChannel(geometry)) {
    launchDepthwise(tape, geometry, tensors, epilogue);
    return;
  }
  const pixels = batch * output_height * output_width;
  const size = { rows: pixels, columns, depth: depthOf(geometry), count: 1 };
  const thin = channels % 4 !== 0;
  const work: Work = {
    name: productClass('conv2d_forward', size),
    output,
    definition: { product: 'conv2d_forward', geometry, input, weight, bias, residual, relu },
    again: (other, standIn) => {
      const optional = (tensor: Tensor | undefined) => tensor && standIn(tensor);
      const stand = {
        input: standIn(input),
        weight: standIn(weight),
        bias: optional(bias),
        residual: optional(residual),
        output: standIn(output),
      };
      launchForward(other, geometry, stand, relu);
    },
  };
  const kernel = kernelFor(tape.gpu, 'conv2d_forward', size, familiesFor(geometry, columns % 4 === 0, thin));
  if (kernel.winograd && isWinograd(geometry) && prefersWinograd(tape.gpu, geometry)) {
    launchWinograd(tape, geometry, { input, weight, bias, residual, output }, { relu });
    return;
  }
  if (kernel.family === 'direct') {
    const CHANNELS = directChannels(columns / geometry.groups);
    const groups = Math.ceil((Math.ceil(pixels / DIRECT_PIXELS) * (columns / CHANNELS)) / kernel.threads);
    tape.launch('conv2d_forward_direct', {
      constants: { CHANNELS, ...epilogue },
      params: { ...geometry },
      ...{ tensors, groups, flops, work },
    });
    return;
  }
  const tile = thin ? kernel : pixelTile(kernel, columns);
  const groups = Math.ceil(pixels / tile.rows) * Math.ceil(columns / tile.columns);
  // Of a narrow product most of what is loaded are pixels.
  const textures = isNarrow(tile)
    ? textureOf(tile, { input }, flops, loadsOf(geometry))
    : textureOf(tile, { weight }, flops, pixels / tile.rows);
  tape.launch(kernel.family === 'tiled' ? 'conv2d_forward_tiled' : thin ? 'conv2d_forward_thin' : 'conv2d_forward', {
    constants: { ...tile.constants, ...epilogue },
    params: { ...geometry, groups },
    textures: thin ? [] : textures,
    ...{ tensors, groups, flops, work },
  });
}

interface BackwardOperands {
  gradient: Tensor;
  weight: Tensor;
  residual: Tensor | undefined;
  inputGradient: Tensor;
}

function launchBackwardInput(tape: Tape, geometry: Geometry, { gradient, weight, residual, inputGradient }: BackwardOperands): void {
  const { batch, height, width, channels, columns, stride_y, stride_x } = geometry;
  /** For kernels that do not add a residual. */
  const withoutResidual = (launch: (inputGradient: Tensor) => void) => {
    const share = residual ? tape.tensor('conv2d.input_gradient', inputGradient.shape, inputGradient.dtype) : inputGradient;
    launch(share);
    if (residual) launchPointwise(tape, 'add', { left: residual, right: share, output: inputGradient });
  };
  if (isDepthwise(geometry)) {
    withoutResidual((share) => launchDepthwiseBackwardInput(tape, geometry, { output_gradient: gradient, weight, input_gradient: share }));
    return;
  }
  const flops = flopsOf(geometry);
  // The pixels that meet the same taps form one product.
  const phases = stride_y * stride_x;
  const rows = batch * Math.ceil(height / stride_y) * Math.ceil(width / stride_x);
  const size = { rows, columns: channels, depth: Math.ceil((geometry.kernel_y * geometry.kernel_x * columns) / phases), count: phases };
  const work: Work = {
    name: productClass('conv2d_backward_input', size),
    output: inputGradient,
    definition: { product: 'conv2d_backward_input', geometry, outputGradient: gradient, weight, residual },
    again: (other, standIn) => {
      const stand = { gradient: standIn(gradient), weight: standIn(weight), inputGradient: standIn(inputGradient) };
      launchBackwardInput(other, geometry, { ...stand, residual: residual && standIn(residual) });
    },
  };
  const kernel = kernelFor(tape.gpu, 'conv2d_backward_input', size, familiesFor(geometry, channels % 4 === 0 && columns % 4 === 0));
  if (kernel.family === 'direct') {
    const CHANNELS = directChannels(channels);
    const inputChannels = channels * geometry.groups;
    const { columns: _, ...sizes } = geometry;
    withoutResidual((share) =>
      tape.launch('conv2d_backward_input_direct', {
        constants: { CHANNELS },
        params: { ...sizes, depth: columns / geometry.groups },
        tensors: { output_gradient: gradient, weight, input_gradient: share },
        groups: Math.ceil((Math.ceil((batch * height * width) / DIRECT_PIXELS) * (inputChannels / CHANNELS)) / kernel.threads),
        ...{ flops, work },
      }),
    );
    return;
  }
  const turned = turn(geometry);
  if (kernel.winograd && isWinograd(geometry) && prefersWinograd(tape.gpu, turned)) {
    const tensors = { input: gradient, weight, bias: undefined, residual, output: inputGradient };
    launchWinograd(tape, turned, tensors, { flipped: true });
    return;
  }
  const tile = pixelTile(kernel, channels);
  const row_tiles = Math.ceil(rows / tile.rows);
  const groups = phases * row_tiles * Math.ceil(channels / tile.columns);
  const { channels: _, ...sizes } = geometry;
  const textures = isNarrow(tile)
    ? textureOf(tile, { output_gradient: gradient }, flops, geometry.kernel_y * geometry.kernel_x)
    : textureOf(tile, { weight }, flops, rows / tile.rows);
  tape.launch(kernel.family === 'tiled' ? 'conv2d_backward_input_tiled' : 'conv2d_backward_input', {
    constants: tile.constants,
    params: { ...sizes, columns: channels, depth: columns, row_tiles, groups, has_residual: residual ? 1 : 0 },
    tensors: { output_gradient: gradient, weight, residual: residual ?? gradient, input_gradient: inputGradient },
    textures,
    ...{ groups, flops, work },
  });
}

function launchBackwardWeight(tape: Tape, geometry: Geometry, input: Tensor, outputGradient: Tensor, weightGradient: Tensor): void {
  const { batch, output_height, output_width, columns, kernel_y, kernel_x, channels } = geometry;
  if (meetsOneChannel(geometry)) {
    launchDepthwiseBackwardWeight(tape, geometry, { input, outputGradient, weightGradient });
    return;
  }
  const flops = flopsOf(geometry);
  const pixels = batch * output_height * output_width;
  const taps = kernel_y * kernel_x;
  let partials: Tensor;
  const size = { rows: channels, columns, depth: pixels, count: taps * Math.max(1, Math.floor(pixels / SHORTEST_SPLIT)) };
  const work: Work = {
    name: productClass('conv2d_backward_weight', size),
    output: weightGradient,
    definition: { product: 'conv2d_backward_weight', geometry, input, outputGradient },
    again: (other, standIn) => launchBackwardWeight(other, geometry, standIn(input), standIn(outputGradient), standIn(weightGradient)),
  };
  const kernel = kernelFor(tape.gpu, 'conv2d_backward_weight', size, familiesFor(geometry, channels % 4 === 0 && columns % 4 === 0));
  if (kernel.winograd && isWinograd(geometry) && prefersWinograd(tape.gpu, geometry, { ofWeight: true })) {
    launchWinogradWeightGradient(tape, geometry, { input, outputGradient, weightGradient });
    return;
  }
  if (kernel.family === 'direct') {
    const CHANNELS = directChannels(columns / geometry.groups);
    const TAPS = taps === 1 ? 1 : 9;
    const threads = (columns / CHANNELS) * channels * Math.ceil(taps / TAPS);
    const pixelsPerSplit = Math.ceil(pixels / splitsOf(tape.gpu, threads / kernel.threads, kernel.threads, pixels, SHORTEST_SPLIT));
    const splits = Math.ceil(pixels / pixelsPerSplit);
    partials = partialsOf(tape, splits, weightGradient);
    const { batch: _, ...sizes } = geometry;
    tape.launch('conv2d_backward_weight_direct', {
      constants: { CHANNELS, TAPS },
      params: { ...sizes, pixels, pixels_per_split: pixelsPerSplit },
      tensors: { input, output_gradient: outputGradient, partials },
      groups: Math.ceil((threads * splits) / kernel.threads),
      ...{ flops, work },
    });
  } else {
    // Here the rows are channels, not pixels: those of one tap, or of few output channels, where that leaves lanes idle, of all taps.
    const tiled = kernel.family === 'tiled';
    const tile = pixelTile(kernel, columns);
    const narrow = isNarrow(tile) && (taps * channels) / 4 >= kernel.threads;
    const rows = narrow ? 4 * kernel.threads : tiled ? kernel.rows : channels <= 16 && kernel.threads <= 16 ? 16 : 32;
    const rowTiles = narrow ? Math.ceil((taps * channels) / rows) : taps * Math.ceil(channels / rows);
    const tiles = rowTiles * Math.ceil(columns / (narrow ? tile : kernel).columns);
    const splits = splitsOf(tape.gpu, tiles, kernel.threads, pixels, SHORTEST_SPLIT);
    partials = partialsOf(tape, splits, weightGradient);
    const groups = tiles * splits;
    const launch = {
      params: { ...geometry, splits, groups },
      tensors: { input, output_gradient: outputGradient, partials },
      ...{ groups, flops, work },
    };
    if (narrow) {
      const constants = { SUBGROUP: kernel.threads, QUADS: tile.columns / 4 };
      const textures = textureOf(kernel, { input }, flops, loadsOf(geometry));
      tape.launch('conv2d_backward_weight_narrow', { ...launch, constants, textures });
    } else {
      const constants = tiled ? kernel.constants : { ...kernel.constants, ROWS: rows };
      const textures = textureOf(kernel, { output_gradient: outputGradient }, flops, taps);
      tape.launch(tiled ? 'conv2d_backward_weight_tiled' : 'conv2d_backward_weight', { ...launch, constants, textures });
    }
  }
  if (partials !== weightGradient) launchColumnSum(tape, partials, weightGradient.size, weightGradient);
}

/** Which kernels take a convolution: those that load vec4 want one group and whole channels, but for the outer products of a thin input. */
function familiesFor({ groups }: Geometry, whole: boolean, thin = false): Family[] {
  if (groups > 1 || !whole) return ['direct'];
  return thin ? ['outer-product', 'direct'] : ['outer-product', 'tiled', 'direct'];
}
