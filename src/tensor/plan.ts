import type { Launch } from './tape.js';
import { rootOf, type Tensor } from './tensor.js';

/** One piece of memory and the tensors that take turns in it. */
export interface Slot {
  sizeBytes: number;
  tensors: Tensor[];
}

export interface MemoryPlan {
  slots: Slot[];
  /** Sum of the slots. */
  peakBytes: number;
  /** The most bytes that are alive at one launch: no plan can need less. */
  boundBytes: number;
}

interface Lifetime {
  tensor: Tensor;
  first: number;
  last: number;
}

/**
 * Plans memory for the tensors that have no storage of their own. A tensor lives from the first to the last launch that
 * binds it (to the end where it is in `keep`). Slots are whole buffers, because WebGPU forbids reading and writing one
 * buffer in one dispatch. Greedy by size (Pisarchyk & Lee 2020, "Efficient Memory Management for Deep Neural Net Inference", alg. 2):
 * the largest tensor first, into the smallest slot that is free during its life.
 */
export function planMemory(launches: readonly Launch[], keep: Iterable<Tensor>): MemoryPlan {
  const lifetimes = new Map<Tensor, Lifetime>();
  launches.forEach((launch, index) => {
    for (const tensor of Object.values(launch.tensors).map(rootOf)) {
      if (tensor.storage) continue;
      const lifetime = lifetimes.get(tensor);
      if (lifetime) lifetime.last = index;
      else lifetimes.set(tensor, { tensor, first: index, last: index });
    }
  });
  for (const tensor of keep) {
    const lifetime = lifetimes.get(rootOf(tensor));
    if (lifetime) lifetime.last = launches.length;
  }
  const alive = new Float64Array(launches.length + 1);
  for (const { tensor, first, last } of lifetimes.values()) for (let i = first; i <= last; i++) alive[i] += tensor.bytes;

  const slots: (Slot & { taken: Lifetime[] })[] = [];
  const bySize = [...lifetimes.values()].sort((a, b) => b.tensor.bytes - a.tensor.bytes || a.first - b.first);
  for (const lifetime of bySize) {
    const free = slots.filter((slot) => slot.taken.every((other) => other.last < lifetime.first || lifetime.last < other.first));
    const slot = free.at(-1); // slots are made in decreasing size
    if (slot) {
      slot.tensors.push(lifetime.tensor);
      slot.taken.push(lifetime);
    } else {
      slots.push({ sizeBytes: lifetime.tensor.bytes, tensors: [lifetime.tensor], taken: [lifetime] });
    }
  }
  return {
    slots,
    peakBytes: slots.reduce((sum, slot) => sum + slot.sizeBytes, 0),
    boundBytes: alive.reduce((a, b) => Math.max(a, b), 0),
  };
}
