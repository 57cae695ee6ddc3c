import type { Gpu } from '#src/gpu/gpu.js';

/** The same device said to take `groups` workgroups per dimension: small tensors then need dispatches of two dimensions, as huge ones do. */
export function narrowGpu(gpu: Gpu, groups: number): Gpu {
  const { maxBufferSize, maxStorageBufferBindingSize, minUniformBufferOffsetAlignment } = gpu.limits;
  const limits = { maxBufferSize, maxStorageBufferBindingSize, minUniformBufferOffsetAlignment, maxComputeWorkgroupsPerDimension: groups };
  return Object.create(gpu, { limits: { value: limits } }) as Gpu;
}
