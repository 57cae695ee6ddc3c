import type { Tensor } from '../tensor/tensor.js';
import type { Scope } from './layers.js';

export interface ModelOptions {
  classes: number;
  /** Multiplies the channels of every layer. */
  width: number;
  /** Rate before the last layer; `vgg13` has its paper's rates besides, scaled by this over 0.5. */
  dropout: number;
  /** Of vision transformers in training: share of the faces that skip a branch of the last block, falling evenly to 0 at the first (Huang et al. 2016). By default 0. */
  dropPath?: number;
  /** Of vision transformers: side of a patch in pixels. By default faces below 96 pixels are cut into 8×8 patches, others into patches of 16×16 pixels. */
  patch?: number;
  /** Of vision transformers: what stands for the whole face, the class token behind the last norm or the normed mean of the other tokens (He et al. 2022, A.1). By default the token. */
  pooling?: Pooling;
  /** Linear probing: the backbone stays as it is, in evaluation mode, and only what reads its features learns. By default all learns. */
  probe?: boolean;
}

export const POOLINGS = ['token', 'mean'] as const;
export type Pooling = (typeof POOLINGS)[number];

/** What a backbone makes of faces, and the last layer reads. */
export interface Features {
  /** The last feature map, [N, H', W', D]. */
  map: Tensor;
  /** [N, D], after dropout; for `small` and `resnet18` the mean of `map` over its places, for vision transformers as `pooling` says. */
  pooled: Tensor;
}

/** A network without its last layer, in two parts, so that a method can put several tops on one trunk. */
export interface Backbone {
  /** Faces [N, H, W, C] → what the last stage reads. */
  trunk(scope: Scope, faces: Tensor, options: ModelOptions): Tensor;
  /** The last stage. */
  top(scope: Scope, x: Tensor, options: ModelOptions): Features;
}

/** Channels are kept multiples of 8, which the fast kernels want. */
export function widen(channels: number, width: number): number {
  return Math.max(8, Math.round((channels * width) / 8) * 8);
}
