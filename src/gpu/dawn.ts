/** Opens a device through Dawn's Node binding: the only file of this room that needs Node. */
import { readFileSync } from 'node:fs';
import { homedir, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { create, globals } from 'webgpu';
import { DeviceError } from '../errors.js';
import { type AdapterSummary, Gpu, type Tuning } from './gpu.js';
import { ShaderLibrary } from './shader.js';

const shaderFolder = fileURLToPath(new URL('../../shaders/', import.meta.url));

/** Objects that must stay referenced as long as their device lives: Dawn crashes the process once they are collected. */
const alive = new Set<unknown>();

export interface OpenOptions {
  /** Part of the wanted adapter's description, or 'software' for the processor. Default: the fastest there is. */
  adapter?: string | undefined;
  /** Leave out Dawn's bounds checks: about 8 % faster on a software adapter, undefined behaviour for a defective shader. */
  unsafe?: boolean | undefined;
  /** Take the kernels that tools/tune found fastest on this adapter, where it has run. Default: no. */
  tuned?: boolean;
}

/** @throws DeviceError when no adapter fits, or when only Dawn's null backend answers (it accepts work and returns garbage). */
export async function openGpu({ adapter: wanted, unsafe = false, tuned = false }: OpenOptions = {}): Promise<Gpu> {
  Object.assign(globalThis, globals);
  process.env.XDG_RUNTIME_DIR ??= tmpdir();
  const flags = [`disable-dawn-features=timestamp_quantization`];
  if (unsafe) flags.push('enable-dawn-features=disable_robustness');
  // Dawn's own fallback is SwiftShader; Mesa's llvmpipe it takes for a GPU like others.
  const names = wanted === 'software' ? ['llvmpipe', 'SwiftShader'] : [wanted];
  let instance: GPU | undefined;
  let adapter: GPUAdapter | null = null;
  for (const name of names) {
    instance = create(name ? [...flags, `adapter=${name}`] : flags);
    try {
      adapter = await instance.requestAdapter({ powerPreference: 'high-performance' });
    } catch (cause) {
      if (name === names.at(-1)) throw noAdapter(wanted, cause);
    }
    if (adapter) break;
  }
  if (!adapter) throw noAdapter(wanted);
  if (/null/i.test(`${adapter.info.description} ${adapter.info.device}`)) {
    throw new DeviceError(
      "only Dawn's null backend answers",
      'It computes nothing. Run `node tools/setup.mjs` to find or set up a real adapter.',
    );
  }
  const features = (['timestamp-query', 'subgroups', 'shader-f16'] as GPUFeatureName[]).filter((name) => adapter.features.has(name));
  // Default limits are small: ask for all that this adapter offers.
  const requiredLimits: Record<string, number> = {};
  for (const name in adapter.limits) {
    const limit = adapter.limits[name as keyof GPUSupportedLimits];
    if (typeof limit === 'number' && !/subgroup/i.test(name)) requiredLimits[name] = limit;
  }
  const device = await adapter.requestDevice({ label: 'moue', requiredFeatures: features, requiredLimits });
  const held = [instance, adapter, device];
  alive.add(held);
  const known = summary(adapter, features);
  return new Gpu({
    device,
    adapter: known,
    tuning: tuned ? readTuning(tuningPath(known)) : {},
    shaders: new ShaderLibrary((path) => readFileSync(shaderFolder + path, 'utf8')),
    wait: waitPolitely,
    memoryBudgetBytes: isSoftware(adapter) ? 0.7 * totalmem() : Number.POSITIVE_INFINITY,
    release: () => alive.delete(held),
  });
}

function noAdapter(wanted: string | undefined, cause?: unknown): DeviceError {
  const which = wanted ? `no WebGPU adapter matches '${wanted}'` : 'no WebGPU adapter was found';
  return new DeviceError(
    which,
    'Run `node tools/setup.mjs`: it finds an adapter, or installs or names the driver that is missing on this system.',
    {},
    { cause },
  );
}

function isSoftware(adapter: GPUAdapter): boolean {
  const info = adapter.info as GPUAdapterInfo & { isFallbackAdapter?: boolean };
  return (
    info.isFallbackAdapter === true || /llvmpipe|swiftshader|software/i.test(`${info.device} ${info.description} ${info.architecture}`)
  );
}

function summary(adapter: GPUAdapter, features: GPUFeatureName[]): AdapterSummary {
  const info = adapter.info as GPUAdapterInfo & { subgroupMinSize?: number; subgroupMaxSize?: number };
  return {
    vendor: info.vendor,
    architecture: info.architecture,
    device: info.device,
    description: info.description,
    subgroupMinSize: info.subgroupMinSize ?? 0,
    subgroupMaxSize: info.subgroupMaxSize ?? 0,
    isFallback: isSoftware(adapter),
    hasSubgroups: features.includes('subgroups' as GPUFeatureName),
    hasTimestamps: features.includes('timestamp-query'),
    hasF16: features.includes('shader-f16'),
  };
}

/** Where the tuning for an adapter and its driver is kept for this user. */
export function tuningPath({ vendor, device, description }: AdapterSummary): string {
  const name = `${vendor} ${device} ${description}`.toLowerCase().replace(/[^a-z0-9]+/g, '-');
  return join(homedir(), '.cache', 'moue', `tuning-${name}.json`);
}

/** The tuning in a file; none where there is no file. @throws DeviceError when something else is in it. */
export function readTuning(path: string): Tuning {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw notTuning(path, error);
  }
  try {
    const tuning = JSON.parse(text) as Tuning;
    for (const { family, tile = {} } of Object.values(tuning)) {
      const sound = typeof family === 'string' && Object.values(tile).every((size) => Number.isInteger(size) && size > 0);
      if (!sound || (family === 'tiled') !== Object.keys(tile).length > 0) throw new TypeError('an entry names no kernel');
    }
    return tuning;
  } catch (error) {
    throw notTuning(path, error);
  }
}

function notTuning(path: string, cause: unknown): DeviceError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new DeviceError(`no tuning can be read: ${why}`, 'Remove the file, and run tools/tune again.', { file: path }, { cause });
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));
/** A turn of the event loop that took longer did some work, or another wait has slept in it. */
const IDLE_TURN_MS = 0.5;

/**
 * While any promise is pending, Dawn's binding polls through setImmediate and burns a core; on a software adapter that is half
 * of the machine. Sleeping a millisecond between polls gives it back. Where there is other work to do meanwhile, such as reading faces, nobody sleeps.
 */
async function waitPolitely<T>(promise: Promise<T>): Promise<T> {
  let settled = false;
  const mark = () => {
    settled = true;
  };
  promise.then(mark, mark);
  await Promise.resolve();
  while (!settled) {
    const before = performance.now();
    await new Promise((resolve) => setImmediate(resolve));
    if (!settled && performance.now() - before < IDLE_TURN_MS) Atomics.wait(sleeper, 0, 0, 1);
  }
  return promise;
}
