import type { Gpu } from './gpu.js';
import type { Shader } from './shader.js';

/** Shaders under way on a device at once: the next is there when one is done. */
const LANES = 2;
/** A shader that takes longer does not come from the driver's cache; those from it take about 10 ms, but the main thread may be busy. */
const CACHED_MS = 150;
/** At least what any shader's params, or one element of its tensors, take. */
const SCRATCH_BYTES = 256;

export interface WarmUpOptions {
  /** More devices to use where a shader takes longer than `cachedMs`. Default: none. */
  helpers?: number;
  /** Opens another device on the same adapter. */
  openHelper?: () => Promise<Gpu>;
  cachedMs?: number;
  onProgress?: (done: number, total: number) => void;
}

/**
 * Has the driver compile `shaders` ahead of their first use. Software drivers compile at the first dispatch, on the one thread of the device's queue;
 * therefore `helpers` more devices share the work where it is not in the driver's cache, which is common to them all.
 * @throws ShaderError where a shader does not compile, DeviceError where a device fails.
 */
export async function warmUp(
  gpu: Gpu,
  shaders: Iterable<Shader>,
  { helpers = 0, openHelper, cachedMs = CACHED_MS, onProgress }: WarmUpOptions = {},
): Promise<void> {
  const texts = new Map([...shaders].map((shader) => [shader.text, shader]));
  const queue = [...texts.values()].sort((a, b) => b.text.length - a.text.length); // the slowest first, so that all devices end together
  for (const shader of queue) gpu.pipeline(shader).catch(() => {}); // who awaits it meets the error
  let done = 0;
  let helped: Promise<unknown> | undefined;
  const help = async () => {
    if (!openHelper || queue.length === 0) return;
    const helper = await openHelper();
    await lanes(helper).finally(() => helper.close());
  };
  const callHelp = () => {
    helped ??= Promise.all(Array.from({ length: helpers }, help));
    helped.catch(() => {}); // met below
  };
  const work = async (device: Gpu, scratch: Scratch) => {
    for (let shader = queue.shift(); shader; shader = queue.shift()) {
      await device.pipeline(shader);
      const timer = setTimeout(callHelp, cachedMs);
      await dispatchNothing(device, shader, scratch).finally(() => clearTimeout(timer));
      onProgress?.(++done, texts.size);
    }
  };
  const lanes = async (device: Gpu) => {
    const scratch = new Scratch(device);
    const ends = await Promise.allSettled(Array.from({ length: LANES }, () => work(device, scratch)));
    scratch.destroy();
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  };
  await lanes(gpu);
  await helped;
}

/** Has the driver compile a shader by a dispatch of no workgroups, and waits for it. @throws ShaderError where it does not compile. */
async function dispatchNothing(gpu: Gpu, shader: Shader, scratch: Scratch): Promise<void> {
  const { pipeline, layout } = await gpu.pipeline(shader);
  const entries: GPUBindGroupEntry[] = shader.tensors.map(({ binding, isTexture }) => {
    return { binding, resource: isTexture ? scratch.texture() : { buffer: scratch.buffer(binding) } };
  });
  if (shader.params.length > 0) entries.push({ binding: 0, resource: { buffer: scratch.buffer(0) } });
  const encoder = gpu.device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, gpu.createBindGroup({ layout, entries }));
  pass.dispatchWorkgroupsIndirect(scratch.buffer('groups'), 0); // Dawn warns of direct counts of 0
  pass.end();
  gpu.submit(encoder.finish());
  await gpu.idle();
}

/** What shaders bind that compute nothing: a buffer for each binding, because what may be written must not be bound twice. */
class Scratch {
  private readonly gpu: Gpu;
  private readonly buffers = new Map<number | 'groups', GPUBuffer>();
  private made: GPUTexture | undefined;

  constructor(gpu: Gpu) {
    this.gpu = gpu;
  }

  buffer(binding: number | 'groups'): GPUBuffer {
    const { INDIRECT, STORAGE, UNIFORM } = GPUBufferUsage;
    const usage = binding === 'groups' ? INDIRECT : STORAGE | UNIFORM;
    const buffer = this.buffers.get(binding) ?? this.gpu.createBuffer('scratch', SCRATCH_BYTES, usage);
    this.buffers.set(binding, buffer);
    return buffer;
  }

  texture(): GPUTextureView {
    this.made ??= this.gpu.createTexture('scratch', SCRATCH_BYTES);
    return this.made.createView();
  }

  destroy(): void {
    for (const buffer of this.buffers.values()) this.gpu.destroyBuffer(buffer);
    if (this.made) this.gpu.destroyTexture(this.made);
  }
}
