import type { Gpu } from '#src/gpu/gpu.js';

/**
 * The same device under false colours: as software or as a GPU, so that both divisions of the work are tested on either; and taking few
 * workgroups per dimension, so that small tensors need dispatches of two dimensions, as huge ones do; or small bindings, so that they are split.
 */
export function disguise(
  gpu: Gpu,
  {
    isFallback = gpu.adapter.isFallback,
    groups = gpu.limits.maxComputeWorkgroupsPerDimension,
    bindingBytes = gpu.limits.maxStorageBufferBindingSize,
  } = {},
): Gpu {
  const { maxBufferSize, minUniformBufferOffsetAlignment, maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupStorageSize } = gpu.limits;
  const limits = {
    ...{ maxBufferSize, maxStorageBufferBindingSize: bindingBytes },
    ...{ minUniformBufferOffsetAlignment, minStorageBufferOffsetAlignment: 256 }, // the strictest that WebGPU allows
    ...{ maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupStorageSize, maxComputeWorkgroupsPerDimension: groups },
  };
  return Object.create(gpu, { limits: { value: limits }, adapter: { value: { ...gpu.adapter, isFallback } } }) as Gpu;
}
