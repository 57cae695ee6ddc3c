import type { Gpu } from '../gpu/gpu.js';

/** How numbers are stored. Those of f16 are read and written as such, and calculated with in f32. */
export type DType = 'f32' | 'u32' | 'f16';

export const ELEMENT_BYTES: Readonly<Record<DType, number>> = { f32: 4, u32: 4, f16: 2 };

/** Memory that outlives a program: parameters, resident faces, inputs. Allocated when first needed. */
export class Storage {
  readonly label: string;
  sizeBytes: number;
  private allocated: GPUBuffer | undefined;

  constructor(label: string, sizeBytes: number) {
    this.label = label;
    this.sizeBytes = sizeBytes;
  }

  buffer(gpu: Gpu): GPUBuffer {
    this.allocated ??= gpu.createBuffer(
      this.label,
      this.sizeBytes,
      GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
    );
    return this.allocated;
  }

  destroy(gpu: Gpu): void {
    if (this.allocated) gpu.destroyBuffer(this.allocated);
    this.allocated = undefined;
  }
}

/** A shape with a place for its numbers: a slice of a Storage, or memory that a Program plans (`storage` undefined). */
export interface Tensor {
  readonly id: number;
  readonly label: string;
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** Number of elements. */
  readonly size: number;
  readonly bytes: number;
  /** Whether a gradient is wanted: parameters, chosen inputs, and all that is computed from them. */
  differentiable: boolean;
  readonly storage: Storage | undefined;
  /** Byte offset in `storage`. */
  readonly offset: number;
  /** Where the gradient of a parameter is collected. */
  readonly gradientSlot: Tensor | undefined;
  /** The tensor whose memory this one shows in another shape. */
  readonly base: Tensor | undefined;
}

let nextId = 0;

export function createTensor(
  label: string,
  shape: readonly number[],
  dtype: DType = 'f32',
  place: { storage?: Storage; offset?: number; gradientSlot?: Tensor; differentiable?: boolean; base?: Tensor } = {},
): Tensor {
  const size = sizeOf(shape);
  return {
    id: nextId++,
    label,
    shape,
    dtype,
    size,
    bytes: size * ELEMENT_BYTES[dtype],
    differentiable: place.differentiable ?? false,
    storage: place.storage,
    offset: place.offset ?? 0,
    gradientSlot: place.gradientSlot,
    base: place.base,
  };
}

/** The tensor that owns the memory of this one. */
export function rootOf(tensor: Tensor): Tensor {
  return tensor.base ?? tensor;
}

/** A tensor in memory of its own, that several programs can share. */
export function persistentTensor(label: string, shape: readonly number[], dtype: DType = 'f32'): Tensor {
  return createTensor(label, shape, dtype, { storage: new Storage(label, sizeOf(shape) * ELEMENT_BYTES[dtype]) });
}

/** Queues a write of the whole tensor; `data` is copied at once. */
export function writeTensor(gpu: Gpu, tensor: Tensor, data: Float32Array | Uint32Array | ArrayBuffer): void {
  if (!tensor.storage) throw new TypeError(`${tensor.label}: planned memory cannot be written by the host`);
  if (data.byteLength !== tensor.bytes)
    throw new RangeError(`${tensor.label} [${tensor.shape}] takes ${tensor.bytes} bytes, got ${data.byteLength}`);
  const bytes = data instanceof ArrayBuffer ? data : data.buffer;
  const start = data instanceof ArrayBuffer ? 0 : data.byteOffset;
  gpu.device.queue.writeBuffer(tensor.storage.buffer(gpu), tensor.offset, bytes, start, data.byteLength);
}

/** Number of elements of a shape; 1 for a scalar []. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** The numbers of 16-bit floats (IEEE 754 binary16). */
export function widen(halves: Uint16Array): Float32Array {
  return Float32Array.from(halves, (bits) => {
    const sign = bits >> 15 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = (bits & 1023) / 1024;
    if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    return sign * (exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15));
  });
}
