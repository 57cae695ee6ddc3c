import { DeviceError, ShaderError } from '../errors.js';
import { type Shader, type ShaderLibrary, TEXTURE_WIDTH } from './shader.js';

/** What is known of the adapter that a run uses; written into the run folder. */
export interface AdapterSummary {
  vendor: string;
  architecture: string;
  device: string;
  description: string;
  subgroupMinSize: number;
  subgroupMaxSize: number;
  /** A software adapter: shaders run on the processor. */
  isFallback: boolean;
  hasSubgroups: boolean;
  hasTimestamps: boolean;
  /** Whether shaders may load and store 16-bit floats. */
  hasF16: boolean;
}

/** Created so far, and bytes alive; what a test of the replay asserts, and what a profile reports. */
export interface GpuCounters {
  buffers: number;
  pipelines: number;
  bindGroups: number;
  submits: number;
  bytes: number;
  peakBytes: number;
}

/** What a tuner found fastest on this adapter: by the name of a kind of work, a family of kernels and sizes for it. The operators read it. */
export type Tuning = Readonly<
  Record<
    string,
    { readonly family: string; readonly tile?: Readonly<Record<string, number>>; readonly winograd?: boolean; readonly texture?: boolean }
  >
>;

export interface GpuOptions {
  device: GPUDevice;
  adapter: AdapterSummary;
  shaders: ShaderLibrary;
  /** Waits for a promise without burning a processor core; how depends on the runtime (see dawn.ts). */
  wait: <T>(promise: Promise<T>) => Promise<T>;
  /** Buffers beyond this sum are refused: software drivers do not report that memory ran out. */
  memoryBudgetBytes: number;
  /** Default: none, the operators choose by the kind of adapter. */
  tuning?: Tuning;
  /** Called once by close(), after the device is destroyed. */
  release?: () => void;
}

const SMALLER = 'Use a smaller --batch, --size or --model.';

const TEXEL_BYTES = 16;
const TEXTURE_FORMAT = 'rgba32float';
const TEXTURE_ROW_BYTES = TEXTURE_WIDTH * TEXEL_BYTES;
/** What fits into a texture of every adapter. */
export const MOST_TEXTURE_BYTES = 8192 * TEXTURE_ROW_BYTES;

/** Puts bytes of a buffer into a texture, row after row; what stands behind them in the buffer may follow, up to the end of the last row. */
export function copyToTexture(encoder: GPUCommandEncoder, buffer: GPUBuffer, offset: number, sizeBytes: number, texture: GPUTexture): void {
  const rowsToFill = Math.ceil(sizeBytes / TEXTURE_ROW_BYTES);
  const isThere = offset + rowsToFill * TEXTURE_ROW_BYTES <= buffer.size;
  const rows = isThere ? rowsToFill : rowsToFill - 1;
  const rest = isThere ? 0 : Math.ceil((sizeBytes - rows * TEXTURE_ROW_BYTES) / TEXEL_BYTES);
  const layout = { buffer, bytesPerRow: TEXTURE_ROW_BYTES };
  if (rows > 0) encoder.copyBufferToTexture({ ...layout, offset }, { texture }, [TEXTURE_WIDTH, rows]);
  if (rest > 0)
    encoder.copyBufferToTexture({ ...layout, offset: offset + rows * TEXTURE_ROW_BYTES }, { texture, origin: [0, rows] }, [rest, 1]);
}

/** One device with its queue, buffers, pipelines and errors. Knows bytes and labels; has never heard of a tensor. */
export class Gpu {
  readonly device: GPUDevice;
  readonly adapter: AdapterSummary;
  readonly limits: GPUSupportedLimits;
  readonly shaders: ShaderLibrary;
  readonly counters: GpuCounters = { buffers: 0, pipelines: 0, bindGroups: 0, submits: 0, bytes: 0, peakBytes: 0 };
  readonly wait: <T>(promise: Promise<T>) => Promise<T>;
  readonly tuning: Tuning;
  private readonly memoryBudgetBytes: number;
  private readonly release: (() => void) | undefined;
  private readonly errors: string[] = [];
  private readonly pipelines = new Map<string, Promise<Pipeline>>();
  private readonly layouts = new Map<string, GPUBindGroupLayout>();
  /** Settles when it is the turn of the next shader to be parsed. */
  private parserIsFree: Promise<void> = Promise.resolve();
  private lost: string | undefined;
  private closed = false;

  constructor(options: GpuOptions) {
    this.device = options.device;
    this.adapter = options.adapter;
    this.limits = options.device.limits;
    this.shaders = options.shaders;
    this.wait = options.wait;
    this.tuning = options.tuning ?? {};
    this.memoryBudgetBytes = options.memoryBudgetBytes;
    this.release = options.release;
    this.device.addEventListener('uncapturederror', (event) => {
      this.errors.push((event as GPUUncapturedErrorEvent).error.message);
    });
    void this.device.lost.then((info) => {
      if (!this.closed) this.lost = info.message || info.reason;
    });
  }

  /** Throws what the device reported since the last call. After a loss every WebGPU call "succeeds", hence the own flag. */
  check(): void {
    if (this.lost !== undefined) {
      throw new DeviceError(
        `the device was lost: ${this.lost}`,
        'Resume the run from its last checkpoint with --resume; try a smaller --batch if it happens again.',
      );
    }
    const errors = this.errors.splice(0);
    if (errors.length > 0) {
      throw new DeviceError(
        errors.join('\n'),
        'This is a defect of moue, not of your input: please report it with the command and this message.',
      );
    }
  }

