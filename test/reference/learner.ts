/**
 * A whole learner in float64: a small network with every kind of layer that the models have, its loss, its gradients, and the update of
 * its parameters. Each operation leaves on a list how its output's gradient goes back to its inputs; the list is walked in reverse.
 */
import { batchMoments, batchNorm, batchNormGradients } from './batch-norm.js';
import { type Convolution, conv2d, conv2dGradients, conv2dShape } from './conv2d.js';
import { columnSums, matmul, matmulGradients } from './matmul.js';
import { type Adamw, adamw, globalNorm, movingAverage, type Sgd, sgd } from './optimizer.js';
import { averagePool, averagePoolGradient, maxPool, maxPoolGradient, type Pool, poolShape } from './pool.js';
import { gradients as divergenceGradients, loss as divergenceLoss } from './softmax-divergence.js';

export type Update = ({ kind: 'sgd' } & Sgd) | ({ kind: 'adamw' } & Adamw);

export interface ReferenceOptions {
  update: Update;
  clipNorm?: number | undefined;
  /** Highest decay of the averaged weights; 0 keeps none. */
  ema: number;
}

/** Parameters as a checkpoint has them. */
export type NamedArrays = ReadonlyMap<string, { shape: readonly number[]; data: ArrayLike<number> }>;

interface Value {
  shape: readonly number[];
  data: Float64Array;
  gradient: Float64Array;
}

const MOMENTUM_OF_RUNNING_VALUES = 0.1;

export class ReferenceLearner {
  /** Weights and running statistics by name; the gradients are those of the last step. */
  readonly parameters = new Map<string, Value>();
  /** Weights averaged over the steps; empty without `ema`. */
  readonly average = new Map<string, Float64Array>();
  private readonly state = new Map<string, Float64Array[]>();
  private readonly options: ReferenceOptions;
  private backwards: (() => void)[] = [];
  private steps = 0;

  constructor(initial: NamedArrays, options: ReferenceOptions) {
    this.options = options;
    for (const [name, { shape, data }] of initial) {
      this.parameters.set(name, value(shape, Float64Array.from(data)));
      this.state.set(name, [new Float64Array(data.length), new Float64Array(data.length)]);
    }
    if (options.ema > 0) for (const [name, { data }] of this.trained()) this.average.set(name, data.slice());
  }

  /** One step on faces [N, H, W, 1] with targets [N, classes]; loss and gradient norm are those before the update. */
  step(
    faces: ArrayLike<number>,
    shape: readonly number[],
    targets: ArrayLike<number>,
    learningRate: number,
  ): { loss: number; norm: number } {
    this.backwards = [];
    for (const { gradient } of this.parameters.values()) gradient.fill(0);
    const loss = this.loss(this.network(value(shape, Float64Array.from(faces))), targets);
    for (const back of this.backwards.reverse()) back();
    const norm = globalNorm(this.trained().flatMap(([, { gradient }]) => [...gradient]));
    this.update(norm, learningRate);
    return { loss, norm };
  }

  private network(faces: Value): Value {
    const plain = this.relu(this.addBias('plain.bias', this.convolution('plain', faces)));
    const stem = this.norm('stem.norm', this.convolution('stem.conv', plain), { relu: true });
    const pooled = this.maxPool(stem, { kernel: [3, 3], stride: [2, 2], padding: [1, 1] });
    const halved = this.residualBlock('block1', pooled, 2);
    const feature = this.globalAverage(this.residualBlock('block2', halved, 1));
    const hidden = this.relu(this.addBias('hidden.bias', this.product('hidden', feature)));
    return this.addBias('head.bias', this.product('head', hidden));
  }

  private residualBlock(name: string, x: Value, stride: number): Value {
    const first = this.norm(`${name}.first.norm`, this.convolution(`${name}.first.conv`, x, stride), { relu: true });
    const second = this.convolution(`${name}.second.conv`, first);
    const shortcut = this.parameters.has(`${name}.projection.conv.weight`)
      ? this.norm(`${name}.projection.norm`, this.convolution(`${name}.projection.conv`, x, stride))
      : x;
    return this.norm(`${name}.second.norm`, second, { relu: true, residual: shortcut });
  }

  /** Padded by half the kernel. */
  private convolution(name: string, x: Value, stride = 1): Value {
    const weight = this.parameter(`${name}.weight`);
    const half = weight.shape[0]! >> 1;
    const convolution = {
      shape: x.shape,
      weight: weight.shape,
      stride: [stride, stride],
      padding: [half, half, half, half],
    } as Convolution;
    return this.operation(conv2dShape(convolution), conv2d(x.data, weight.data, convolution), (outputGradient) => {
      const gradients = conv2dGradients(x.data, weight.data, outputGradient, convolution);
      collect(x, gradients.input);
      collect(weight, gradients.weight);
    });
  }

