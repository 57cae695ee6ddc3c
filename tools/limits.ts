/** What the present adapter can do at best, measured: `node dist/tools/limits.js [--adapter NAME] [--json]`. */

import { pathToFileURL } from 'node:url';
import { openGpu } from '#src/gpu/dawn.js';
import type { Gpu } from '#src/gpu/gpu.js';
import { runCommand } from '#src/run/command.js';
import { completeOptions, grouped, parseArguments } from '#src/run/option-table.js';
import { Program, Readback } from '#src/tensor/program.js';
import { type LaunchSpec, Tape } from '#src/tensor/tape.js';
import { persistentTensor, type Tensor } from '#src/tensor/tensor.js';

export interface Limits {
  /** float32 multiply-add chains in registers, a multiply-add counted as two operations: 10⁹ per second. */
  multiplyAddGflops: number;
  /** A shader that copies vec4, bytes read plus bytes written: 10⁹ per second. The faster of a small copy (in caches) and a large one. */
  shaderCopyGBps: number;
  /** copyBufferToBuffer, bytes read plus bytes written. */
  bufferCopyGBps: number;
  /** One more launch in a command buffer, with the barrier behind it. */
  launchUs: number;
  /** Encoding and submitting a command buffer of one launch: time of the JavaScript thread. */
  submitUs: number;
  /** The same, and waiting for its end. */
  submitAndWaitUs: number;
  /** The same with 4 KiB read back through a staging buffer. */
  readbackUs: number;
}

const REPEATS = 7;
/** As large as the activations of a small model. */
const SMALL_COPY_BYTES = 16 * 2 ** 20;

/** @param enoughMs how long a measurement of a rate must take at least */
export async function measureLimits(gpu: Gpu, enoughMs = 30): Promise<Limits> {
  const tensors: Tensor[] = [];
  const tensor = (label: string, size: number) => tensors[tensors.push(persistentTensor(label, [size])) - 1];
  try {
    const overheads = await measureOverheads(gpu, tensor('one vector', 4), tensor('4 KiB', 1024));
    // Beyond the caches of a large GPU, within a binding of a software adapter.
    const copySize = Math.min(gpu.limits.maxStorageBufferBindingSize / 2, 2 ** 28) / 4;
    const input = tensor('input', copySize);
    const output = tensor('output', copySize);
    return {
      multiplyAddGflops: await measureMultiplyAdd(gpu, output, enoughMs),
      shaderCopyGBps: await measureShaderCopy(gpu, input, output),
      bufferCopyGBps: await measureBufferCopy(gpu, input, output, overheads.submitAndWaitUs / 1000, enoughMs),
      ...overheads,
    };
  } finally {
    for (const { storage } of tensors) storage?.destroy(gpu);
  }
}

async function measureMultiplyAdd(gpu: Gpu, output: Tensor, enoughMs: number): Promise<number> {
  const { text } = gpu.shaders.load('limit_multiply_add');
  const constant = (name: string) => Number(new RegExp(`const ${name}: u32 = (\\d+)u;`).exec(text)![1]);
  const groups = 4096;
  const perIteration = groups * 64 * constant('CHAINS') * constant('STEPS') * 4 * 2;
  for (let iterations = 1; ; iterations *= 4) {
    const params = { iterations, factor: 0.999, addend: 0.001 };
    const timeMs = await timeLaunch(gpu, 'limit_multiply_add', { params, tensors: { output }, groups });
    if (timeMs >= enoughMs) return (perIteration * iterations) / timeMs / 1e6;
  }
}

async function measureShaderCopy(gpu: Gpu, input: Tensor, output: Tensor): Promise<number> {
  const rates: number[] = [];
  for (const vectors of [SMALL_COPY_BYTES / 16, input.bytes / 16]) {
    const params = { size: vectors };
    const timeMs = await timeLaunch(gpu, 'limit_copy', { params, tensors: { input, output }, groups: Math.ceil(vectors / 256) });
    rates.push((2 * 16 * vectors) / timeMs / 1e6);
  }
  return Math.max(...rates);
}

/** Median time of one launch: by timestamps, or from submission to end where the adapter has none. */
async function timeLaunch(gpu: Gpu, shader: string, spec: LaunchSpec): Promise<number> {
  const tape = new Tape(gpu);
  tape.launch(shader, spec);
  const program = await Program.compile(gpu, tape);
  const once = async () => (gpu.adapter.hasTimestamps ? (await program.profile())[0].timeMs : await timeRun(gpu, () => program.run()));
  await once();
  const timeMs = await medianOf(REPEATS, once);
  program.destroy();
  return timeMs;
}

