import type { Gpu } from '../../gpu/gpu.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';
import { launchProduct, type Side } from './matmul.js';

/** A 3×3 convolution with stride 1 from images [batch, height, width, channels] to [batch, output_height, output_width, columns]. */
export interface WinogradGeometry {
  batch: number;
  height: number;
  width: number;
  channels: number;
  output_height: number;
  output_width: number;
  columns: number;
  pad_top: number;
  pad_left: number;
}

export interface WinogradTensors {
  input: Tensor;
  /** [3, 3, channels, columns], or of a flipped convolution [3, 3, columns, channels]. */
  weight: Tensor;
  bias: Tensor | undefined;
  residual: Tensor | undefined;
  output: Tensor;
}

/** Side of an output tile, and the points at which a tile's polynomials are multiplied: along a side, and in all. */
const TILE = 4;
const SIDE = 6;
const POINTS = SIDE ** 2;
const THREADS = 64;
/** Of transformed tiles at a time: little memory, but few launches, as each takes JavaScript 5 µs. From 4 MiB on a step is no faster. */
const CHUNK_BYTES = 10 * 2 ** 20;
/** The same for the weight gradient, where each chunk's products are as large as 36 / 9 weights. */
const WEIGHT_CHUNK_BYTES = 16 * 2 ** 20;
/** What moving one number in or out of the transformed form costs, in multiply-adds of a product: measured on llvmpipe. */
const TRANSFER = 48;

/**
 * Whether the detour is the shorter way for the processor, where its products are outer products. A GPU has multiply-adds to spare, and is short of memory
 * traffic. The direct way to the weight's gradient leaves out all multiply-adds with padding, which on small maps are many.
 */
export function prefersWinograd(gpu: Gpu, geometry: WinogradGeometry, { ofWeight = false } = {}): boolean {
  const { batch, height, width, output_height, output_width, channels, columns, pad_top, pad_left } = geometry;
  if (!gpu.adapter.isFallback || channels % 4 !== 0 || columns % 4 !== 0) return false;
  if (pad_top < 0 || pad_left < 0) return false;
  const perImage = tilesPerImage(geometry);
  const tiles = batch * perImage;
  const largest = 4 * POINTS * Math.max(perImage * channels, perImage * columns, channels * columns);
  if (largest > gpu.limits.maxStorageBufferBindingSize) return false;
  const meetings = ofWeight
    ? meetingsInside(height, output_height, pad_top) * meetingsInside(width, output_width, pad_left)
    : 9 * output_height * output_width;
  const direct = batch * meetings * channels * columns;
  const transfers = tiles * (channels + columns) + channels * columns;
  return POINTS * (tiles * channels * columns + TRANSFER * transfers) < direct;
}

/** How often, along one axis, an output meets one of three taps inside the image. */
function meetingsInside(size: number, outputs: number, pad: number): number {
  const ofTap = (tap: number) => Math.max(0, Math.min(outputs, size + pad - tap) - Math.max(0, pad - tap));
  return ofTap(0) + ofTap(1) + ofTap(2);
}

/**
 * Launches output = act(input ∗ weight + bias + residual) as 36 matrix products between transformed tiles and weights (shaders/winograd_input.wgsl):
 * up to four times fewer multiply-adds. Rounding errors are about ten times those of the direct form, and a NaN or an infinity in the input makes NaN
 * of all outputs of its tile.
 * @param flipped the weight's taps are turned round and its channels exchanged, as in the gradient with respect to the input.
 */
