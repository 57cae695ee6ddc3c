import * as ops from '../tensor/ops/index.js';
import type { Tensor } from '../tensor/tensor.js';
import { convolution, convolutionNormRelu, dense, inside, residualBlock, type Scope } from './layers.js';

export interface ModelOptions {
  classes: number;
  /** Multiplies the channels of every layer. */
  width: number;
  /** Rate before the last layer; `vgg13` has its paper's rates besides, scaled by this over 0.5. */
  dropout: number;
}

/** Faces [N, H, W, C] → logits [N, classes]. */
export type Model = (scope: Scope, faces: Tensor, options: ModelOptions) => Tensor;

/** Channels are kept multiples of 8, which the fast kernels want. */
function widen(channels: number, width: number): number {
  return Math.max(8, Math.round((channels * width) / 8) * 8);
}

/** Stages of residual blocks between a stem and global average pooling; the first block of each but the first stage halves the size. */
function residualNetwork(
  scope: Scope,
  stem: Tensor,
  stages: { channels: number; blocks: number; stride: number }[],
  { classes, dropout }: ModelOptions,
): Tensor {
  let x = stem;
  stages.forEach(({ channels, blocks, stride }, i) => {
    for (let block = 0; block < blocks; block++) {
      x = residualBlock(inside(scope, `stage${i + 1}.block${block + 1}`), x, { channels, stride: block === 0 ? stride : 1 });
    }
  });
  const feature = ops.dropout(scope.tape, ops.globalAveragePool(scope.tape, x), dropout);
  return dense(inside(scope, 'head'), feature, classes);
}

/** A residual network of 16-32-64-128 channels for 48×48 faces, made to train on a processor: 0.3 M weights. */
const small: Model = (scope, faces, options) => {
  const [a, b, c, d] = [16, 32, 64, 128].map((channels) => widen(channels, options.width)) as [number, number, number, number];
  const stem = convolutionNormRelu(inside(scope, 'stem'), faces, { channels: a, kernel: 3, stride: faces.shape[1] >= 96 ? 2 : 1 });
  const stages = [b, c, d].map((channels) => ({ channels, blocks: 1, stride: 2 }));
  return residualNetwork(scope, stem, stages, options);
};

/** ResNet-18 (He et al. 2016, table 1). Faces below 96 pixels get a 3×3 stem without pooling instead of 7×7 stride 2 with it. */
const resnet18: Model = (scope, faces, options) => {
  const [a, b, c, d] = [64, 128, 256, 512].map((channels) => widen(channels, options.width)) as [number, number, number, number];
  const large = faces.shape[1] >= 96;
  let stem = convolutionNormRelu(inside(scope, 'stem'), faces, { channels: a, kernel: large ? 7 : 3, stride: large ? 2 : 1 });
  if (large) stem = ops.maxPool2d(scope.tape, stem, { kernel: 3, stride: 2, padding: 1 });
  const stages = [a, b, c, d].map((channels, i) => ({ channels, blocks: 2, stride: i === 0 ? 1 : 2 }));
  return residualNetwork(scope, stem, stages, options);
};

/**
 * FER+'s network (Barsoum et al. 2016, fig. 3): groups of 3×3 convolutions of 64, 128, 256 and 256 channels, each ending in 2×2 max pooling
 * and dropout of 0.25, then two dense layers of 1024 with dropout of 0.5. No normalisation.
 */
const vgg13: Model = (scope, faces, { classes, width, dropout }) => {
  const { tape } = scope;
  let x = faces;
  [
    [64, 2],
    [128, 2],
    [256, 3],
    [256, 3],
  ].forEach(([channels, layers], i) => {
    for (let layer = 0; layer < layers!; layer++) {
      x = convolution(inside(scope, `group${i + 1}.conv${layer + 1}`), x, {
        channels: widen(channels!, width),
        kernel: 3,
        bias: true,
        activation: 'relu',
      });
    }
    x = ops.dropout(tape, ops.maxPool2d(tape, x, { kernel: 2 }), dropout / 2);
  });
  x = ops.reshape(tape, x, [x.shape[0], x.size / x.shape[0]]);
  for (const name of ['dense1', 'dense2'])
    x = ops.dropout(tape, ops.relu(tape, dense(inside(scope, name), x, widen(1024, width))), dropout);
  return dense(inside(scope, 'head'), x, classes);
};

export const models = { small, resnet18, vgg13 } satisfies Record<string, Model>;
export type ModelName = keyof typeof models;
