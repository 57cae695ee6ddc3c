/**
 * A masked autoencoder (He et al. 2022): most patches of a face are hidden, a vision transformer encodes the others, and a small decoder says from these what the
 * hidden ones look like.
 */
import { ShapeError } from '../errors.js';
import * as ops from '../tensor/ops/index.js';
import { randomOrder, type TokenOrder, takeTokens } from '../tensor/ops/token-order.js';
import type { Tape } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import type { ModelOptions } from './backbone.js';
import { dense, inside, layerNorm, type Scope } from './layers.js';
import { normalOf } from './parameters.js';
import { patchesOf, sinCosPositions, transformerBlock } from './transformer.js';
import { embedPatches, encode, type TransformerSizes } from './vision-transformer.js';

/** Added to a patch's variance. */
export const PATCH_EPSILON = 1e-6;

export interface MaskedAutoencoderOptions {
  sizes: TransformerSizes;
  model: ModelOptions;
  /** Share of the patches that are hidden, above 0 and below 1: at least one is, and one is not. */
  hidden: number;
  /** Blocks of the decoder, which is half as wide as the encoder. */
  decoderDepth: number;
}

/** What the decoder says of the hidden patches of N faces. */
export interface HiddenPatches {
  /** All T patches in the order of each face: those that were seen first, the M hidden ones last. */
  order: TokenOrder;
  /** The hidden ones as the decoder has them, pixels of mean 0 and deviation 1 in each: [N, M, P]. */
  said: Tensor;
  /** What they are in truth, alike. */
  truth: Tensor;
}

/**
 * Records encoder and decoder over faces [N, H, W, C].
 * @param encoder where the backbone declares its parameters, under the names that it has without a decoder
 * @param indices u32 [N], numbers of the faces, from which it is drawn what is hidden
 * @throws ShapeError where the faces do not divide into patches of several pixels
 */
export function hiddenPatches(
  { encoder, decoder }: { encoder: Scope; decoder: Scope },
  faces: Tensor,
  indices: Tensor,
  options: MaskedAutoencoderOptions,
): HiddenPatches {
  const { tape } = encoder;
  const tokens = embedPatches(encoder, faces, options.sizes, options.model);
  const [, count] = tokens.shape;
  const kept = Math.min(count - 1, Math.max(1, Math.floor(count * (1 - options.hidden))));
  const order = randomOrder(tape, indices, count);
  const seen = encode(encoder, takeTokens(tape, tokens, order, kept), options.sizes, options.model);

  const patches = patchesOf(tape, ops.cast(tape, faces, 'f32'), faces.shape[1] / Math.sqrt(count));
  const said = decode(decoder, seen, order, patches.shape[2], options);
  const hidden = ops.slice(tape, takeTokens(tape, patches, order, count), 1, kept, count);
  return { order, said, truth: normalisedPatches(tape, hidden) };
}

/** (x − μ) / √(σ² + 1e-6) over the pixels of each patch [..., P], σ² the unbiased variance. @throws ShapeError for patches of one pixel */
export function normalisedPatches(tape: Tape, patches: Tensor): Tensor {
  const pixels = patches.shape.at(-1)!;
  if (pixels === 1) throw new ShapeError('patches of one pixel have no contrast', 'Use a larger --patch.', { field: '--patch' });
  const biased = (pixels - 1) / pixels; // what layer normalisation takes in place of σ², over σ²
  const vector = (name: string, value: number) => tape.constant(name, [pixels], new Float32Array(pixels).fill(value));
  return ops.layerNorm(
    tape,
    patches,
    { scale: vector('scale', Math.sqrt(biased)), shift: vector('shift', 0) },
    { epsilon: PATCH_EPSILON * biased },
  );
}

/** Mean squared error of the hidden patches of each face, [N]. */
export function reconstructionError(tape: Tape, { said, truth }: HiddenPatches): Tensor {
  const difference = ops.subtract(tape, said, truth);
  return ops.mean(tape, ops.multiply(tape, difference, difference), { axes: [1, 2] });
}

/** The hidden patches as the decoder has them, each at its place, behind a number that is 1 there and 0, as all else, where none was hidden: [N, T, 1 + P]. */
export function placedPatches(tape: Tape, { order: { order, place }, said }: HiddenPatches): Tensor {
  const [batch, hidden] = said.shape;
  const [, count] = order.shape;
  const marks = tape.constant('marks', [batch, hidden, 1], new Float32Array(batch * hidden).fill(1));
  const last = ops.pad(tape, ops.concat(tape, [marks, said], 2), 1, count - hidden, 0);
  return takeTokens(tape, last, { order: place, place: order }, count);
}

/** What the encoder saw of each face, [N, 1 + K, D] with the class token first → its hidden patches, [N, T − K, pixels]. */
function decode(
  scope: Scope,
  seen: Tensor,
  { order }: TokenOrder,
  pixels: number,
  { sizes: { heads }, decoderDepth }: MaskedAutoencoderOptions,
): Tensor {
  const { tape, parameters } = scope;
  const [batch, known, encoderWidth] = seen.shape;
  const [, count] = order.shape;
  const width = encoderWidth / 2;
  const side = Math.sqrt(count);

  // The tokens stay in the order of their faces; their positions follow them, and the class token has none.
  const places = tape.constant('places', [count, width], sinCosPositions(side, side, width));
  const positions = ops.reshape(tape, ops.gather(tape, places, ops.reshape(tape, order, [batch * count])), [batch, count, width]);
  const isHidden = Float32Array.from({ length: 1 + count }, (_, place) => (place < known ? 0 : 1));
  const maskToken = parameters.weight(inside(scope, 'mask_token').path, [1, 1, width], normalOf(0.02), false);
  const masks = ops.multiply(tape, tape.constant('hidden', [1, 1 + count, 1], isHidden), maskToken);
  const tokens = ops.pad(tape, dense(inside(scope, 'embed'), seen, width), 1, 0, 1 + count - known);
  let x = ops.add(tape, ops.add(tape, tokens, ops.pad(tape, positions, 1, 1, 0)), masks);
  for (let index = 0; index < decoderDepth; index++) x = transformerBlock(inside(scope, `block${index + 1}`), x, { heads, dropPath: 0 });
  const hidden = ops.slice(tape, layerNorm(inside(scope, 'norm'), x), 1, known, 1 + count);
  return dense(inside(scope, 'pixels'), hidden, pixels);
}
