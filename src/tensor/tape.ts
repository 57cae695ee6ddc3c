import { ShaderError, ShapeError } from '../errors.js';
import type { Gpu } from '../gpu/gpu.js';
import type { Shader } from '../gpu/shader.js';
import { launchLaterSums } from './ops/column-sum.js';
import type { Geometry } from './ops/conv2d-geometry.js';
import type { Extent, Side } from './ops/matmul.js';
import { launchPointwise } from './ops/parts.js';
import { createTensor, type DType, ELEMENT_BYTES, persistentTensor, rootOf, sizeOf, type Tensor } from './tensor.js';

/** One dispatch of one shader over named tensors. */
export interface Launch {
  readonly label: string;
  readonly shader: Shader;
  readonly params: Readonly<Record<string, number>>;
  readonly tensors: Readonly<Record<string, Tensor>>;
  readonly groups: readonly [number, number, number];
  /** Multiply-adds counted twice; 0 where they do not matter. */
  readonly flops: number;
  /** Bytes of all tensors bound, each counted once: a lower bound of the memory traffic. */
  readonly bytes: number;
  /** Of the products, whose kernels are chosen and can be tuned. */
  readonly work: Work | undefined;
  /** What writes the same results once more from the same inputs; undefined where that is not worth it. */
  readonly again: 'same' | Launch | undefined;
  /** A run leaves the launch out while this is closed. */
  readonly gate: Gate | undefined;
}

/** Opened and closed between runs. */
export interface Gate {
  isOpen: boolean;
}

/** What a launch contributes to, told so that a tuner can record the same again with other kernels. */
export interface Work {
  /** The kind of work, the name under which `gpu.tuning` keeps its kernel. */
  name: string;
  output: Tensor;
  definition: Definition;
  /** Records the same product on another tape, over the tensors that stand for these. */
  again(tape: Tape, standIn: (tensor: Tensor) => Tensor): void;
}

/** Which product a work is, of what: enough to compute any element of its output without its kernels. */
export type Definition =
  | { product: 'matmul'; extent: Extent; a: Side; b: Side; bias: Tensor | undefined; outputPitch: number }
  | {
      product: 'conv2d_forward';
      geometry: Geometry;
      input: Tensor;
      weight: Tensor;
      bias: Tensor | undefined;
      residual: Tensor | undefined;
      relu: boolean;
    }
  | { product: 'conv2d_backward_input'; geometry: Geometry; outputGradient: Tensor; weight: Tensor; residual: Tensor | undefined }
  | { product: 'conv2d_backward_weight'; geometry: Geometry; input: Tensor; outputGradient: Tensor };

export interface LaunchSpec {
  constants?: Record<string, number | boolean>;
  params?: Record<string, number>;
  tensors: Record<string, Tensor>;
  /** Bindings that the shader reads from a texture: the program copies their tensor there before the launch. One a launch at most. */
  textures?: readonly string[];
  /** A count of workgroups, spread over x and y where it exceeds 65,535; or the three counts. */
  groups: number | [number, number, number];
  flops?: number;
  work?: Work;
  /**
   * Of cheap launches: how to have their results once more instead of keeping them (recompute.ts). 'same' where all that they do is to write the whole
   * of their outputs from their inputs, else the launch that does no more than that, over as many workgroups.
   */
  again?: 'same' | (Pick<LaunchSpec, 'constants' | 'params' | 'tensors'> & { shader: string });
}

/** A sum over the rows of `partials`, seen as [rows, columns], into `output`, seen as [columns]. */
export interface LaterSum {
  partials: Tensor;
  rows: number;
  columns: number;
  output: Tensor;
}

/** Of the parts of gradients that are summed behind the backward pass: more are not worth keeping so long. */
const MOST_PARTIAL_BYTES = 2 ** 22;

/** What an operator leaves on the tape so that it can be differentiated. */
export interface TapeNode {
  name: string;
  inputs: Tensor[];
  output: Tensor;
  /** From the output's gradient to those of the inputs, in their order; undefined where there is none. Records launches. */
  gradient: (outputGradient: Tensor) => (Tensor | undefined)[];
}

