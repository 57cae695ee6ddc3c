/** The only file that imports uvu: it guards against the ways in which a green result can hide a failure. */
import { suite as uvuSuite } from 'uvu';
import * as assert from 'uvu/assert';
import { openGpu } from '#src/gpu/dawn.js';
import type { Gpu } from '#src/gpu/gpu.js';

export { assert };

type Register<Body> = (register: (name: string, body: Body) => void) => void;

export function suite(name: string, tests: Register<() => void | Promise<void>>): void {
  const run = uvuSuite(name);
  let count = 0;
  tests((title, body) => {
    count++;
    run(title, async () => body());
  });
  if (count === 0) throw new Error(`suite '${name}' has no tests`);
  run.run();
}

let shared: Promise<Gpu> | undefined;

/** The device that all suites of a process share. */
export function testGpu(): Promise<Gpu> {
  shared ??= openGpu(process.env.MOUE_ADAPTER ? { adapter: process.env.MOUE_ADAPTER } : {});
  return shared;
}

/** Tests on the device: each within an error check, and each must free the buffers that it made. */
export function gpuSuite(name: string, tests: Register<(gpu: Gpu) => Promise<void>>): void {
  suite(name, (test) =>
    tests((title, body) =>
      test(title, async () => {
        const gpu = await testGpu();
        gpu.check();
        const before = gpu.counters.bytes;
        await body(gpu);
        await gpu.idle();
        assert.is(gpu.counters.bytes, before, `${title}: ${gpu.counters.bytes - before} bytes of buffers were not freed`);
      }),
    ),
  );
}

type ErrorClass = abstract new (...args: never[]) => Error;

/** Requires `fn` to throw or reject with an error of `type` whose message or remedy has every part. */
export async function rejects(fn: () => unknown, type: ErrorClass, ...parts: (string | RegExp)[]): Promise<Error> {
  let error: unknown;
  try {
    await fn();
  } catch (thrown) {
    error = thrown;
  }
  if (error === undefined) throw new Error(`expected ${type.name}, but nothing was thrown`);
  if (!(error instanceof type))
    throw new Error(`expected ${type.name}, got ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  const text = `${error.message}\n${(error as { remedy?: string }).remedy ?? ''}`;
  for (const part of parts) {
    const found = typeof part === 'string' ? text.includes(part) : part.test(text);
    if (!found) throw new Error(`expected ${part} in: ${text}`);
  }
  return error;
}
