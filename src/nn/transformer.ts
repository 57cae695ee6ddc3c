/** The layers of a vision transformer (Dosovitskiy et al. 2021). Tokens are [N, T, D]. */
import * as ops from '../tensor/ops/index.js';
import type { Tape } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { dense, denseParts, inside, layerNorm, type Scope } from './layers.js';

/** Faces [N, H, W, C] cut into squares, row by row: [N, H / patch · W / patch, patch · patch · C]. */
export function patchesOf(tape: Tape, faces: Tensor, patch: number): Tensor {
  const [batch, height, width, channels] = faces.shape;
  const [rows, columns] = [height / patch, width / patch];
  const cut = ops.reshape(tape, faces, [batch, rows, patch, columns, patch * channels]);
  return ops.reshape(tape, ops.permute(tape, cut, [0, 1, 3, 2, 4]), [batch, rows * columns, patch * patch * channels]);
}

/**
 * Where each place of a map lies, [height · width, D], D a multiple of 4: sines and cosines of its column, then of its row, at D / 4 wavelengths from 2π to 20000π
 * (Vaswani et al. 2017, section 3.5, on each axis as in He et al. 2022).
 */
export function sinCosPositions(height: number, width: number, channels: number): Float32Array {
  const waves = channels / 4;
  return Float32Array.from({ length: height * width * channels }, (_, i) => {
    const place = Math.floor(i / channels);
    const part = Math.floor((i % channels) / waves);
    const angle = (part < 2 ? place % width : Math.floor(place / width)) / 10_000 ** ((i % waves) / waves);
    return part % 2 === 0 ? Math.sin(angle) : Math.cos(angle);
  });
}

/** [N, T, D] → [N, heads, T, D / heads]. */
export function splitHeads(tape: Tape, x: Tensor, heads: number): Tensor {
  const [batch, tokens, width] = x.shape;
  return ops.permute(tape, ops.reshape(tape, x, [batch, tokens, heads, width / heads]), [0, 2, 1, 3]);
}

/** The way back: [N, heads, T, D / heads] → [N, T, D]. */
export function joinHeads(tape: Tape, x: Tensor): Tensor {
  const [batch, heads, tokens, width] = x.shape;
  return ops.reshape(tape, ops.permute(tape, x, [0, 2, 1, 3]), [batch, tokens, heads * width]);
}

/** Two dense layers with GELU between them, the inner one four times as wide. */
export function feedForward(scope: Scope, x: Tensor): Tensor {
  const width = x.shape.at(-1)!;
  return dense(inside(scope, 'outer'), ops.gelu(scope.tape, dense(inside(scope, 'inner'), x, 4 * width)), width);
}

/** Each token looks at all: multi-head attention (Vaswani et al. 2017, section 3.2.2). */
function selfAttention(scope: Scope, x: Tensor, heads: number): Tensor {
  const { tape } = scope;
  const width = x.shape.at(-1)!;
  const [query, key, value] = denseParts(inside(scope, 'qkv'), x, width, 3).map((part) => splitHeads(tape, part, heads));
  return dense(inside(scope, 'output'), joinHeads(tape, ops.attention(tape, query, key, value)), width);
}

interface BlockOptions {
  heads: number;
  /** Share of the faces that skip each of the two branches in training. */
  dropPath: number;
}

/** Self-attention and a feed-forward layer, each behind a norm of its own and beside a shortcut. */
export function transformerBlock(scope: Scope, tokens: Tensor, { heads, dropPath }: BlockOptions): Tensor {
  const { tape } = scope;
  const seen = selfAttention(inside(scope, 'attention'), layerNorm(inside(scope, 'norm1'), tokens), heads);
  const x = ops.add(tape, tokens, droppedPath(tape, seen, dropPath));
  return ops.add(tape, x, droppedPath(tape, feedForward(inside(scope, 'mlp'), layerNorm(inside(scope, 'norm2'), x)), dropPath));
}

/** Stochastic depth (Huang et al. 2016): in training a face's branch is 0 with probability `rate`, and else scaled by 1 / (1 − rate). */
function droppedPath(tape: Tape, branch: Tensor, rate: number): Tensor {
  if (!tape.training || rate === 0) return branch;
  const [faces, ...rest] = branch.shape;
  const ones = tape.constant('ones', [faces, ...rest.map(() => 1)], new Float32Array(faces).fill(1));
  return ops.multiply(tape, branch, ops.dropout(tape, ones, rate));
}