const STEP_WORDS = 8;

/**
 * Records what a step computes; nothing runs until a Program is compiled from it. The tape is a list in creation order,
 * and `backward` walks it in reverse.
 */
export class Tape {
  readonly gpu: Gpu;
  readonly launches: Launch[] = [];
  /** The step's state (shaders/lib/step.wgsl), written by the host before each run. */
  readonly step: Tensor;
  readonly inputs: Tensor[] = [];
  readonly constants: { tensor: Tensor; data: Float32Array | Uint32Array }[] = [];
  private inTraining: boolean;
  private gate: Gate | undefined;
  private readonly nodes: TapeNode[] = [];
  private readonly gradients = new Map<Tensor, Tensor>();
  private uses = new Map<Tensor, number>();
  private one: Tensor | undefined;
  private streams = 0;
  /** Of the parts of gradients that outlive their launches, see `partials`. */
  partialBytes = 0;
  /** The parts of gradients that are summed behind the backward pass, and their sums; outside of one there are none. */
  private later: { parts: Tensor; sums: LaterSum[] } | undefined;

  constructor(gpu: Gpu, { training = false }: { training?: boolean } = {}) {
    this.gpu = gpu;
    this.inTraining = training;
    this.step = this.input('step', [STEP_WORDS], 'u32');
  }

  /** Dropout draws, batch norm takes the batch's statistics. */
  get training(): boolean {
    return this.inTraining;
  }

  /** What `record` records is as in evaluation: nothing is dropped, batch norm takes the running statistics and leaves them as they are. */
  evaluating<T>(record: () => T): T {
    const before = this.inTraining;
    this.inTraining = false;
    try {
      return record();
    } finally {
      this.inTraining = before;
    }
  }

  /** A run leaves out what `record` records while `gate` is closed; nothing else may read what it writes to planned memory. */
  behind(gate: Gate, record: () => void): void {
    const before = this.gate;
    this.gate = gate;
    try {
      record();
    } finally {
      this.gate = before;
    }
  }

  /** A tensor that the host writes before a run. */
  input(label: string, shape: readonly number[], dtype: DType = 'f32', differentiable = false): Tensor {
    const tensor = persistentTensor(label, shape, dtype);
    tensor.differentiable = differentiable;
    this.inputs.push(tensor);
    return tensor;
  }

  /** A tensor whose values never change. */
  constant(label: string, shape: readonly number[], data: Float32Array | Uint32Array): Tensor {
    if (data.length !== sizeOf(shape))
      throw new ShapeError(`constant ${label} [${shape}] got ${data.length} values`, 'Give as many values as the shape has elements.');
    const tensor = persistentTensor(label, shape, data instanceof Uint32Array ? 'u32' : 'f32');
    this.constants.push({ tensor, data });
    return tensor;
  }

  /** A tensor in planned memory: it lives from its first to its last use in a launch. */
  tensor(label: string, shape: readonly number[], dtype: DType = 'f32'): Tensor {
    return createTensor(label, shape, dtype);
  }

  /** The memory of `tensor` under another shape: of as many elements, or of some of them from `first` on. */
  view(tensor: Tensor, shape: readonly number[], first = 0): Tensor {
    const { storage } = tensor;
    const offset = tensor.offset + ELEMENT_BYTES[tensor.dtype] * first;
    return createTensor(tensor.label, shape, tensor.dtype, { offset, base: rootOf(tensor), ...(storage && { storage }) });
  }

  /** A number that tells this use of randomness from the others of the same step. */
  nextStream(): number {
    return this.streams++;
  }

  launch(name: string, spec: LaunchSpec): void {
    this.launches.push(this.launchOf(name, spec));
  }

