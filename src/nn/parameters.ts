import { RunError } from '../errors.js';
import type { Gpu } from '../gpu/gpu.js';
import { readBuffer } from '../tensor/program.js';
import { createTensor, Storage, sizeOf, type Tensor, writeTensor } from '../tensor/tensor.js';

/** Fills a parameter's first values; `random(i)` are independent standard normal numbers. */
export type Initial = (values: Float32Array, random: (index: number) => number) => void;

interface Entry {
  tensor: Tensor;
  /** A weight is trained, unless it is frozen; a buffer (running statistics) is only kept. */
  kind: 'weight' | 'frozen' | 'buffer';
  decay: boolean;
  initial: Initial;
}

/** Slices start at multiples of this many floats: the 256 bytes at which WebGPU lets a binding begin. */
const BLOCK = 64;

/**
 * The named parameters of a model. All weights lie in one flat buffer, their gradients in another of the same layout, so that an
 * optimiser updates them with one launch; buffers (running statistics) lie in a third, weights that stay as they are in a fourth.
 */
export class Parameters {
  readonly entries = new Map<string, Entry>();
  private readonly values: Storage;
  private readonly gradients = new Storage('gradients', 0);
  private readonly buffers: Storage;
  /** Apart from the buffers: a kernel that writes those may read these. */
  private readonly frozen: Storage;
  private flattened: Tensor | undefined;
  private readonly ownsBuffers: boolean;
  private isFreezing = false;

  /** @param original the parameters that these shadow: same names and layout, own weights, shared buffers. */
  private constructor(original?: Parameters) {
    this.values = new Storage(original ? 'average' : 'weights', 0);
    this.buffers = original?.buffers ?? new Storage('buffers', 0);
    this.frozen = original?.frozen ?? new Storage('frozen', 0);
    this.ownsBuffers = !original;
  }

  static create(): Parameters {
    return new Parameters();
  }

  /** The trained parameter of that name, declared at the first call. @param decay whether weight decay applies; not for biases and norms. */
  weight(name: string, shape: readonly number[], initial: Initial, decay = shape.length > 1): Tensor {
    return this.declare(name, shape, { kind: this.isFreezing ? 'frozen' : 'weight', decay, initial });
  }

  /** The weights that `record` declares stay as they are: they have no gradients, and no place in `flat()`. */
  freezing<T>(record: () => T): T {
    const before = this.isFreezing;
    this.isFreezing = true;
    try {
      return record();
    } finally {
      this.isFreezing = before;
    }
  }

  /** A kept tensor that is not trained. */
  buffer(name: string, shape: readonly number[], initial: Initial): Tensor {
    return this.declare(name, shape, { kind: 'buffer', decay: false, initial });
  }

  private declare(name: string, shape: readonly number[], rest: Omit<Entry, 'tensor'>): Tensor {
    const known = this.entries.get(name);
    if (known) {
      if (known.tensor.shape.join() !== shape.join()) throw new TypeError(`${name} is [${known.tensor.shape}], asked for as [${shape}]`);
      return known.tensor;
    }
    if (this.flattened) throw new TypeError(`${name}: a parameter declared after the first program was made`);
    const storage = { weight: this.values, frozen: this.frozen, buffer: this.buffers }[rest.kind];
    const tensor = this.place(name, shape, storage, rest.kind === 'weight');
    this.entries.set(name, { tensor, ...rest });
    return tensor;
  }

  private place(name: string, shape: readonly number[], storage: Storage, trained: boolean): Tensor {
    const offset = storage.sizeBytes;
    const padded = Math.ceil(sizeOf(shape) / BLOCK) * BLOCK * 4;
    storage.sizeBytes += padded;
    if (!trained) return createTensor(name, shape, 'f32', { storage, offset });
    this.gradients.sizeBytes += padded;
    const gradientSlot = createTensor(`${name}.gradient`, shape, 'f32', { storage: this.gradients, offset });
    return createTensor(name, shape, 'f32', { storage, offset, gradientSlot, differentiable: true });
  }

  /** All weights as one tensor [P], P a multiple of 64; the padding is zero. No parameter can be declared afterwards. */
  flat(): Tensor {
    this.flattened ??= createTensor(this.values.label, [this.values.sizeBytes / 4], 'f32', { storage: this.values });
    return this.flattened;
  }

  flatGradients(): Tensor {
    return createTensor('gradients', this.flat().shape, 'f32', { storage: this.gradients });
  }

