import type { Gpu } from '../../gpu/gpu.js';

/** The kernels that multiply by outer products within one subgroup (shaders/matmul.wgsl tells how), as they fit an adapter. */
export interface OuterProduct {
  /** Lanes of every subgroup. */
  subgroup: number;
  /** Columns of a tile: four a lane. */
  columns: number;
  /** Rows of a tile. More of them save loads, and spill registers: 24 is the fastest of 8, 16, 24, 32 and 40 on llvmpipe's 8 lanes. */
  rows: number;
}

/** Undefined where subgroups are missing or of varying size: the direct kernels are for all adapters. */
export function outerProduct(gpu: Gpu): OuterProduct | undefined {
  const { hasSubgroups, subgroupMinSize, subgroupMaxSize } = gpu.adapter;
  if (!hasSubgroups || subgroupMinSize !== subgroupMaxSize || ![4, 8, 16, 32].includes(subgroupMinSize)) return undefined;
  return { subgroup: subgroupMinSize, columns: 4 * subgroupMinSize, rows: subgroupMinSize > 8 ? 32 : 24 };
}

/** Workgroups that keep an adapter evenly busy: a processor has few cores, a GPU thousands of subgroups in flight. */
const BUSY_GROUPS = { processor: 128, gpu: 2048 };

/**
 * Into how many parts a long sum is divided when `groups` workgroups are all that its results make: so that the adapter is busy, none sums fewer
 * than `shortest` terms for it, and none more than 8192, which keeps the rounding error small.
 */
export function splitsOf(gpu: Gpu, groups: number, terms: number, shortest: number): number {
  const wanted = Math.ceil((gpu.adapter.isFallback ? BUSY_GROUPS.processor : BUSY_GROUPS.gpu) / groups);
  return Math.max(1, Math.min(wanted, Math.floor(terms / shortest)), Math.ceil(terms / 8192));
}
