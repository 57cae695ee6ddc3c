import * as ops from '../tensor/ops/index.js';
import type { Tensor } from '../tensor/tensor.js';
import { type Backbone, type ModelOptions, widen } from './backbone.js';
import { convolution, convolutionNormRelu, dense, inside, residualBlock, type Scope } from './layers.js';
import { VISION_TRANSFORMERS, visionTransformer } from './vision-transformer.js';

export { type Features, type ModelOptions, POOLINGS } from './backbone.js';

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

/** The last layer: features [N, D] → logits [N, classes]. */
export function classify(scope: Scope, pooled: Tensor, { classes }: ModelOptions): Tensor {
  return dense(inside(scope, 'head'), pooled, classes);
}

export const backbones = {
  small,
  resnet18,
  vgg13,
  vit: visionTransformer(VISION_TRANSFORMERS.vit),
  'vit-tiny': visionTransformer(VISION_TRANSFORMERS['vit-tiny']),
  'vit-small': visionTransformer(VISION_TRANSFORMERS['vit-small']),
  'vit-base': visionTransformer(VISION_TRANSFORMERS['vit-base']),
} satisfies Record<string, Backbone>;
export type ModelName = keyof typeof backbones;

/** A whole network: faces [N, H, W, C] → logits [N, classes]. */
type Model = (scope: Scope, faces: Tensor, options: ModelOptions) => Tensor;

function whole({ trunk, top }: Backbone): Model {
  return (scope, faces, options) => classify(scope, top(scope, trunk(scope, faces, options), options).pooled, options);
}

const named = Object.entries(backbones).map(([name, backbone]) => [name, whole(backbone)]);
export const models: Readonly<Record<ModelName, Model>> = Object.fromEntries(named);
