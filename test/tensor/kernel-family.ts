import { readFileSync } from 'node:fs';
import type { Gpu } from '#src/gpu/gpu.js';
import { ShaderLibrary } from '#src/gpu/shader.js';

/** The same device said to have no subgroups: operators then use the kernels that run on any adapter. */
export function withoutSubgroups(gpu: Gpu): Gpu {
  return Object.create(gpu, { adapter: { value: { ...gpu.adapter, hasSubgroups: false } } }) as Gpu;
}

const shaders = new ShaderLibrary((path) => readFileSync(new URL(`../../../shaders/${path}`, import.meta.url), 'utf8'), { unroll: false });

/** The same device with shaders whose marked loops stay loops. */
export function withPlainLoops(gpu: Gpu): Gpu {
  return Object.create(gpu, { shaders: { value: shaders } }) as Gpu;
}
