import type { Gpu } from './gpu.js';
import type { Shader } from './shader.js';

/** Shaders under way on a device at once: the next is there when one is done. */
const LANES = 2;
/** A shader that takes longer does not come from the driver's cache; those from it take about 10 ms, but the main thread may be busy. */
const CACHED_MS = 150;

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
  for (const shader of queue) gpu.pipeline(shader).catch(() => {}); // begun at once; who awaits it meets the error
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
  const work = async (device: Gpu) => {
    for (let shader = queue.shift(); shader; shader = queue.shift()) {
      await device.pipeline(shader);
      const timer = setTimeout(callHelp, cachedMs);
      await device.dispatchNothing(shader).finally(() => clearTimeout(timer));
      onProgress?.(++done, texts.size);
    }
  };
  const lanes = async (device: Gpu) => {
    const ends = await Promise.allSettled(Array.from({ length: LANES }, () => work(device)));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  };
  await lanes(gpu);
  await helped;
}
