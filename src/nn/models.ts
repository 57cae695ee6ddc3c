import { ShapeError } from '../errors.js';
import * as ops from '../tensor/ops/index.js';
import type { Tensor } from '../tensor/tensor.js';
import { convolution, convolutionNormRelu, dense, inside, layerNorm, residualBlock, type Scope } from './layers.js';
import { normalOf } from './parameters.js';
import { patchesOf, sinCosPositions, transformerBlock } from './transformer.js';

export interface ModelOptions {
  classes: number;
  /** Multiplies the channels of every layer. */
  width: number;
  /** Rate before the last layer; `vgg13` has its paper's rates besides, scaled by this over 0.5. */
  dropout: number;
  /** Of `vit` in training: share of the faces that skip a branch of the last block, falling evenly to 0 at the first (Huang et al. 2016). By default 0. */
  dropPath?: number;
}

/** What a backbone makes of faces, and the last layer reads. */
export interface Features {
  /** The last feature map, [N, H', W', D]. */
  map: Tensor;
  /** [N, D], after dropout; for `small` and `resnet18` the mean of `map` over its places, for `vit` the class token. */
  pooled: Tensor;
}

/** A network without its last layer, in two parts, so that a method can put several tops on one trunk. */
interface Backbone {
  /** Faces [N, H, W, C] → what the last stage reads. */
  trunk(scope: Scope, faces: Tensor, options: ModelOptions): Tensor;
  /** The last stage. */
  top(scope: Scope, x: Tensor, options: ModelOptions): Features;
}

/** Channels are kept multiples of 8, which the fast kernels want. */
function widen(channels: number, width: number): number {
  return Math.max(8, Math.round((channels * width) / 8) * 8);
}

interface Stage {
  channels: number;
  blocks: number;
  stride: number;
}

/** Stages of residual blocks between a stem and global average pooling; the first block of each but the first stage halves the size. */
function residualNetwork(stem: Backbone['trunk'], stagesOf: (options: ModelOptions) => Stage[]): Backbone {
  const stage = (scope: Scope, x: Tensor, number: number, { channels, blocks, stride }: Stage) => {
    let y = x;
    for (let block = 1; block <= blocks; block++) {
      y = residualBlock(inside(scope, `stage${number}.block${block}`), y, { channels, stride: block === 1 ? stride : 1 });
    }
    return y;
  };
  return {
    trunk(scope, faces, options) {
      const stages = stagesOf(options).slice(0, -1);
      return stages.reduce((x, own, i) => stage(scope, x, i + 1, own), stem(scope, faces, options));
    },
    top(scope, x, options) {
      const stages = stagesOf(options);
      const map = stage(scope, x, stages.length, stages.at(-1)!);
      return { map, pooled: ops.dropout(scope.tape, ops.globalAveragePool(scope.tape, map), options.dropout) };
    },
  };
}

/** A residual network of 16-32-64-128 channels for 48×48 faces, made to train on a processor: 0.3 M weights. */
const small = residualNetwork(
  (scope, faces, { width }) =>
    convolutionNormRelu(inside(scope, 'stem'), faces, { channels: widen(16, width), kernel: 3, stride: faces.shape[1] >= 96 ? 2 : 1 }),
  ({ width }) => [32, 64, 128].map((channels) => ({ channels: widen(channels, width), blocks: 1, stride: 2 })),
);

/** ResNet-18 (He et al. 2016, table 1). Faces below 96 pixels get a 3×3 stem without pooling instead of 7×7 stride 2 with it. */
const resnet18 = residualNetwork(
  (scope, faces, { width }) => {
    const channels = widen(64, width);
    if (faces.shape[1] < 96) return convolutionNormRelu(inside(scope, 'stem'), faces, { channels, kernel: 3 });
    const stem = convolutionNormRelu(inside(scope, 'stem'), faces, { channels, kernel: 7, stride: 2 });
    return ops.maxPool2d(scope.tape, stem, { kernel: 3, stride: 2, padding: 1 });
  },
  ({ width }) => [64, 128, 256, 512].map((channels, i) => ({ channels: widen(channels, width), blocks: 2, stride: i === 0 ? 1 : 2 })),
);

/** Groups of 3×3 convolutions of `vgg13`: channels and layers. */
const VGG_GROUPS = [
  [64, 2],
  [128, 2],
  [256, 3],
  [256, 3],
] as const;

/**
 * FER+'s network (Barsoum et al. 2016, fig. 3): groups of 3×3 convolutions of 64, 128, 256 and 256 channels, each ending in 2×2 max pooling
 * and dropout of 0.25, then two dense layers of 1024 with dropout of 0.5. No normalisation.
 */
