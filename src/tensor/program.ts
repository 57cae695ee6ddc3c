import { DeviceError } from '../errors.js';
import { copyToTexture, type Gpu, type Pipeline } from '../gpu/gpu.js';
import type { Shader } from '../gpu/shader.js';
import { planMemory } from './plan.js';
import { withRecomputation } from './recompute.js';
import type { Launch, Tape } from './tape.js';
import { rootOf, type Tensor, widen, writeTensor } from './tensor.js';

interface Dispatch {
  launch: Launch;
  pipeline: GPUComputePipeline;
  bindGroup: GPUBindGroup;
  /** What must be in the texture first, and is not yet. */
  staged: Staged | undefined;
}

/** A copy into a texture. */
interface Staged {
  place: BufferPlace;
  bytes: number;
  texture: GPUTexture;
}

/** The bytes of a buffer from an offset on. */
interface BufferPlace {
  buffer: GPUBuffer;
  offset: number;
}

/** Of the textures that are filled before a run's first launch: each copy between launches ends a pass, which takes JavaScript as long as a launch. */
const MOST_EARLY_BYTES = 2 ** 24;

/** Time of one launch, from timestamps at both ends of a pass of its own. */
export interface LaunchTime {
  launch: Launch;
  timeMs: number;
}

/**
 * A compiled tape: pipelines, bind groups and memory are made once; `run` encodes all launches into one command buffer and
 * submits it, and allocates nothing.
 */
export class Program {
  readonly launches: readonly Launch[];
  /** Bytes for what a step computes, and the least that any plan could do with; parameters and inputs not counted. */
  readonly memory: { peakBytes: number; boundBytes: number };
  private readonly gpu: Gpu;
  private readonly tape: Tape;
  private readonly dispatches: Dispatch[];
  private readonly buffers: GPUBuffer[];
  /** Copies before the first launch. */
  private readonly early: readonly Staged[];
  private readonly textures: readonly GPUTexture[];
  private readonly places: Map<Tensor, BufferPlace>;

  private constructor(
    gpu: Gpu,
    tape: Tape,
    launches: readonly Launch[],
    dispatches: Dispatch[],
    buffers: GPUBuffer[],
    early: readonly Staged[],
    textures: readonly GPUTexture[],
    places: Map<Tensor, BufferPlace>,
    memory: Program['memory'],
  ) {
    this.gpu = gpu;
    this.tape = tape;
    this.launches = launches;
    this.dispatches = dispatches;
    this.buffers = buffers;
    this.early = early;
    this.textures = textures;
    this.places = places;
    this.memory = memory;
  }

  /**
   * @param keep tensors whose values must survive to the end of a run, to be read.
   * @param recompute take less memory, by repeating cheap launches rather than keeping their results; changes no bit.
   * @throws ShaderError where a shader does not compile, DeviceError where a tensor is beyond the adapter's limits.
   */
  static async compile(
    gpu: Gpu,
    tape: Tape,
    { keep = [] as Tensor[], recompute = false }: { keep?: Tensor[]; recompute?: boolean } = {},
  ): Promise<Program> {
    const launches = recompute ? withRecomputation(tape.launches, keep) : tape.launches;
    const compiling = pipelinesOf(gpu, launches);
    compiling.catch(() => {}); // met below

    for (const { tensors } of launches) for (const tensor of Object.values(tensors)) requireBindable(gpu, tensor);
    const plan = planMemory(launches, keep, gpu.limits);
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const buffers = plan.bufferBytes.map((bytes, i) => gpu.createBuffer(`planned ${i}`, bytes, usage));
    const places = new Map<Tensor, BufferPlace>();
    for (const [tensor, { buffer, offset }] of plan.places) places.set(tensor, { buffer: buffers[buffer]!, offset });
    const copyInto = (texture: GPUTexture, tensor: Tensor): Staged => ({
      place: placeOf(gpu, places, tensor)!,
      bytes: tensor.bytes,
      texture,
    });
    const early = earlyOf(launches);
    const earlyCopies = early.tensors.map((tensor) => copyInto(gpu.createTexture(tensor.label, tensor.bytes), tensor));
    // One texture serves all other launches in their order.
    const largest = Math.max(0, ...launches.map((launch, index) => (early.of[index]! < 0 ? (texturedOf(launch)?.bytes ?? 0) : 0)));
    const shared = largest > 0 ? gpu.createTexture('staged', largest) : undefined;
    const textures = [...earlyCopies.map(({ texture }) => texture), ...(shared ? [shared] : [])];
    // Ahead of the clearing, because llvmpipe makes a view only when its queue is at rest.
    const views = new Map(textures.map((texture) => [texture, texture.createView()]));
    // Dawn clears a buffer before its first use: let the device begin while the host prepares.
    const clearing = gpu.device.createCommandEncoder();
    for (const buffer of buffers) clearing.clearBuffer(buffer);
    gpu.submit(clearing.finish());

    const pipelines = await compiling;
    const uniforms = packParams(gpu, launches);
    if (uniforms.buffer) buffers.push(uniforms.buffer);
    for (const { tensor, data } of tape.constants) writeTensor(gpu, tensor, data);
    const staged = stagedOf(launches, early.of);
    const dispatches = launches.map((launch, index): Dispatch => {
      const { pipeline, layout } = pipelines.get(launch.shader)!;
      const entries: GPUBindGroupEntry[] = launch.shader.tensors.map(({ name, binding, isTexture }) => {
        if (isTexture) return { binding, resource: views.get(earlyCopies[early.of[index]!]?.texture ?? shared!)! };
        const tensor = launch.tensors[name];
        return { binding, resource: { ...placeOf(gpu, places, tensor)!, size: Math.ceil(tensor.bytes / 16) * 16 } };
      });
      const uniform = uniforms.ranges[index];
      if (uniform) entries.push({ binding: 0, resource: { buffer: uniforms.buffer!, ...uniform } });
      const tensor = staged[index];
      return {
        launch,
        pipeline,
        bindGroup: gpu.createBindGroup({ label: launch.label, layout, entries }),
        staged: tensor && copyInto(shared!, tensor),
      };
    });
    gpu.check();
    const { boundBytes } = plan;
    const peakBytes = plan.peakBytes + tape.partialBytes;
    return new Program(gpu, tape, launches, dispatches, buffers, earlyCopies, textures, places, { peakBytes, boundBytes });
  }