export function launchWinograd(
  tape: Tape,
  geometry: WinogradGeometry,
  { input, weight, bias, residual, output }: WinogradTensors,
  { flipped = false, relu = false, chunkBytes = CHUNK_BYTES } = {},
): void {
  const { height, width, channels, output_height, output_width, columns, pad_top, pad_left } = geometry;
  const grid = gridOf(geometry);
  const weights = tape.tensor('winograd.weight', [POINTS, channels, columns]);
  tape.launch('winograd_weight', {
    params: { size: channels * columns, columns, flip: flipped ? 1 : 0, points: SIDE },
    tensors: { weight, transformed: weights },
    groups: groupsOf(channels * columns),
  });
  for (const { first_image, images, tiles } of chunksOf(geometry, chunkBytes)) {
    const transformed = tape.tensor('winograd.input', [POINTS, tiles, channels]);
    tape.launch('winograd_input', {
      params: { first_image, images, height, width, channels, ...grid, pad_top, pad_left, points: SIDE },
      tensors: { input, transformed },
      groups: groupsOf(tiles * channels),
    });
    const products = tape.tensor('winograd.products', [POINTS, tiles, columns]);
    const extent = { batch: POINTS, rows: tiles, depth: channels, columns };
    launchProduct(tape, extent, side(transformed, false), side(weights, false), products, { flops: directFlops(geometry, images) });
    tape.launch('winograd_output', {
      params: {
        ...{ first_image, images, height: output_height, width: output_width, columns, ...grid },
        ...{ has_bias: bias ? 1 : 0, has_residual: residual ? 1 : 0, relu: relu ? 1 : 0, points: SIDE },
      },
      tensors: { products, bias: bias ?? weight, residual: residual ?? products, output },
      groups: groupsOf(tiles * columns),
    });
  }
}

/**
 * Launches the gradient of the same convolution with respect to its weight, again as 36 matrix products, between transformed tiles of the input and of
 * the output's gradient.
 */
export function launchWinogradWeightGradient(
  tape: Tape,
  geometry: WinogradGeometry,
  { input, outputGradient, weightGradient }: { input: Tensor; outputGradient: Tensor; weightGradient: Tensor },
  { chunkBytes = WEIGHT_CHUNK_BYTES } = {},
): void {
  const { height, width, channels, output_height, output_width, columns, pad_top, pad_left } = geometry;
  const grid = gridOf(geometry);
  for (const { first_image, images, tiles } of chunksOf(geometry, chunkBytes)) {
    const inputs = tape.tensor('winograd.input', [POINTS, tiles, channels]);
    tape.launch('winograd_input', {
      params: { first_image, images, height, width, channels, ...grid, pad_top, pad_left, points: SIDE },
      tensors: { input, transformed: inputs },
      groups: groupsOf(tiles * channels),
    });
    const gradients = tape.tensor('winograd.output_gradient', [POINTS, tiles, columns]);
    tape.launch('winograd_output_gradient', {
      params: { first_image, images, height: output_height, width: output_width, columns, ...grid, points: SIDE },
      tensors: { output_gradient: outputGradient, transformed: gradients },
      groups: groupsOf(tiles * columns),
    });
    const products = tape.tensor('winograd.products', [POINTS, channels, columns]);
    const extent = { batch: POINTS, rows: channels, depth: tiles, columns };
    launchProduct(tape, extent, side(inputs, true), side(gradients, false), products, { flops: directFlops(geometry, images) });
    tape.launch('winograd_weight_gradient', {
      params: { size: channels * columns, accumulate: first_image > 0 ? 1 : 0, points: SIDE },
      tensors: { products, weight_gradient: weightGradient },
      groups: groupsOf(channels * columns),
    });
  }
}

function gridOf({ output_height, output_width }: WinogradGeometry): { tiles_y: number; tiles_x: number } {
  return { tiles_y: Math.ceil(output_height / TILE), tiles_x: Math.ceil(output_width / TILE) };
}

/** What the direct form takes: the measure in which the two are compared, and all engines. */
function directFlops({ output_height, output_width, channels, columns }: WinogradGeometry, images: number): number {
  return 2 * 9 * images * output_height * output_width * channels * columns;
}

function groupsOf(threads: number): number {
  return Math.ceil(threads / THREADS);
}

function side(tensor: Tensor, transposed: boolean): Side {
  return { tensor, transposed, shared: false };
}

/** The batch in parts of about equal size whose transformed tiles, on both sides of the product, take about `bytes`. */
function chunksOf(geometry: WinogradGeometry, bytes: number): { first_image: number; images: number; tiles: number }[] {
  const { batch, channels, columns } = geometry;
  const perImage = tilesPerImage(geometry);
  const count = Math.min(batch, Math.ceil((4 * POINTS * batch * perImage * (channels + columns)) / bytes));
  const most = Math.ceil(batch / count);
  return Array.from({ length: Math.ceil(batch / most) }, (_, i) => {
    const images = Math.min(most, batch - i * most);
    return { first_image: i * most, images, tiles: images * perImage };
  });
}

function tilesPerImage(geometry: WinogradGeometry): number {
  const { tiles_y, tiles_x } = gridOf(geometry);
  return tiles_y * tiles_x;
}
