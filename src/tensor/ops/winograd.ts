import type { Gpu } from '../../gpu/gpu.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';
import { launchProduct } from './matmul.js';
import { outerProduct } from './outer-product.js';

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

/** Side of an output tile, and the points at which a tile's polynomials are multiplied. */
const TILE = 4;
const POINTS = 36;
const THREADS = 64;
/** Of transformed tiles and products at a time: little memory that stays in a cache, and work enough to hide the launches. */
const CHUNK_BYTES = 4 * 2 ** 20;
/** What moving one number in or out of the transformed form costs, in multiply-adds of a product: measured on llvmpipe. */
const TRANSFER = 40;

/** Whether the detour is the shorter way for the processor. A GPU has multiply-adds to spare, and is short of memory traffic. */
export function prefersWinograd(gpu: Gpu, geometry: WinogradGeometry): boolean {
  const { batch, output_height, output_width, channels, columns, pad_top, pad_left } = geometry;
  if (!gpu.adapter.isFallback || !outerProduct(gpu) || channels % 4 !== 0 || columns % 4 !== 0) return false;
  if (pad_top < 0 || pad_left < 0) return false;
  const perImage = tilesPerImage(geometry);
  const tiles = batch * perImage;
  const largest = 4 * POINTS * Math.max(perImage * channels, perImage * columns, channels * columns);
  if (largest > gpu.limits.maxStorageBufferBindingSize) return false;
  const direct = 9 * batch * output_height * output_width * channels * columns;
  const transfers = tiles * (channels + columns) + channels * columns;
  return POINTS * (tiles * channels * columns + TRANSFER * transfers) < direct;
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
  const { batch, height, width, channels, output_height, output_width, columns, pad_top, pad_left } = geometry;
  const grid = { tiles_y: Math.ceil(output_height / TILE), tiles_x: Math.ceil(output_width / TILE) };
  const groups = (elements: number) => Math.ceil(elements / THREADS);

  const weights = tape.tensor('winograd.weight', [POINTS, ...weight.shape.slice(2)]);
  tape.launch('winograd_weight', {
    constants: { FLIP: flipped },
    params: { size: channels * columns },
    tensors: { weight, transformed: weights },
    groups: groups(channels * columns),
  });
  const perImage = tilesPerImage(geometry);
  const chunks = Math.min(batch, Math.ceil((4 * POINTS * batch * perImage * (channels + columns)) / chunkBytes));
  const imagesPerChunk = Math.ceil(batch / chunks);
  const side = (tensor: Tensor, transposed: boolean) => ({ tensor, transposed, shared: false });
  for (let first_image = 0; first_image < batch; first_image += imagesPerChunk) {
    const images = Math.min(imagesPerChunk, batch - first_image);
    const tiles = images * perImage;
    const transformed = tape.tensor('winograd.input', [POINTS, tiles, channels]);
    tape.launch('winograd_input', {
      params: { first_image, images, height, width, channels, ...grid, pad_top, pad_left },
      tensors: { input, transformed },
      groups: groups(tiles * channels),
    });
    const products = tape.tensor('winograd.products', [POINTS, tiles, columns]);
    const extent = { batch: POINTS, rows: tiles, depth: channels, columns };
    launchProduct(tape, extent, side(transformed, false), side(weights, flipped), products);
    tape.launch('winograd_output', {
      params: {
        ...{ first_image, images, height: output_height, width: output_width, columns, ...grid },
        ...{ has_bias: bias ? 1 : 0, has_residual: residual ? 1 : 0, relu: relu ? 1 : 0 },
      },
      tensors: { products, bias: bias ?? weight, residual: residual ?? products, output },
      groups: groups(tiles * columns),
    });
  }
}

function tilesPerImage({ output_height, output_width }: WinogradGeometry): number {
  return Math.ceil(output_height / TILE) * Math.ceil(output_width / TILE);
}