  private norm(name: string, x: Value, { relu = false, residual }: { relu?: boolean; residual?: Value } = {}): Value {
    const [scale, shift] = [this.parameter(`${name}.scale`), this.parameter(`${name}.shift`)];
    const given = { input: x.data, scale: scale.data, shift: shift.data, relu, residual: residual?.data };
    this.moveRunningValues(name, x);
    return this.operation(x.shape, batchNorm(given), (outputGradient) => {
      const gradients = batchNormGradients(given, outputGradient);
      collect(x, gradients.input);
      collect(scale, gradients.scale);
      collect(shift, gradients.shift);
      if (residual) collect(residual, gradients.residual);
    });
  }

  /** Towards the batch's mean and unbiased variance. */
  private moveRunningValues(name: string, x: Value): void {
    const channels = x.shape.at(-1)!;
    const rows = x.data.length / channels;
    const { mean, variance } = batchMoments(x.data, channels);
    const unbiased = variance.map((v) => (v * rows) / (rows - 1));
    movingAverage(this.parameter(`${name}.running_mean`).data, mean, 1 - MOMENTUM_OF_RUNNING_VALUES);
    movingAverage(this.parameter(`${name}.running_variance`).data, unbiased, 1 - MOMENTUM_OF_RUNNING_VALUES);
  }

  private maxPool(x: Value, window: Omit<Pool, 'shape'>): Value {
    const pool = { ...window, shape: [...x.shape] };
    return this.operation(poolShape(pool), Float64Array.from(maxPool(x.data, pool)), (outputGradient) =>
      collect(x, maxPoolGradient(x.data, pool, outputGradient)),
    );
  }

  private globalAverage(x: Value): Value {
    const [images, height, width, channels] = x.shape as [number, number, number, number];
    const pool: Pool = { shape: [...x.shape], kernel: [height, width], stride: [height, width], padding: [0, 0] };
    return this.operation([images, channels], Float64Array.from(averagePool(x.data, pool)), (outputGradient) =>
      collect(x, averagePoolGradient(pool, outputGradient)),
    );
  }

  private product(name: string, x: Value): Value {
    const weight = this.parameter(`${name}.weight`);
    const [depth, columns] = weight.shape as [number, number];
    const product = { batch: 1, rows: x.shape[0]!, depth, columns };
    return this.operation([product.rows, columns], matmul(x.data, weight.data, product), (outputGradient) => {
      const gradients = matmulGradients(x.data, weight.data, outputGradient, product);
      collect(x, gradients.a);
      collect(weight, gradients.b);
    });
  }

  private addBias(name: string, x: Value): Value {
    const bias = this.parameter(name);
    const columns = bias.data.length;
    const sum = x.data.map((element, i) => element + bias.data[i % columns]!);
    return this.operation(x.shape, sum, (outputGradient) => {
      collect(x, outputGradient);
      collect(bias, columnSums(outputGradient, columns));
    });
  }

  private relu(x: Value): Value {
    const output = x.data.map((element) => Math.max(element, 0));
    return this.operation(x.shape, output, (outputGradient) =>
      collect(
        x,
        outputGradient.map((gradient, i) => (x.data[i]! > 0 ? gradient : 0)),
      ),
    );
  }

  /** Soft cross-entropy, the mean over the faces. */
  private loss(logits: Value, target: ArrayLike<number>): number {
    const [faces, classes] = logits.shape as [number, number];
    const given = { logits: logits.data, target, weight: Array(faces).fill(1), classes, kind: 'cross-entropy', temperature: 1 } as const;
    this.backwards.push(() => collect(logits, divergenceGradients(given).logits));
    return divergenceLoss(given);
  }

  private update(norm: number, learningRate: number): void {
    const { update, clipNorm = Number.POSITIVE_INFINITY, ema } = this.options;
    const step = this.steps++;
    const factor = norm > clipNorm ? clipNorm / norm : 1;
    for (const [name, { shape, data, gradient }] of this.trained()) {
      const clipped = gradient.map((element) => element * factor);
      const groups = { rates: Array(data.length).fill(1), decays: Array(data.length).fill(shape.length > 1 ? 1 : 0) };
      const [first, second] = this.state.get(name) as [Float64Array, Float64Array];
      if (update.kind === 'sgd') sgd(data, first, clipped, groups, learningRate, update);
      else adamw(data, first, second, clipped, groups, learningRate, step + 1, update);
      if (ema > 0) movingAverage(this.average.get(name)!, data, Math.min(ema, (1 + step) / (10 + step)));
    }
  }

  private trained(): [string, Value][] {
    return [...this.parameters].filter(([name]) => !name.includes('running'));
  }

  private parameter(name: string): Value {
    const found = this.parameters.get(name);
    if (!found) throw new Error(`the reference network has ${name}, the parameters given have not`);
    return found;
  }

  private operation(shape: readonly number[], data: Float64Array, back: (outputGradient: Float64Array) => void): Value {
    const output = value(shape, data);
    this.backwards.push(() => back(output.gradient));
    return output;
  }
}

function value(shape: readonly number[], data: Float64Array): Value {
  return { shape, data, gradient: new Float64Array(data.length) };
}

function collect(input: Value, gradient: Float64Array): void {
  for (let i = 0; i < gradient.length; i++) input.gradient[i]! += gradient[i]!;
}