async function measureBufferCopy(gpu: Gpu, input: Tensor, output: Tensor, waitMs: number, enoughMs: number): Promise<number> {
  const source = input.storage!.buffer(gpu);
  const target = output.storage!.buffer(gpu);
  for (let copies = 8; ; copies *= 4) {
    const timeMs = await medianOf(REPEATS, () =>
      timeRun(gpu, () => {
        const encoder = gpu.device.createCommandEncoder();
        for (let i = 0; i < copies; i++) encoder.copyBufferToBuffer(source, 0, target, 0, input.bytes);
        gpu.submit(encoder.finish());
      }),
    );
    if (timeMs - waitMs >= enoughMs) return (copies * 2 * input.bytes) / (timeMs - waitMs) / 1e6;
  }
}

type Overheads = Pick<Limits, 'launchUs' | 'submitUs' | 'submitAndWaitUs' | 'readbackUs'>;

async function measureOverheads(gpu: Gpu, vector: Tensor, page: Tensor): Promise<Overheads> {
  const launches = 1000;
  const programs: Program[] = [];
  for (const count of [1, launches + 1]) {
    const tape = new Tape(gpu);
    for (let i = 0; i < count; i++) {
      tape.launch('limit_copy', { params: { size: 1 }, tensors: { input: page, output: vector }, groups: 1 });
    }
    programs.push(await Program.compile(gpu, tape));
  }
  const [one, many] = programs as [Program, Program];
  const readback = new Readback(gpu, [page], 1);
  await timeRun(gpu, () => many.run());
  await gpu.wait(one.run(readback)!);

  const submitAndWaitMs = await medianOf(30, () => timeRun(gpu, () => one.run()));
  const manyMs = await medianOf(REPEATS, () => timeRun(gpu, () => many.run()));
  const readbackMs = await medianOf(30, () => timeRun(gpu, () => one.run(readback)));
  const submitMs = await medianOf(30, async () => {
    const start = performance.now();
    one.run();
    const timeMs = performance.now() - start;
    await gpu.idle();
    return timeMs;
  });
  readback.destroy();
  for (const program of programs) program.destroy();
  return {
    launchUs: ((manyMs - submitAndWaitMs) / launches) * 1000,
    submitUs: submitMs * 1000,
    submitAndWaitUs: submitAndWaitMs * 1000,
    readbackUs: readbackMs * 1000,
  };
}

/** Time from the call to the end of all that it submitted or promised. */
async function timeRun(gpu: Gpu, body: () => unknown): Promise<number> {
  const start = performance.now();
  const arrival = body();
  if (arrival instanceof Promise) await gpu.wait(arrival);
  else await gpu.idle();
  return performance.now() - start;
}

async function medianOf(count: number, measure: () => Promise<number>): Promise<number> {
  const values: number[] = [];
  for (let i = 0; i < count; i++) values.push(await measure());
  return median(values);
}

/** The middle value, or the mean of the two middle ones. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.ceil(middle) - 1] + sorted[Math.floor(middle)]) / 2;
}

export function formatLimits(limits: Limits): string {
  const rows: [string, number, string][] = [
    ['multiply-add in registers', limits.multiplyAddGflops, 'GFLOP/s'],
    ['copy by a shader', limits.shaderCopyGBps, 'GB/s read + written'],
    ['copy from buffer to buffer', limits.bufferCopyGBps, 'GB/s read + written'],
    ['one more launch', limits.launchUs, 'µs'],
    ['submit', limits.submitUs, 'µs of JavaScript'],
    ['submit and wait', limits.submitAndWaitUs, 'µs'],
    ['submit and read 4 KiB back', limits.readbackUs, 'µs'],
  ];
  return rows.map(([what, value, unit]) => `${what.padEnd(28)}${value.toFixed(1).padStart(10)} ${unit}`).join('\n');
}

const OPTIONS = grouped('Options:', {
  json: { type: 'boolean', description: 'Print one JSON object', default: false },
  adapter: { type: 'string', description: "Part of the adapter's name, or 'software'", defaultText: 'the fastest found' },
} as const);

async function main(args: string[]): Promise<void> {
  const usage = 'Measures what the adapter can do at best.';
  const { given } = parseArguments({ command: 'tools/limits', usage, positionals: '', table: OPTIONS }, args);
  const { json, adapter } = completeOptions(OPTIONS, given);
  const gpu = await openGpu({ adapter });
  const limits = await measureLimits(gpu);
  console.log(json ? JSON.stringify({ adapter: gpu.adapter, limits }) : `${gpu.adapter.description}\n${formatLimits(limits)}`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await runCommand(main);
