import type { Launch } from './tape.js';
import { rootOf, type Tensor } from './tensor.js';

/** Where a tensor lies: in one of the plan's buffers, from a byte on. */
export interface Place {
  buffer: number;
  offset: number;
}

export interface MemoryPlan {
  /** Sizes of the buffers to make. */
  bufferBytes: number[];
  places: Map<Tensor, Place>;
  /** Sum of the buffers. */
  peakBytes: number;
  /** The most bytes that are alive at one launch: no plan can need less. */
  boundBytes: number;
}

/** What the adapter asks of a buffer and of the offset of a binding. */
export interface PlanLimits {
  maxBufferSize: number;
  minStorageBufferOffsetAlignment: number;
}

/** From the first to the last launch that binds a tensor, and what those launches do with it. */
interface Lifetime {
  tensor: Tensor;
  bytes: number;
  first: number;
  last: number;
  reads: Set<number>;
  writes: Set<number>;
}

interface Slot {
  bytes: number;
  taken: { lifetime: Lifetime; offset: number }[];
  /** Launches that read, and that write, anything in it. */
  reads: Set<number>;
  writes: Set<number>;
}

/** Shaders may see any tensor as array<vec4f>. */
const QUAD_BYTES = 16;

/**
 * Plans memory for the tensors that have no storage of their own. A tensor lives from the first to the last launch that binds it (to the end
 * where it is in `keep`).
 *
 * Greedy by size (Pisarchyk & Lee 2020, "Efficient Memory Management for Deep Neural Net Inference", alg. 3), the largest tensor first, but in several buffers,
 * because WebGPU forbids binding one buffer for reading and for writing in one dispatch, at whatever offsets. Each tensor goes, at the
 * lowest free offset, into the buffer that grows least by it among those that this rule allows, or into a buffer of its own where none would be saved
 * anything: what shares a buffer narrows the choice of what comes later.
 */
export function planMemory(launches: readonly Launch[], keep: Iterable<Tensor>, limits: PlanLimits): MemoryPlan {
  const alignment = Math.max(QUAD_BYTES, limits.minStorageBufferOffsetAlignment);
  const lifetimes = lifetimesOf(launches, keep, alignment);
  const slots: Slot[] = [];
  const places = new Map<Tensor, Place>();
  for (const lifetime of [...lifetimes].sort((a, b) => b.bytes - a.bytes || a.first - b.first)) {
    let best = { slot: slots.length, offset: 0, growth: lifetime.bytes };
    slots.forEach((slot, index) => {
      if (meet(slot.reads, lifetime.writes) || meet(slot.writes, lifetime.reads)) return;
      const offset = freeOffset(slot, lifetime);
      const end = offset + lifetime.bytes;
      const growth = Math.max(0, end - slot.bytes);
      if (growth < best.growth && end <= limits.maxBufferSize) best = { slot: index, offset, growth };
    });
    slots[best.slot] ??= { bytes: 0, taken: [], reads: new Set(), writes: new Set() };
    const slot = slots[best.slot]!;
    slot.bytes += best.growth;
    slot.taken.push({ lifetime, offset: best.offset });
    for (const launch of lifetime.reads) slot.reads.add(launch);
    for (const launch of lifetime.writes) slot.writes.add(launch);
    places.set(lifetime.tensor, { buffer: best.slot, offset: best.offset });
  }
  return {
    bufferBytes: slots.map((slot) => slot.bytes),
    places,
    peakBytes: slots.reduce((sum, slot) => sum + slot.bytes, 0),
    boundBytes: aliveOf(lifetimes, launches.length).reduce((a, b) => Math.max(a, b), 0),
  };
}

function lifetimesOf(launches: readonly Launch[], keep: Iterable<Tensor>, alignment: number): Lifetime[] {
  const lifetimes = new Map<Tensor, Lifetime>();
  launches.forEach(({ shader, tensors }, index) => {
    for (const { name, access } of shader.tensors) {
      const tensor = rootOf(tensors[name]!);
      if (tensor.storage) continue;
      let lifetime = lifetimes.get(tensor);
      if (!lifetime) {
        const bytes = Math.ceil(tensor.bytes / alignment) * alignment;
        lifetime = { tensor, bytes, first: index, last: index, reads: new Set(), writes: new Set() };
        lifetimes.set(tensor, lifetime);
      }
      lifetime.last = index;
      (access === 'read' ? lifetime.reads : lifetime.writes).add(index);
    }
  });
  for (const tensor of keep) {
    const lifetime = lifetimes.get(rootOf(tensor));
    if (lifetime) lifetime.last = launches.length;
  }
  return [...lifetimes.values()];
}

/** The lowest offset at which nothing lies during this life. */
function freeOffset({ taken }: Slot, { bytes, first, last }: Lifetime): number {
  const neighbours = taken.filter(({ lifetime }) => lifetime.first <= last && first <= lifetime.last).sort((a, b) => a.offset - b.offset);
  let offset = 0;
  for (const neighbour of neighbours) {
    if (offset + bytes <= neighbour.offset) break;
    offset = Math.max(offset, neighbour.offset + neighbour.lifetime.bytes);
  }
  return offset;
}

function meet(a: Set<number>, b: Set<number>): boolean {
  return [...b].some((launch) => a.has(launch));
}

/** Bytes of the planned tensors that are alive at each launch, and behind the last. */
export function bytesAlive(launches: readonly Launch[], keep: Iterable<Tensor>): Float64Array {
  return aliveOf(lifetimesOf(launches, keep, QUAD_BYTES), launches.length);
}

function aliveOf(lifetimes: readonly Lifetime[], launches: number): Float64Array {
  const alive = new Float64Array(launches + 1);
  for (const { tensor, first, last } of lifetimes) for (let i = first; i <= last; i++) alive[i]! += tensor.bytes;
  return alive;
}