  /** Queues one execution, but for launches whose gate is closed; with a Readback, its tensors are copied behind it and arrive with the returned promise. */
  run(readback?: Readback): Promise<Float32Array[]> | undefined {
    const encoder = this.gpu.device.createCommandEncoder();
    for (const copy of this.early) stage(encoder, copy);
    let pass = encoder.beginComputePass();
    let current: GPUComputePipeline | undefined;
    for (const { pipeline, bindGroup, launch, staged } of this.dispatches) {
      if (launch.gate && !launch.gate.isOpen) continue;
      if (staged) {
        pass.end();
        stage(encoder, staged);
        pass = encoder.beginComputePass();
        current = undefined;
      }
      if (pipeline !== current) pass.setPipeline(pipeline);
      current = pipeline;
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(launch.groups[0], launch.groups[1], launch.groups[2]);
    }
    pass.end();
    const slot = readback?.copy(encoder, (tensor) => this.placeOf(tensor));
    this.gpu.submit(encoder.finish());
    return slot && readback ? readback.arrive(slot) : undefined;
  }

  /** Runs once with a timestamp at both ends of every launch. Waits for the end. @throws DeviceError where the adapter has no timestamps. */
  async profile(): Promise<LaunchTime[]> {
    const { gpu, dispatches } = this;
    if (!gpu.adapter.hasTimestamps)
      throw new DeviceError('this adapter has no timestamp queries', 'Profile on another adapter: --adapter NAME.');
    const perSet = 2048; // launches; a query set holds at most 4096 timestamps
    const times: LaunchTime[] = [];
    for (let start = 0; start < dispatches.length; start += perSet) {
      const part = dispatches.slice(start, start + perSet);
      const querySet = gpu.device.createQuerySet({ type: 'timestamp', count: part.length * 2 });
      const bytes = part.length * 16;
      const resolved = gpu.createBuffer('timestamps', bytes, GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC);
      const encoder = gpu.device.createCommandEncoder();
      if (start === 0) for (const copy of this.early) stage(encoder, copy);
      part.forEach(({ pipeline, bindGroup, launch, staged }, i) => {
        const begin = { querySet, beginningOfPassWriteIndex: 2 * i };
        if (staged) {
          encoder.beginComputePass({ timestampWrites: begin }).end(); // the copy is part of the time
          stage(encoder, staged);
        }
        const pass = encoder.beginComputePass({
          timestampWrites: { ...(staged ? { querySet } : begin), endOfPassWriteIndex: 2 * i + 1 },
        });
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, bindGroup);
        pass.dispatchWorkgroups(launch.groups[0], launch.groups[1], launch.groups[2]);
        pass.end();
      });
      encoder.resolveQuerySet(querySet, 0, part.length * 2, resolved, 0);
      gpu.submit(encoder.finish());
      const stamps = new BigUint64Array(await readBuffer(gpu, resolved, 0, bytes));
      part.forEach(({ launch }, i) => times.push({ launch, timeMs: Number(stamps[2 * i + 1] - stamps[2 * i]) / 1e6 }));
      gpu.destroyBuffer(resolved);
      querySet.destroy();
    }
    return times;
  }

  /** The values of a kept or persistent tensor after the work queued so far. */
  async read(tensor: Tensor): Promise<Float32Array | Uint32Array> {
    const { buffer, offset } = this.placeOf(tensor);
    const bytes = await readBuffer(this.gpu, buffer, offset, Math.ceil(tensor.bytes / 4) * 4);
    if (tensor.dtype === 'f16') return widen(new Uint16Array(bytes, 0, tensor.size));
    return tensor.dtype === 'u32' ? new Uint32Array(bytes) : new Float32Array(bytes);
  }

  write(tensor: Tensor, data: Float32Array | Uint32Array | ArrayBuffer): void {
    writeTensor(this.gpu, tensor, data);
  }

  /** Frees the planned memory; the tape's inputs and constants stay, for another program of the same tape. */
  free(): void {
    for (const buffer of this.buffers) this.gpu.destroyBuffer(buffer);
    for (const texture of this.textures) this.gpu.destroyTexture(texture);
  }

  /** Frees the planned memory, and the tape's own inputs and constants; tensors shared with other programs stay. */
  destroy(): void {
    this.free();
    for (const tensor of [...this.tape.inputs, ...this.tape.constants.map((constant) => constant.tensor)])
      tensor.storage?.destroy(this.gpu);
  }

  private placeOf(tensor: Tensor): BufferPlace {
    const place = placeOf(this.gpu, this.places, tensor);
    if (!place) throw new TypeError(`${tensor.label} is not part of this program`);
    return place;
  }
}