  /**
   * Per block of 64 floats of `flat()` a factor on the learning rate, and one on weight decay: [blocks, 2].
   * @param rateOf the first of these for the weight of that name
   */
  groups(rateOf: (name: string) => number = () => 1): Float32Array {
    const groups = new Float32Array(2 * (this.flat().size / BLOCK));
    for (const [name, { tensor, kind, decay }] of this.entries) {
      if (kind !== 'weight') continue;
      const first = tensor.offset / 4 / BLOCK;
      for (let block = first; block < first + Math.ceil(tensor.size / BLOCK); block++) groups.set([rateOf(name), decay ? 1 : 0], 2 * block);
    }
    return groups;
  }

  /** The same names over a second set of weights (a running average of these), with the buffers shared. */
  shadow(): Parameters {
    const shadow = new Parameters(this);
    for (const [name, { tensor, ...rest }] of this.entries) {
      if (rest.kind === 'weight') shadow.declare(name, tensor.shape, rest);
      else shadow.entries.set(name, { tensor, ...rest });
    }
    return shadow;
  }

  /** Number of trained values. */
  count(): number {
    return [...this.entries.values()].reduce((sum, { tensor, kind }) => sum + (kind === 'weight' ? tensor.size : 0), 0);
  }

  /** Writes first values, the same to a shadow. @param random standard normal numbers by (parameter number, element). */
  initialise(gpu: Gpu, random: (stream: number, index: number) => number, shadow?: Parameters): void {
    let stream = 0;
    for (const [name, { tensor, initial }] of this.entries) {
      const values = new Float32Array(tensor.size);
      const own = stream++;
      initial(values, (index) => random(own, index));
      writeTensor(gpu, tensor, values);
      if (shadow) writeTensor(gpu, shadow.entries.get(name)!.tensor, values);
    }
  }

  /** Values by name, after the work queued so far. */
  async read(gpu: Gpu): Promise<Map<string, { shape: readonly number[]; data: Float32Array }>> {
    const values = new Map<string, { shape: readonly number[]; data: Float32Array }>();
    const copies = new Map<Storage, Float32Array>();
    for (const [name, { tensor }] of this.entries) {
      const storage = tensor.storage!;
      let all = copies.get(storage);
      if (!all) {
        all = new Float32Array(await readBuffer(gpu, storage.buffer(gpu), 0, storage.sizeBytes));
        copies.set(storage, all);
      }
      values.set(name, { shape: tensor.shape, data: all.subarray(tensor.offset / 4, tensor.offset / 4 + tensor.size) });
    }
    return values;
  }

  /** @throws RunError where a name is missing or of another shape. */
  write(gpu: Gpu, values: ReadonlyMap<string, { shape: readonly number[]; data: Float32Array | Uint32Array }>): void {
    for (const [name, { tensor }] of this.entries) {
      const value = values.get(name);
      if (value?.shape.join() !== tensor.shape.join()) {
        throw new RunError(
          `${name} is [${tensor.shape}] here, ${value ? `[${value.shape}]` : 'absent'} there`,
          'Give the checkpoint of a run with the same --model, --width, --size and classes.',
        );
      }
      writeTensor(gpu, tensor, value.data);
    }
  }

  /** Writes some of them, in the shapes that they have. */
  writeSome(gpu: Gpu, values: ReadonlyMap<string, { data: Float32Array }>): void {
    for (const [name, { data }] of values) writeTensor(gpu, this.entries.get(name)!.tensor, data);
  }

  destroy(gpu: Gpu): void {
    this.values.destroy(gpu);
    this.gradients.destroy(gpu);
    if (!this.ownsBuffers) return;
    this.buffers.destroy(gpu);
    this.frozen.destroy(gpu);
  }
}

export const zeros: Initial = (values) => values.fill(0);
export const ones: Initial = (values) => values.fill(1);

/** Normal with variance 2 / fan-in (He et al. 2015, eq. 10), for layers before a ReLU. */
export function heNormal(fanIn: number): Initial {
  return normalOf(Math.sqrt(2 / fanIn));
}

/** Normal with variance 2 / (fan-in + fan-out) (Glorot & Bengio 2010, eq. 12). */
export function glorotNormal(fanIn: number, fanOut: number): Initial {
  return normalOf(Math.sqrt(2 / (fanIn + fanOut)));
}

/** Normal with this standard deviation. */
export function normalOf(deviation: number): Initial {
  return (values, random) => {
    for (let i = 0; i < values.length; i++) values[i] = deviation * random(i);
  };
}
