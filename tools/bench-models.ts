/** The networks on which engines are compared, with first values that any engine can repeat; tools/peers/models.mjs has the same for the peers. */
import { models } from '#src/nn/models.js';
import type { Parameters } from '#src/nn/parameters.js';
import * as ops from '#src/tensor/ops/index.js';
import type { Tape } from '#src/tensor/tape.js';
import { sizeOf, type Tensor } from '#src/tensor/tensor.js';

export const CLASSES = 8;
export const FACE_SIZE = 48;

/** First values depend on the order of declaration alone: the n-th tensor of parameters is drawn with this and n. */
const FIRST_SEED = 7;

/** Layers whose parameters are declared as they are met. */
class Layers {
  private readonly tape: Tape;
  readonly parameters: Parameters;
  private declared = 0;

  constructor(tape: Tape, parameters: Parameters) {
    this.tape = tape;
    this.parameters = parameters;
  }

  /** Uniform in ±bound, drawn in `drawn` order and then arranged. */
  uniform(shape: readonly number[], bound: number, arrange = (values: Float32Array) => values): Tensor {
    const seed = FIRST_SEED + ++this.declared;
    return this.parameters.weight(`p${this.declared}`, shape, (values) => values.set(arrange(uniformNumbers(sizeOf(shape), bound, seed))));
  }

  private filled(channels: number, value: number): Tensor {
    return this.parameters.weight(`p${++this.declared}`, [channels], (values) => values.fill(value));
  }

  /** A convolution with zeros around the image as TensorFlow's 'SAME' has them: the odd one below and to the right. */
  convolution(x: Tensor, channels: number, { kernel = 3, stride = 1 } = {}): Tensor {
    const [, size, , inputs] = x.shape as [number, number, number, number];
    const zeros = Math.max((Math.ceil(size / stride) - 1) * stride + kernel - size, 0);
    const [before, behind] = [zeros >> 1, zeros - (zeros >> 1)];
    const weight = this.uniform([kernel, kernel, inputs, channels], Math.sqrt(6 / (kernel * kernel * inputs)), (drawn) =>
      outputsLast(drawn, kernel * kernel, inputs, channels),
    );
    return ops.conv2d(this.tape, x, weight, { stride, padding: [before, behind, before, behind] });
  }

  /** What batch norm of so many channels keeps. */
  batchNormState(channels: number) {
    const buffer = (part: string, value: number) =>
      this.parameters.buffer(`p${this.declared}.${part}`, [channels], (values) => values.fill(value));
    return {
      scale: this.filled(channels, 1),
      shift: this.filled(channels, 0),
      runningMean: buffer('mean', 0),
      runningVariance: buffer('variance', 1),
    };
  }

  convolutionNorm(
    x: Tensor,
    channels: number,
    { activation = 'relu', ...sizes }: { kernel?: number; stride?: number; activation?: 'none' | 'relu' } = {},
  ): Tensor {
    const convolved = this.convolution(x, channels, sizes);
    return ops.batchNorm(this.tape, convolved, this.batchNormState(channels), { activation });
  }

  dense(x: Tensor, outputs: number): Tensor {
    const inputs = x.shape.at(-1)!;
    const weight = this.uniform([inputs, outputs], Math.sqrt(3 / inputs));
    return ops.matmul(this.tape, x, weight, { bias: this.filled(outputs, 0) });
  }
}

/** [outputs, inputs, taps] → [taps, inputs, outputs] */
function outputsLast(drawn: Float32Array, taps: number, inputs: number, outputs: number): Float32Array {
  const values = new Float32Array(drawn.length);
  for (let tap = 0; tap < taps; tap++) {
    for (let i = 0; i < inputs; i++)
      for (let o = 0; o < outputs; o++) values[(tap * inputs + i) * outputs + o] = drawn[(o * inputs + i) * taps + tap];
  }
  return values;
}

/** Five 3×3 convolutions with batch norm and ReLU, 2×2 max pooling after the second and the fourth, global average pooling, a dense layer. */
function m1(tape: Tape, layers: Layers, faces: Tensor): Tensor {
  const layer = (x: Tensor, channels: number) => layers.convolutionNorm(x, channels);
  const half = (x: Tensor) => ops.maxPool2d(tape, x, { kernel: 2 });
  const pooled = half(layer(layer(faces, 32), 32));
  const feature = layer(half(layer(layer(pooled, 64), 64)), 128);
  return layers.dense(ops.globalAveragePool(tape, feature), CLASSES);
}

/** ResNet-18 (He et al. 2016, table 1) with a 3×3 stem; projections only where the channels change. */
function m2(tape: Tape, layers: Layers, faces: Tensor): Tensor {
  let x = layers.convolutionNorm(faces, 64);
  for (const channels of [64, 128, 256, 512]) {
    for (const stride of [channels === 64 ? 1 : 2, 1]) {
      const second = layers.convolution(layers.convolutionNorm(x, channels, { stride }), channels);
      const state = layers.batchNormState(channels);
      const changes = x.shape[3] !== channels;
      const residual = changes ? layers.convolutionNorm(x, channels, { kernel: 1, stride, activation: 'none' }) : x;
      x = ops.batchNorm(tape, second, state, { activation: 'relu', residual });
    }
  }
  return layers.dense(ops.globalAveragePool(tape, x), CLASSES);
}

/** `vit` for 48×48 faces, all but its norms and biases drawn anew. */
function m3(tape: Tape, { parameters }: Layers, faces: Tensor): Tensor {
  const logits = models.vit({ tape, parameters, path: '' }, faces, { classes: CLASSES, width: 1, dropout: 0 });
  [...parameters.entries.values()].forEach((entry, i) => {
    const { shape, size } = entry.tensor;
    if (shape.length === 1) return;
    const bound = Math.sqrt(shape.length === 2 ? 3 / shape[0]! : 6 / shape.at(-1)!);
    entry.initial = (values) => values.set(uniformNumbers(size, bound, FIRST_SEED + 1 + i));
  });
  return logits;
}

const NETWORKS = { m1, m2, m3 };
export type ComparedModel = keyof typeof NETWORKS;
export const COMPARED_MODELS = Object.keys(NETWORKS) as ComparedModel[];

/** Faces [N, 48, 48, 1] → logits [N, 8]. */
export function comparedModel(name: ComparedModel, tape: Tape, parameters: Parameters, faces: Tensor): Tensor {
  return NETWORKS[name](tape, new Layers(tape, parameters), faces);
}

/** `count` numbers uniform in [-bound, bound). */
export function uniformNumbers(count: number, bound: number, seed: number): Float32Array {
  const next = mulberry32(seed);
  return Float32Array.from({ length: count }, () => (2 * next() - 1) * bound);
}

/** The label distributions of a batch, [batch, 8]. */
export function madeUpTargets(batch: number): Float32Array {
  const next = mulberry32(5);
  const targets = new Float32Array(batch * CLASSES);
  for (let face = 0; face < batch; face++) {
    const row = Array.from({ length: CLASSES }, () => Math.exp(3 * next()));
    const sum = row.reduce((a, b) => a + b);
    targets.set(
      row.map((value) => value / sum),
      face * CLASSES,
    );
  }
  return targets;
}

/** Tommy Ettinger's generator of 32 bits. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let word = Math.imul(state ^ (state >>> 15), 1 | state);
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word;
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}
