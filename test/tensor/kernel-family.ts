import { readFileSync } from 'node:fs';
import type { Gpu } from '#src/gpu/gpu.js';
import { ShaderLibrary } from '#src/gpu/shader.js';
import type { AttentionForm, Choice, Product } from '#src/tensor/ops/families.js';

/** The same device said to have no subgroups: operators then use the kernels that run on any adapter. */
export function withoutSubgroups(gpu: Gpu): Gpu {
  return Object.create(gpu, { adapter: { value: { ...gpu.adapter, hasSubgroups: false } } }) as Gpu;
}

/** A tile so small that small tensors have several, the last ones partly empty. */
const SMALL_TILE: Choice = { family: 'tiled', tile: { TILE_M: 16, TILE_N: 32, TILE_K: 8, THREAD_M: 4, THREAD_N: 4 } };

/** The same device with one kernel for all products that it takes. */
export function withKernel(gpu: Gpu, choice: Choice): Gpu {
  const products: Product[] = ['matmul', 'conv2d_forward', 'conv2d_backward_input', 'conv2d_backward_weight'];
  return Object.create(gpu, { tuning: { value: Object.fromEntries(products.map((product) => [product, choice])) } }) as Gpu;
}

/** The same device with the kernels that go through tiles in workgroup memory. */
export function withTiles(gpu: Gpu): Gpu {
  return withKernel(gpu, SMALL_TILE);
}

/** The same device with one form of attention for all sizes. */
export function withAttention(gpu: Gpu, family: AttentionForm): Gpu {
  return Object.create(gpu, { tuning: { value: { attention: { family } } } }) as Gpu;
}

const shaders = new ShaderLibrary((path) => readFileSync(new URL(`../../../shaders/${path}`, import.meta.url), 'utf8'), { unroll: false });

/** The same device with shaders whose marked loops stay loops. */
export function withPlainLoops(gpu: Gpu): Gpu {
  return Object.create(gpu, { shaders: { value: shaders } }) as Gpu;
}
