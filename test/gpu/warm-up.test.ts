import { ShaderError } from '#src/errors.js';
import { openGpu } from '#src/gpu/dawn.js';
import type { Gpu } from '#src/gpu/gpu.js';
import { warmUp } from '#src/gpu/warm-up.js';
import { assert, gpuSuite, rejects, testGpu } from '../support/suite.js';

const OPEN = process.env.MOUE_ADAPTER ? { adapter: process.env.MOUE_ADAPTER } : {};

/** Shaders that no other test has compiled on this device. */
async function freshShaders(count: number) {
  const shader = (await testGpu()).shaders.load('add');
  return Array.from({ length: count }, (_, i) => ({ ...shader, text: `${shader.text}\n// warm-up ${i} of ${count}\n` }));
}

gpuSuite('warm-up', (test) => {
  test('makes the pipelines of all shaders, each once', async (gpu) => {
    const shaders = await freshShaders(3);
    const before = gpu.counters.pipelines;
    const progress: string[] = [];
    await warmUp(gpu, [...shaders, ...shaders], { onProgress: (done, total) => progress.push(`${done}/${total}`) });
    assert.is(gpu.counters.pipelines, before + 3);
    assert.equal(progress, ['1/3', '2/3', '3/3']);
    for (const shader of shaders) await gpu.pipeline(shader);
    assert.is(gpu.counters.pipelines, before + 3);
  });

  test('shares the work with another device where compilation takes long, and closes it', async (gpu) => {
    const opened: Gpu[] = [];
    const openHelper = async () => {
      opened.push(await openGpu(OPEN));
      return opened.at(-1)!;
    };
    const done: number[] = [];
    const shaders = await freshShaders(12);
    await warmUp(gpu, shaders, { helpers: 1, openHelper, cachedMs: 0, onProgress: (count) => done.push(count) });
    assert.equal(
      done,
      shaders.map((_, i) => i + 1),
    );
    assert.is(opened.length, 1);
    const [helper] = opened;
    assert.is((await helper!.device.lost).reason, 'destroyed');
    assert.is(helper!.counters.bytes, 0);

    await warmUp(gpu, await freshShaders(5), { helpers: 1, openHelper, cachedMs: 2 ** 30 });
    assert.is(opened.length, 1, 'what comes from a cache needs no help');
  });

  test('says which shader does not compile', async (gpu) => {
    const [shader] = await freshShaders(1);
    const broken = { ...shader!, label: 'broken', text: `${shader!.text}\nfn broken() -> u32 { return 1.5f; }\n` };
    await rejects(() => warmUp(gpu, [shader!, broken]), ShaderError, 'broken');
  });
});