async function pipelinesOf(gpu: Gpu, launches: readonly Launch[]): Promise<Map<Shader, Pipeline>> {
  const shaders = new Set(launches.map((launch) => launch.shader));
  const pipelines = new Map<Shader, Pipeline>();
  await Promise.all(
    [...shaders].map(async (shader) => {
      pipelines.set(shader, await gpu.pipeline(shader));
    }),
  );
  return pipelines;
}

function requireBindable(gpu: Gpu, { label, shape, bytes }: Tensor): void {
  const largest = gpu.limits.maxStorageBufferBindingSize;
  if (bytes <= largest) return;
  throw new DeviceError(
    `tensor '${label}' [${shape}] of ${bytes} bytes is beyond this adapter's limit of ${largest} bytes a binding`,
    'Use a smaller --batch, --size or --width.',
  );
}

/** The tensor that a launch reads from the texture. */
function texturedOf({ shader, tensors }: Launch): Tensor | undefined {
  const binding = shader.tensors.find(({ isTexture }) => isTexture);
  return binding && tensors[binding.name];
}

function stage(encoder: GPUCommandEncoder, { place, bytes, texture }: Staged): void {
  copyToTexture(encoder, place.buffer, place.offset, bytes, texture);
}

/** Tensors that launches read from a texture before any launch has written to them, as weights; and for each launch the index of its own, or −1. */
function earlyOf(launches: readonly Launch[]): { tensors: Tensor[]; of: number[] } {
  const tensors: Tensor[] = [];
  const written: Tensor[] = [];
  let left = MOST_EARLY_BYTES;
  const indexOf = (wanted: Tensor) => {
    const known = tensors.findIndex((tensor) => isSame(tensor, wanted));
    if (known >= 0 || wanted.bytes > left) return known;
    left -= wanted.bytes;
    return tensors.push(wanted) - 1;
  };
  const of = launches.map((launch) => {
    const wanted = texturedOf(launch);
    const isEarly = wanted?.storage && !written.some((tensor) => sharesMemory(tensor, wanted));
    for (const { name, access } of launch.shader.tensors) if (access === 'read_write') written.push(launch.tensors[name]);
    return isEarly ? indexOf(wanted) : -1;
  });
  return { tensors, of };
}

/** What must be copied into the shared texture before each launch: nothing where it is there still, as it is, or where the launch has one of its own. */
function stagedOf(launches: readonly Launch[], early: readonly number[]): (Tensor | undefined)[] {
  let there: Tensor | undefined;
  return launches.map((launch, index) => {
    const wanted = early[index]! < 0 ? texturedOf(launch) : undefined;
    const isThere = wanted && there && isSame(wanted, there);
    // What stands behind a gate may not have run.
    if (wanted && !isThere) there = launch.gate ? undefined : wanted;
    const isWritten = ({ name, access }: Launch['shader']['tensors'][number]) =>
      access === 'read_write' && there && sharesMemory(launch.tensors[name], there);
    if (launch.shader.tensors.some(isWritten)) there = undefined;
    return isThere ? undefined : wanted;
  });
}

function isSame(a: Tensor, b: Tensor): boolean {
  return rootOf(a) === rootOf(b) && a.offset === b.offset && a.bytes === b.bytes;
}

