/**
 * Vision transformers (Dosovitskiy et al. 2021) with norms first, in parts: patches to tokens, and tokens, all or some of them, to what they mean. First values are
 * those of He et al. 2022: Glorot's, positions that are sines and cosines and then learned, a class token of deviation 0.02. Activations stay f32.
 */
import { ShapeError } from '../errors.js';
import * as ops from '../tensor/ops/index.js';
import type { Tensor } from '../tensor/tensor.js';
import { type Backbone, type ModelOptions, widen } from './backbone.js';
import { dense, inside, layerNorm, type Scope } from './layers.js';
import { normalOf } from './parameters.js';
import { patchesOf, sinCosPositions, transformerBlock } from './transformer.js';

/** A vision transformer's sizes at width 1. */
export interface TransformerSizes {
  /** Channels of each head. */
  headWidth: number;
  heads: number;
  depth: number;
}

/** `vit` is as small as to train on a processor: 1.8 M weights. The others are those of Touvron et al. 2021, table 1, and of Dosovitskiy et al. 2021. */
export const VISION_TRANSFORMERS = {
  vit: { headWidth: 64, heads: 3, depth: 4 },
  'vit-tiny': { headWidth: 64, heads: 3, depth: 12 },
  'vit-small': { headWidth: 64, heads: 6, depth: 12 },
  'vit-base': { headWidth: 64, heads: 12, depth: 12 },
} satisfies Record<string, TransformerSizes>;
export type VisionTransformerName = keyof typeof VISION_TRANSFORMERS;

export function isVisionTransformer(model: string): model is VisionTransformerName {
  return Object.hasOwn(VISION_TRANSFORMERS, model);
}

/**
 * The layer of a weight, for learning rates that fall towards the faces (Clark et al. 2020, section 3.4.2; in vision transformers as Bao et al. 2022 and He et al.
 * 2022 do): 0 for what makes tokens, the number of its block, and depth + 1 for all behind the blocks.
 */
export function layerOf(name: string, { depth }: TransformerSizes): number {
  const [first] = name.split('.');
  if (['patches', 'class_token', 'positions'].includes(first)) return 0;
  const [, number] = /^block(\d+)$/.exec(first) ?? [];
  return number ? Number(number) : depth + 1;
}

/**
 * Faces [N, H, W, C] → a token for each of their T patches, row by row, with its position added: [N, T, D].
 * @throws ShapeError where they do not divide into patches
 */
export function embedPatches(scope: Scope, faces: Tensor, { headWidth, heads }: TransformerSizes, options: ModelOptions): Tensor {
  const { tape, parameters } = scope;
  const width = heads * widen(headWidth, options.width);
  const tokens = dense(inside(scope, 'patches'), patchesOf(tape, ops.cast(tape, faces, 'f32'), patchSize(faces, options)), width);
  const count = tokens.shape[1];
  const side = Math.sqrt(count);
  parameters.weight(inside(scope, 'class_token').path, [1, 1, width], normalOf(0.02), false);
  const first = (values: Float32Array) => values.set(sinCosPositions(side, side, width), width); // behind the class token's zeros
  const positions = parameters.weight(inside(scope, 'positions').path, [1, 1 + count, width], first, false);
  return ops.add(tape, tokens, ops.slice(tape, positions, 1, 1, 1 + count));
}

/**
 * Tokens of `embedPatches`, all or some of each face, [N, T', D] → what they and the class token in front of them mean, [N, 1 + T', D]: all blocks and the last
 * norm.
 */
export function encode(scope: Scope, tokens: Tensor, sizes: TransformerSizes, options: ModelOptions): Tensor {
  return layerNorm(inside(scope, 'norm'), lastBlock(scope, allButLast(scope, tokens, sizes, options), sizes, options));
}

/** The class token in front, then all blocks but one. */
function allButLast(scope: Scope, tokens: Tensor, sizes: TransformerSizes, options: ModelOptions): Tensor {
  const { tape } = scope;
  const [batch, , width] = tokens.shape;
  const located = ops.add(tape, declared(scope, 'class_token'), ops.slice(tape, declared(scope, 'positions'), 1, 0, 1));
  const ofEach = ops.add(tape, tape.constant('no_token', [batch, 1, width], new Float32Array(batch * width)), located);
  let x = ops.concat(tape, [ofEach, tokens], 1);
  for (let index = 0; index < sizes.depth - 1; index++) x = block(scope, x, index, sizes, options);
  return x;
}

function lastBlock(scope: Scope, x: Tensor, sizes: TransformerSizes, options: ModelOptions): Tensor {
  return block(scope, x, sizes.depth - 1, sizes, options);
}

function block(scope: Scope, x: Tensor, index: number, { heads, depth }: TransformerSizes, { dropPath = 0 }: ModelOptions): Tensor {
  return transformerBlock(inside(scope, `block${index + 1}`), x, { heads, dropPath: (dropPath * index) / Math.max(1, depth - 1) });
}

/** What `embedPatches` declared. */
function declared(scope: Scope, name: string): Tensor {
  const { path } = inside(scope, name);
  const entry = scope.parameters.entries.get(path);
  if (!entry) throw new TypeError(`${path} is not declared: record embedPatches before encode`);
  return entry.tensor;
}

function patchSize({ shape }: Tensor, options: ModelOptions): number {
  const [, height, width] = shape;
  const patch = options.patch ?? (height < 96 ? height / 8 : 16);
  if (height !== width || height % patch !== 0 || !Number.isInteger(patch)) {
    const fitting = options.patch ? `a multiple of ${patch} pixels` : 'a multiple of 8 pixels below 96 and of 16 from there on';
    throw new ShapeError(`patches of faces of ${height}×${width}`, `Give square faces, of ${fitting}, or another --patch.`, {
      field: '--size',
    });
  }
  return patch;
}

/** The last block and norm are the top. Where the mean stands for the face, one norm behind it takes the place of that of all tokens. */
export function visionTransformer(sizes: TransformerSizes): Backbone {
  return {
    trunk: (scope, faces, options) => allButLast(scope, embedPatches(scope, faces, sizes, options), sizes, options),
    top(scope, tokens, options) {
      const { tape } = scope;
      const last = lastBlock(scope, tokens, sizes, options);
      const [batch, count, width] = last.shape;
      const side = Math.sqrt(count - 1);
      const ofPlaces = (x: Tensor) => ops.slice(tape, x, 1, 1, count); // [N, T, D]
      const asMap = (x: Tensor) => ops.reshape(tape, x, [batch, side, side, width]);
      const asFeature = (x: Tensor) => ops.dropout(tape, x, options.dropout);
      if (options.pooling === 'mean') {
        const places = ofPlaces(last);
        const norm = (x: Tensor) => layerNorm(inside(scope, 'fc_norm'), x);
        return { map: asMap(norm(places)), pooled: asFeature(norm(ops.mean(tape, places, { axes: [1] }))) };
      }
      const seen = layerNorm(inside(scope, 'norm'), last);
      return { map: asMap(ofPlaces(seen)), pooled: asFeature(ops.reshape(tape, ops.slice(tape, seen, 1, 0, 1), [batch, width])) };
    },
  };
}