const vgg13: Backbone = {
  trunk: (scope, faces, options) => VGG_GROUPS.slice(0, -1).reduce((x, _, i) => vggGroup(scope, x, i, options), faces),
  top(scope, x, options) {
    const { tape } = scope;
    const map = vggGroup(scope, x, VGG_GROUPS.length - 1, options);
    let pooled = ops.reshape(tape, map, [map.shape[0], map.size / map.shape[0]]);
    for (const name of ['dense1', 'dense2'])
      pooled = ops.dropout(tape, ops.relu(tape, dense(inside(scope, name), pooled, widen(1024, options.width))), options.dropout);
    return { map, pooled };
  },
};

function vggGroup(scope: Scope, faces: Tensor, index: number, { width, dropout }: ModelOptions): Tensor {
  const [channels, layers] = VGG_GROUPS[index];
  let x = faces;
  for (let layer = 1; layer <= layers; layer++) {
    const options = { channels: widen(channels, width), kernel: 3, bias: true, activation: 'relu' } as const;
    x = convolution(inside(scope, `group${index + 1}.conv${layer}`), x, options);
  }
  return ops.dropout(scope.tape, ops.maxPool2d(scope.tape, x, { kernel: 2 }), dropout / 2);
}

/** A vision transformer's sizes at width 1. */
interface TransformerSizes {
  /** Channels of each head. */
  headWidth: number;
  heads: number;
  depth: number;
}

/**
 * A vision transformer (Dosovitskiy et al. 2021) with norms first. Faces below 96 pixels are cut into 64 patches, others into patches of 16×16 pixels. First values
 * are those of He et al. 2022: Glorot's, positions that are sines and cosines and then learned, a class token of deviation 0.02. Activations stay f32.
 */
function visionTransformer({ headWidth, heads, depth }: TransformerSizes): Backbone {
  const block = (scope: Scope, tokens: Tensor, index: number, { dropPath = 0 }: ModelOptions) =>
    transformerBlock(inside(scope, `block${index + 1}`), tokens, { heads, dropPath: (dropPath * index) / Math.max(1, depth - 1) });
  return {
    trunk(scope, faces, options) {
      const { tape, parameters } = scope;
      const width = heads * widen(headWidth, options.width);
      const patch = patchSize(faces);
      const patches = dense(inside(scope, 'patches'), patchesOf(tape, ops.cast(tape, faces, 'f32'), patch), width);
      const count = patches.shape[1];
      const side = Math.sqrt(count);
      const classToken = parameters.weight(inside(scope, 'class_token').path, [1, 1, width], normalOf(0.02), false);
      const first = (values: Float32Array) => values.set(sinCosPositions(side, side, width), width); // behind the class token's zeros
      const positions = parameters.weight(inside(scope, 'positions').path, [1, 1 + count, width], first, false);
      const everywhere = ops.add(tape, positions, ops.pad(tape, classToken, 1, 0, count));
      let tokens = ops.add(tape, ops.pad(tape, patches, 1, 1, 0), everywhere);
      for (let index = 0; index < depth - 1; index++) tokens = block(scope, tokens, index, options);
      return tokens;
    },
    top(scope, tokens, options) {
      const { tape } = scope;
      const seen = layerNorm(inside(scope, 'norm'), block(scope, tokens, depth - 1, options));
      const [batch, count, width] = seen.shape;
      const side = Math.sqrt(count - 1);
      const pooled = ops.reshape(tape, ops.slice(tape, seen, 1, 0, 1), [batch, width]);
      return {
        map: ops.reshape(tape, ops.slice(tape, seen, 1, 1, count), [batch, side, side, width]),
        pooled: ops.dropout(tape, pooled, options.dropout),
      };
    },
  };
}

function patchSize({ shape }: Tensor): number {
  const [, height, width] = shape;
  const patch = height < 96 ? height / 8 : 16;
  if (height !== width || height % patch !== 0 || !Number.isInteger(patch)) {
    throw new ShapeError(
      `patches of faces of ${height}×${width}`,
      'Give square faces, of a multiple of 8 pixels below 96 and of 16 from there on.',
      { field: '--size' },
    );
  }
  return patch;
}

/** As small as to train on a processor: 1.8 M weights. */
const vit = visionTransformer({ headWidth: 64, heads: 3, depth: 4 });

/** The last layer: features [N, D] → logits [N, classes]. */
export function classify(scope: Scope, pooled: Tensor, { classes }: ModelOptions): Tensor {
  return dense(inside(scope, 'head'), pooled, classes);
}

export const backbones = { small, resnet18, vgg13, vit } satisfies Record<string, Backbone>;
export type ModelName = keyof typeof backbones;

/** A whole network: faces [N, H, W, C] → logits [N, classes]. */
type Model = (scope: Scope, faces: Tensor, options: ModelOptions) => Tensor;

function whole({ trunk, top }: Backbone): Model {
  return (scope, faces, options) => classify(scope, top(scope, trunk(scope, faces, options), options).pooled, options);
}

export const models: Readonly<Record<ModelName, Model>> = {
  small: whole(small),
  resnet18: whole(resnet18),
  vgg13: whole(vgg13),
  vit: whole(vit),
};