  private launchOf(name: string, spec: LaunchSpec): Launch {
    const half = Object.keys(spec.tensors).filter((binding) => spec.tensors[binding].dtype === 'f16');
    if (half.length > 0) this.gpu.requireF16();
    const shader = this.gpu.shaders.load(name, spec.constants, { half, textures: spec.textures ?? [] });
    const params = spec.params ?? {};
    sameNames(
      name,
      'tensors',
      shader.tensors.map((t) => t.name),
      Object.keys(spec.tensors),
    );
    sameNames(
      name,
      'params',
      shader.params.map((p) => p.name),
      Object.keys(params),
    );
    const distinct = new Set(Object.values(spec.tensors));
    const bytes = [...distinct].reduce((sum, tensor) => sum + tensor.bytes, 0);
    const shapes = Object.values(spec.tensors).map((tensor) => tensor.shape.join('x'));
    const { again } = spec;
    return {
      label: `${shader.label} ${shapes.join(' ')}`,
      shader,
      params,
      tensors: spec.tensors,
      groups: typeof spec.groups === 'number' ? spread(spec.groups, this.gpu.limits.maxComputeWorkgroupsPerDimension) : spec.groups,
      flops: spec.flops ?? 0,
      bytes,
      work: spec.work,
      gate: this.gate,
      again: again === undefined || again === 'same' ? again : this.launchOf(again.shader, { ...spec, ...again, again: 'same' }),
    };
  }

  record(node: TapeNode): Tensor {
    node.output.differentiable = node.inputs.some((input) => input.differentiable);
    if (node.output.differentiable) this.nodes.push(node);
    return node.output;
  }

  /**
   * Records the launches that compute the gradients of `loss` (one element) in every differentiable tensor that it depends on.
   * Gradients of parameters end in their slots of the flat gradient buffer.
   * @param outputGradient for a `loss` of any shape, its gradient: a vector-Jacobian product.
   */
  backward(loss: Tensor, outputGradient?: Tensor): void {
    if (outputGradient) {
      this.gradients.set(loss, outputGradient);
    } else {
      if (loss.size !== 1)
        throw new ShapeError(`backward starts from one number, got [${loss.shape}]`, 'Reduce the loss to a scalar, e.g. by its mean.');
      this.one = this.constant('one', loss.shape, Float32Array.of(1));
      this.gradients.set(loss, this.one);
    }
    const reached = this.nodesBefore(loss);
    this.uses = new Map();
    for (const input of reached.flatMap((node) => node.inputs)) this.uses.set(input, (this.uses.get(input) ?? 0) + 1);
    this.later = { parts: this.input('partials', [0]), sums: [] };
    const contributions = new Map<Tensor, number>();
    for (const node of reached.reverse()) {
      const outputGradient = this.gradients.get(node.output);
      if (!outputGradient) continue;
      const inputGradients = node.gradient(outputGradient);
      node.inputs.forEach((input, i) => {
        const gradient = inputGradients[i];
        if (!input.differentiable || !gradient) return;
        if (gradient.size !== input.size) {
          throw new ShapeError(
            `${node.name}: gradient [${gradient.shape}] of ${input.label} [${input.shape}]`,
            'A gradient has the shape of its tensor.',
          );
        }
        const count = (contributions.get(input) ?? 0) + 1;
        contributions.set(input, count);
        const earlier = this.gradients.get(input);
        const last = count === this.uses.get(input);
        this.gradients.set(input, earlier ? this.sum(input, earlier, gradient, last) : gradient);
      });
    }
    this.launchLaterSums();
    for (const [tensor, gradient] of this.gradients) {
      const slot = tensor.gradientSlot;
      if (slot && gradient !== slot) {
        // The rule handed on a tensor of its own, such as a view, instead of writing to its target.
        launchPointwise(this, 'copy', { input: gradient, output: slot });
        this.gradients.set(tensor, slot);
      }
    }
  }

  /** The gradient of a tensor, once `backward` has been recorded. */
  gradient(tensor: Tensor): Tensor | undefined {
    return this.gradients.get(tensor);
  }

