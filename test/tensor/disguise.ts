import type { Gpu } from '#src/gpu/gpu.js';

/**
 * The same device under false colours: as software or as a GPU, so that both divisions of the work are tested on either; and taking few
 * workgroups per dimension, so that small tensors need dispatches of two dimensions, as huge ones do.
 */
export function disguise(
  gpu: Gpu,
  { isFallback = gpu.adapter.isFallback, groups = gpu.limits.maxComputeWorkgroupsPerDimension } = {},
): Gpu {
  const { maxBufferSize, maxStorageBufferBindingSize, minUniformBufferOffsetAlignment } = gpu.limits;
  const { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupStorageSize } = gpu.limits;
  const limits = {
    ...{ maxBufferSize, maxStorageBufferBindingSize, minUniformBufferOffsetAlignment },
    ...{ maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupStorageSize, maxComputeWorkgroupsPerDimension: groups },
  };
  return Object.create(gpu, { limits: { value: limits }, adapter: { value: { ...gpu.adapter, isFallback } } }) as Gpu;
}