  /** @throws DeviceError where this adapter's shaders have no 16-bit floats. */
  requireF16(): void {
    if (this.adapter.hasF16) return;
    throw new DeviceError(
      `${this.adapter.description || this.adapter.device || 'this adapter'} has no 16-bit floats (shader-f16)`,
      'Train with --precision f32, or on another adapter: --adapter NAME.',
    );
  }

  /** @param usage GPUBufferUsage flags. @throws DeviceError beyond the adapter's limit or the memory budget. */
  createBuffer(label: string, sizeBytes: number, usage: GPUBufferUsageFlags): GPUBuffer {
    const size = Math.max(16, Math.ceil(sizeBytes / 16) * 16); // shaders may see any tensor as array<vec4f>
    if (size > this.limits.maxBufferSize) {
      throw new DeviceError(
        `buffer '${label}' of ${megabytes(size)} is beyond this adapter's limit of ${megabytes(this.limits.maxBufferSize)}`,
        SMALLER,
      );
    }
    this.count(label, size);
    this.counters.buffers++;
    return this.device.createBuffer({ label, size, usage });
  }

  private count(label: string, size: number): void {
    const total = this.counters.bytes + size;
    if (total > this.memoryBudgetBytes) {
      throw new DeviceError(
        `buffer '${label}' of ${megabytes(size)} would take the total to ${megabytes(total)}, beyond the budget of ${megabytes(this.memoryBudgetBytes)}`,
        SMALLER,
      );
    }
    this.counters.bytes = total;
    this.counters.peakBytes = Math.max(this.counters.peakBytes, total);
  }

  /** A texture for so many bytes, at most MOST_TEXTURE_BYTES, which `copyToTexture` puts there. @throws DeviceError beyond the memory budget. */
  createTexture(label: string, sizeBytes: number): GPUTexture {
    const height = Math.ceil(sizeBytes / TEXTURE_ROW_BYTES);
    this.count(label, height * TEXTURE_ROW_BYTES);
    const usage = GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_DST;
    return this.device.createTexture({ label, size: [TEXTURE_WIDTH, height], format: TEXTURE_FORMAT, usage });
  }

  destroyTexture(texture: GPUTexture): void {
    this.counters.bytes -= texture.height * TEXTURE_ROW_BYTES;
    texture.destroy();
  }

  destroyBuffer(buffer: GPUBuffer): void {
    this.counters.bytes -= buffer.size;
    buffer.destroy();
  }

  submit(commands: GPUCommandBuffer): void {
    this.counters.submits++;
    this.device.queue.submit([commands]);
  }

  /** Resolves when all submitted work is done; throws what the device reported. */
  async idle(): Promise<void> {
    await this.wait(this.device.queue.onSubmittedWorkDone());
    this.check();
  }

  /**
   * A pipeline per final shader text. The host parses one shader a turn of its event loop, in the order in which they are asked for, so that the driver may begin
   * with the first before the last is parsed. @throws ShaderError with line, column and source line of each compiler message.
   */
  pipeline(shader: Shader): Promise<Pipeline> {
    let pipeline = this.pipelines.get(shader.text);
    if (!pipeline) {
      const turn = this.parserIsFree;
      this.parserIsFree = turn.then(() => new Promise((resolve) => setImmediate(resolve)));
      pipeline = turn.then(() => this.wait(this.compile(shader)));
      this.pipelines.set(shader.text, pipeline);
    }
    return pipeline;
  }

  private async compile(shader: Shader): Promise<Pipeline> {
    this.counters.pipelines++;
    const { device } = this;
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ label: shader.label, code: shader.text });
    const layout = this.bindGroupLayout(shader);
    const descriptor: GPUComputePipelineDescriptor = {
      label: shader.label,
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: 'main' },
    };
    const pending = device.createComputePipelineAsync(descriptor).then(
      (pipeline) => ({ pipeline, failure: undefined }),
      (failure: Error) => ({ pipeline: undefined, failure }),
    );
    const scope = device.popErrorScope();
    const { pipeline, failure } = await pending;
    const error = await scope;
    if (pipeline && !error) return { pipeline, layout };
    const lines = shader.text.split('\n');
    const info = await module.getCompilationInfo();
    const messages = info.messages.map(
      (m) => `  ${m.lineNum}:${m.linePos} ${m.type}: ${m.message}\n    ${lines[m.lineNum - 1]?.trim() ?? ''}`,
    );
    if (messages.length === 0) messages.push(`  ${error?.message ?? failure?.message ?? 'unknown reason'}`);
    throw new ShaderError(
      `does not compile:\n${messages.join('\n')}`,
      `Mend shaders/${shader.name}.wgsl (line numbers are those of the text after expansion).`,
      {
        file: shader.label,
      },
    );
  }

  /** Explicit, because `layout: 'auto'` drops bindings that a variant does not use. */
  private bindGroupLayout(shader: Shader): GPUBindGroupLayout {
    const entries: GPUBindGroupLayoutEntry[] = shader.tensors.map(({ binding, access, isTexture }) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      ...(isTexture
        ? { storageTexture: { access: 'read-only', format: TEXTURE_FORMAT } }
        : { buffer: { type: access === 'read' ? 'read-only-storage' : 'storage' } }),
    }));
    if (shader.params.length > 0) entries.push({ binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'uniform' } });
    const key = JSON.stringify(entries);
    let layout = this.layouts.get(key);
    if (!layout) {
      layout = this.device.createBindGroupLayout({ entries });
      this.layouts.set(key, layout);
    }
    return layout;
  }

  createBindGroup(descriptor: GPUBindGroupDescriptor): GPUBindGroup {
    this.counters.bindGroups++;
    return this.device.createBindGroup(descriptor);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.device.destroy();
    this.release?.();
  }
}

export interface Pipeline {
  pipeline: GPUComputePipeline;
  layout: GPUBindGroupLayout;
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