  /**
   * What the uses of `input` recorded behind this one give to its gradient: the rule that takes it adds it to its own share, which is cheaper than a launch for the
   * sum. Undefined where there is nothing yet, or a slot is to be filled.
   */
  takeGradient(input: Tensor): Tensor | undefined {
    if (input.gradientSlot) return undefined;
    const earlier = this.gradients.get(input);
    this.gradients.delete(input);
    return earlier;
  }

  /** Whether this is the gradient of the loss in itself, so that a rule need not multiply by it. */
  isOne(gradient: Tensor): boolean {
    return gradient === this.one;
  }

  /** Where a rule writes the gradient of `input`: the parameter's own slot where this is the only contribution, else new memory of its type. */
  gradientTarget(input: Tensor): Tensor {
    if (input.gradientSlot && this.uses.get(input) === 1) return input.gradientSlot;
    return this.tensor(`${input.label}.gradient`, input.shape, input.dtype);
  }

  /**
   * Room for so many parts of a gradient, [parts, ...]. Few and for a slot, they outlive the backward pass, behind which `sumLater` has them summed in one launch
   * with others: each launch takes a processor longer than most sums.
   */
  partials(parts: number, output: Tensor): Tensor {
    const own = this.tensor(`${output.label}.parts`, [parts, ...output.shape]);
    const storage = this.later?.parts.storage;
    const { minStorageBufferOffsetAlignment: alignment, maxStorageBufferBindingSize } = this.gpu.limits;
    const offset = Math.ceil((storage?.sizeBytes ?? 0) / alignment) * alignment;
    if (!storage || !output.storage || offset + own.bytes > Math.min(MOST_PARTIAL_BYTES, maxStorageBufferBindingSize)) return own;
    storage.sizeBytes = offset + own.bytes;
    return createTensor(own.label, own.shape, 'f32', { storage, offset });
  }

  /** Whether the parts lie where they outlive the backward pass; then the sum is launched behind it. */
  sumLater(sum: LaterSum): boolean {
    const isLater = this.later !== undefined && sum.partials.storage === this.later.parts.storage;
    if (isLater) this.later!.sums.push(sum);
    return isLater;
  }

  private launchLaterSums(): void {
    const { parts, sums } = this.later!;
    this.later = undefined;
    this.partialBytes += parts.storage!.sizeBytes;
    for (const storage of new Set(sums.map(({ output }) => output.storage!))) {
      const into = sums.filter(({ output }) => output.storage === storage);
      launchLaterSums(this, into, parts.storage!, storage);
    }
  }

  private sum(input: Tensor, left: Tensor, right: Tensor, last: boolean): Tensor {
    const output = last && input.gradientSlot ? input.gradientSlot : this.tensor(`${input.label}.gradient`, input.shape, input.dtype);
    launchPointwise(this, 'add', { left, right, output });
    return output;
  }

  /** The nodes that `loss` depends on, in creation order. */
  private nodesBefore(loss: Tensor): TapeNode[] {
    const wanted = new Set([loss]);
    const reached: TapeNode[] = [];
    for (const node of [...this.nodes].reverse()) {
      if (!wanted.has(node.output)) continue;
      reached.push(node);
      for (const input of node.inputs) if (input.differentiable) wanted.add(input);
    }
    return reached.reverse();
  }
}

function spread(count: number, limit: number): [number, number, number] {
  if (count <= limit) return [count, 1, 1];
  const rows = Math.ceil(count / limit);
  return [Math.ceil(count / rows), rows, 1];
}

function sameNames(shader: string, what: string, expected: string[], given: string[]): void {
  const missing = expected.filter((name) => !given.includes(name));
  const unknown = given.filter((name) => !expected.includes(name));
  if (missing.length + unknown.length === 0) return;
  throw new ShaderError(
    `${what}: ${[missing.length ? `missing ${missing.join(', ')}` : '', unknown.length ? `unknown ${unknown.join(', ')}` : ''].filter(Boolean).join('; ')}`,
    `shaders/${shader}.wgsl declares ${expected.join(', ') || 'none'}.`,
    { file: `${shader}.wgsl` },
  );
}