function sharesMemory(a: Tensor, b: Tensor): boolean {
  return a.storage ? a.storage === b.storage : rootOf(a) === rootOf(b);
}

/** Where the bytes of a tensor begin; undefined where it is neither persistent nor planned. */
function placeOf(gpu: Gpu, places: ReadonlyMap<Tensor, BufferPlace>, tensor: Tensor): BufferPlace | undefined {
  if (tensor.storage) return { buffer: tensor.storage.buffer(gpu), offset: tensor.offset };
  const root = places.get(rootOf(tensor));
  return root && { buffer: root.buffer, offset: root.offset + tensor.offset };
}

/**
 * A ring of staging buffers through which small results come back while the next steps already run.
 * A program that copies into it must keep the tensors.
 */
export class Readback {
  readonly tensors: readonly Tensor[];
  private readonly gpu: Gpu;
  private readonly free: GPUBuffer[] = [];
  private readonly all: GPUBuffer[] = [];
  private readonly bytes: number;

  /** @param depth how many results may be under way at once. */
  constructor(gpu: Gpu, tensors: readonly Tensor[], depth = 3) {
    const odd = tensors.find(({ dtype }) => dtype !== 'f32');
    if (odd) throw new TypeError(`${odd.label}: a readback takes f32, not ${odd.dtype}`);
    this.gpu = gpu;
    this.tensors = tensors;
    this.bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
    for (let i = 0; i < depth; i++)
      this.all.push(gpu.createBuffer('readback', this.bytes, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST));
    this.free.push(...this.all);
  }

  copy(encoder: GPUCommandEncoder, placeOf: (tensor: Tensor) => BufferPlace): GPUBuffer {
    const staging = this.free.pop();
    if (!staging) throw new RangeError('more results are under way than the readback has buffers: await one first');
    let end = 0;
    for (const tensor of this.tensors) {
      const { buffer, offset } = placeOf(tensor);
      encoder.copyBufferToBuffer(buffer, offset, staging, end, tensor.bytes);
      end += tensor.bytes;
    }
    return staging;
  }

  async arrive(staging: GPUBuffer): Promise<Float32Array[]> {
    await staging.mapAsync(GPUMapMode.READ, 0, this.bytes);
    const data = new Float32Array(staging.getMappedRange(0, this.bytes).slice(0));
    staging.unmap();
    this.free.push(staging);
    let start = 0;
    return this.tensors.map((tensor) => data.subarray(start, (start += tensor.size)));
  }

  destroy(): void {
    for (const buffer of this.all) this.gpu.destroyBuffer(buffer);
  }
}

export async function readBuffer(gpu: Gpu, buffer: GPUBuffer, offset: number, bytes: number): Promise<ArrayBuffer> {
  const staging = gpu.createBuffer('read', bytes, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
  const encoder = gpu.device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, offset, staging, 0, bytes);
  gpu.submit(encoder.finish());
  await gpu.wait(staging.mapAsync(GPUMapMode.READ, 0, bytes));
  const data = staging.getMappedRange(0, bytes).slice(0);
  staging.unmap();
  gpu.destroyBuffer(staging);
  gpu.check();
  return data;
}

/** All launches' params in one uniform buffer, equal ones once. */
function packParams(
  gpu: Gpu,
  launches: readonly Launch[],
): { buffer: GPUBuffer | undefined; ranges: ({ offset: number; size: number } | undefined)[] } {
  const align = gpu.limits.minUniformBufferOffsetAlignment;
  const known = new Map<string, number>();
  const parts: { offset: number; words: DataView }[] = [];
  let end = 0;
  const ranges = launches.map(({ shader, params }) => {
    if (shader.params.length === 0) return undefined;
    const size = Math.ceil((shader.params.length * 4) / 16) * 16;
    const words = new DataView(new ArrayBuffer(size));
    shader.params.forEach(({ name, type }, i) => {
      const value = params[name];
      if (type === 'f32') words.setFloat32(4 * i, value, true);
      else if (!Number.isInteger(value)) throw new RangeError(`${shader.label}: param ${name} is ${type}, got ${value}`);
      else if (type === 'u32') words.setUint32(4 * i, value, true);
      else words.setInt32(4 * i, value, true);
    });
    const key = new Uint8Array(words.buffer).join();
    let offset = known.get(key);
    if (offset === undefined) {
      offset = end;
      known.set(key, offset);
      parts.push({ offset, words });
      end = Math.ceil((offset + size) / align) * align;
    }
    return { offset, size };
  });
  if (end === 0) return { buffer: undefined, ranges };
  const buffer = gpu.createBuffer('params', end, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
  const bytes = new Uint8Array(end);
  for (const { offset, words } of parts) bytes.set(new Uint8Array(words.buffer), offset);
  gpu.device.queue.writeBuffer(buffer, 0, bytes);
  return { buffer, ranges };
}
