/** Layers as plain functions: a scope tells where their parameters are, `x` is [N, H, W, C], [N, T, C] or [N, C]. */
import * as ops from '../tensor/ops/index.js';
import type { Tape } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { glorotNormal, heNormal, ones, type Parameters, zeros } from './parameters.js';

/** A tape to record on, and the parameters below one name. */
export interface Scope {
  readonly tape: Tape;
  readonly parameters: Parameters;
  /** Dotted path, '' at the root. */
  readonly path: string;
}

export function inside(scope: Scope, name: string): Scope {
  return { ...scope, path: join(scope.path, name) };
}

function join(path: string, name: string): string {
  return path ? `${path}.${name}` : name;
}

interface ConvolutionOptions {
  channels: number;
  kernel: number;
  stride?: number;
  /** Default: half the kernel, which keeps the size at stride 1. */
  padding?: number;
  bias?: boolean;
  activation?: 'none' | 'relu';
}

/** [N, H, W, C] → [N, H', W', channels]; weight [kernel, kernel, C, channels]. */
export function convolution(
  scope: Scope,
  x: Tensor,
  { channels, kernel, stride = 1, padding = kernel >> 1, bias = false, activation = 'none' }: ConvolutionOptions,
): Tensor {
  const { tape, parameters, path } = scope;
  const input = x.shape[3];
  const weight = parameters.weight(join(path, 'weight'), [kernel, kernel, input, channels], heNormal(kernel * kernel * input));
  return ops.conv2d(tape, x, weight, {
    stride,
    padding,
    activation,
    ...(bias && { bias: parameters.weight(join(path, 'bias'), [channels], zeros) }),
  });
}

/** Batch normalisation over all but the last axis, then an optional residual and activation. */
export function batchNorm(
  scope: Scope,
  x: Tensor,
  { activation = 'none', residual }: { activation?: 'none' | 'relu'; residual?: Tensor } = {},
): Tensor {
  const { tape, parameters, path } = scope;
  const shape = [x.shape.at(-1)!];
  const norm = {
    scale: parameters.weight(join(path, 'scale'), shape, ones),
    shift: parameters.weight(join(path, 'shift'), shape, zeros),
    runningMean: parameters.buffer(join(path, 'running_mean'), shape, zeros),
    runningVariance: parameters.buffer(join(path, 'running_variance'), shape, ones),
  };
  return ops.batchNorm(tape, x, norm, { activation, ...(residual && { residual }) });
}

/** Of layer norms: that with which published vision transformers were trained. */
const LAYER_NORM_EPSILON = 1e-6;

/** Layer normalisation over the last axis. */
export function layerNorm(scope: Scope, x: Tensor): Tensor {
  const { tape, parameters, path } = scope;
  const shape = [x.shape.at(-1)!];
  const scale = parameters.weight(join(path, 'scale'), shape, ones);
  const shift = parameters.weight(join(path, 'shift'), shape, zeros);
  return ops.layerNorm(tape, x, { scale, shift }, { epsilon: LAYER_NORM_EPSILON });
}

/** [..., C] → [..., outputs]; weight [C, outputs]. */
export function dense(scope: Scope, x: Tensor, outputs: number): Tensor {
  const { weight, bias } = denseParameters(scope, x, outputs);
  return ops.matmul(scope.tape, x, weight, { bias });
}

/**
 * One dense layer as `parts` of [..., outputs] each. Its weights are cut instead of what it gives, which is larger, and of which the gradients would have to be
 * joined.
 */
export function denseParts(scope: Scope, x: Tensor, outputs: number, parts: number): Tensor[] {
  const { tape } = scope;
  const { weight, bias } = denseParameters(scope, x, parts * outputs);
  return Array.from({ length: parts }, (_, part) => {
    const columns = (tensor: Tensor, axis: number) => ops.slice(tape, tensor, axis, part * outputs, (part + 1) * outputs);
    return ops.matmul(tape, x, columns(weight, 1), { bias: columns(bias, 0) });
  });
}

function denseParameters({ parameters, path }: Scope, x: Tensor, outputs: number): { weight: Tensor; bias: Tensor } {
  const inputs = x.shape.at(-1)!;
  const weight = parameters.weight(join(path, 'weight'), [inputs, outputs], glorotNormal(inputs, outputs));
  return { weight, bias: parameters.weight(join(path, 'bias'), [outputs], zeros) };
}

/** Convolution without bias, batch norm, ReLU. */
export function convolutionNormRelu(scope: Scope, x: Tensor, options: ConvolutionOptions): Tensor {
  return batchNorm(inside(scope, 'norm'), convolution(inside(scope, 'conv'), x, options), { activation: 'relu' });
}

/** The basic residual block (He et al. 2016, fig. 2): two 3×3 convolutions, a 1×1 projection on the shortcut where the shape changes. */
export function residualBlock(scope: Scope, x: Tensor, { channels, stride = 1 }: { channels: number; stride?: number }): Tensor {
  const first = convolutionNormRelu(inside(scope, 'first'), x, { channels, kernel: 3, stride });
  const second = convolution(inside(scope, 'second.conv'), first, { channels, kernel: 3 });
  const changes = stride !== 1 || x.shape[3] !== channels;
  const projection = inside(scope, 'projection');
  const shortcut = changes
    ? batchNorm(inside(projection, 'norm'), convolution(inside(projection, 'conv'), x, { channels, kernel: 1, stride }))
    : x;
  return batchNorm(inside(scope, 'second.norm'), second, { activation: 'relu', residual: shortcut });
}
