import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeviceError } from '#src/errors.js';
import { readTuning, tuningPath } from '#src/gpu/dawn.js';
import type { Gpu } from '#src/gpu/gpu.js';
import { conv2d } from '#src/tensor/ops/conv2d.js';
import { type Choice, PRODUCTS } from '#src/tensor/ops/families.js';
import { matmul } from '#src/tensor/ops/matmul.js';
import { reshape } from '#src/tensor/ops/reshape.js';
import { Tape, type Work } from '#src/tensor/tape.js';
import { isWrong, merge, worksOf as sharesOf, type Trial, tuneWork } from '#tools/tune.js';
import { assert, gpuSuite, rejects, suite } from '../support/suite.js';
import { withTiles } from '../tensor/kernel-family.js';

const DIRECT: Choice = { family: 'direct' };
const TILE: Choice = { family: 'tiled', tile: { TILE_M: 16, TILE_N: 32, TILE_K: 8, THREAD_M: 4, THREAD_N: 4 } };

function worksOf(gpu: Gpu): Work[] {
  const tape = new Tape(gpu);
  const image = tape.input('image', [2, 5, 6, 8], 'f32', true);
  const weight = tape.input('weight', [3, 3, 8, 12], 'f32', true);
  const bias = tape.input('bias', [12]);
  const features = conv2d(tape, image, weight, { bias, stride: 2, padding: 1, activation: 'relu' });
  const head = tape.input('head', [12, 4], 'f32', true);
  const output = matmul(tape, reshape(tape, features, [18, 12]), head);
  tape.backward(output, tape.input('gradient', output.shape));
  return tape.launches.flatMap(({ work }) => work ?? []);
}

gpuSuite('tuning on a device', (test) => {
  test('every product of a tape is tried with every kernel that takes it', async (gpu) => {
    // Two kernels for sure on any adapter: where the default is one of the two, it is not tried again.
    const works = worksOf(withTiles(gpu));
    assert.equal([...new Set(works.map(({ name }) => name.split(' ')[0]))].toSorted(), PRODUCTS.toSorted());
    for (const work of works) {
      const { name, trials, best } = await tuneWork(gpu, work, [DIRECT, TILE, DIRECT], { runs: 1 });
      assert.is(name, work.name);
      const kernels = trials.map(({ kernel }) => kernel);
      assert.is(new Set(kernels).size, kernels.length);
      assert.ok(kernels.some((kernel) => kernel.includes('_direct')));
      assert.ok(kernels.some((kernel) => kernel.includes('_tiled')) || !name.startsWith('conv'), kernels.join());
      assert.ok(trials.includes(best));
      assert.ok(trials.every(({ timeMs, error }) => timeMs > 0 && error <= 2 ** -21));
    }
  });

  // Each is right but in one place: a term, the last column, the last row of the last matrix, or nothing is written at all.
  for (const [what, from, to] of [
    ['a sum without its last term', 'k < k_end;', 'k + 1u < k_end;'],
    ['no last column', /(column0 \+ \w+) < columns/g, '$1 + 1u < columns'],
    ['the last row of the last matrix', / \+ offset;/g, ' + offset + select(0.0, 1e-3, row0 + 4u > rows && batch + 1u == params.batch);'],
    ['nothing written', /row0 \+ \w+ < rows/g, 'rows == 0u'],
  ] as const) {
    test(`a kernel that computes something else is no choice: ${what}`, async (gpu) => {
      const wrong = Object.create(gpu.shaders, {
        load: {
          value: (...args: Parameters<Gpu['shaders']['load']>) => {
            const shader = gpu.shaders.load(...args);
            if (shader.name !== 'matmul_direct') return shader;
            const text = shader.text.replace(from, to);
            assert.is.not(text, shader.text);
            return { ...shader, text };
          },
        },
      });
      const faulty = Object.create(gpu, { shaders: { value: wrong } }) as Gpu;
      const tape = new Tape(faulty);
      matmul(tape, tape.input('a', [3, 37, 128]), tape.input('b', [3, 128, 52]));
      const work = tape.launches[0]!.work!;
      const { trials, best } = await tuneWork(faulty, work, [DIRECT, TILE], { runs: 1 });
      assert.ok(trials.length > 1);
      for (const trial of trials) assert.is(isWrong(trial), trial.kernel === 'matmul_direct', `${trial.kernel}: ${trial.error}`);
      assert.ok(!isWrong(best));
      // The right kernels have written the output before: what they left must not stand for what the wrong one did.
      const [worst, ...others] = (await tuneWork(faulty, work, [TILE, DIRECT], { runs: 1 })).trials.toReversed();
      assert.ok(others.length > 0 && isWrong(worst!) && worst!.kernel === 'matmul_direct');
    });
  }

  test('a default that is wrong gives way to a slower kernel that is right', async (gpu) => {
    const tape = new Tape(gpu);
    matmul(tape, tape.input('a', [3, 37, 128]), tape.input('b', [3, 128, 52]));
    const { work } = tape.launches[0]!;
    const wrong = Object.create(gpu.shaders, {
      load: {
        value: (...args: Parameters<Gpu['shaders']['load']>) => {
          const shader = gpu.shaders.load(...args);
          return shader.name === 'matmul_direct' ? shader : { ...shader, text: shader.text.replace(/ \+ offset;/g, ' * 1.001 + offset;') };
        },
      },
    });
    const faulty = Object.create(withTiles(gpu), { shaders: { value: wrong } }) as Gpu;
    const { trials, best } = await tuneWork(faulty, work!, [DIRECT], { runs: 1 });
    assert.is(best.kernel, 'matmul_direct');
    assert.is(isWrong(trials[0]!), trials[0]!.kernel !== 'matmul_direct');
  });

  test('once the time is over, no kernel is tried but the default', async (gpu) => {
    const [work] = worksOf(gpu);
    const { trials, best } = await tuneWork(gpu, work!, [DIRECT, TILE], { runs: 1, isOver: () => true });
    assert.is(trials.length, 1);
    assert.is(best, trials[0]);
  });

  test('the works of several steps are told once, the largest first, and nothing is allocated', async (gpu) => {
    const { bytes } = gpu.counters;
    const shares = sharesOf(gpu, [
      { model: 'small', batch: 8 },
      { model: 'small', batch: 8 },
    ]);
    assert.is(gpu.counters.bytes, bytes);
    const names = shares.map(({ work }) => work.name);
    assert.is(new Set(names).size, names.length);
    const flops = shares.map((share) => share.flops);
    assert.equal(
      flops,
      flops.toSorted((a, b) => b - a),
    );
    const once = sharesOf(gpu, [{ model: 'small', batch: 8 }]);
    assert.is(flops[0], 2 * once[0]!.flops);
  });

  test('the works of a step follow its width, the size of its faces and their colours', async (gpu) => {
    const flopsOf = (options: { width?: number; size?: number; channels?: number }) =>
      sharesOf(gpu, [{ model: 'small', batch: 8, ...options }]).reduce((sum, { flops }) => sum + flops, 0);
    const usual = flopsOf({});
    assert.ok(flopsOf({ width: 0.5 }) < usual / 2);
    assert.is(flopsOf({ width: 1, size: 48, channels: 1 }), usual);
    assert.ok(flopsOf({ size: 80 }) > 2.5 * usual);
    assert.ok(flopsOf({ channels: 3 }) > usual);
  });
});

suite('tuning files', (test) => {
  test('choices are merged into earlier ones, and a default that is the fastest removes one', () => {
    const trial = (choice: Choice | undefined): Trial => ({ kernel: 'k', choice, timeMs: 1, error: 0 });
    const earlier = { a: { family: 'direct' }, b: { family: 'direct' }, c: { family: 'direct' } };
    const results = [
      { name: 'a', trials: [], best: trial(TILE) },
      { name: 'b', trials: [], best: trial(undefined) },
    ];
    assert.equal(merge(earlier, results), { a: TILE, c: { family: 'direct' } });
  });

  test('a missing file is no tuning, another content is refused', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tuning-'));
    const path = join(folder, 'tuning.json');
    assert.equal(readTuning(path), {});
    writeFileSync(path, JSON.stringify({ matmul: TILE, 'conv2d_forward 1x2x4x8': DIRECT }));
    assert.equal(readTuning(path), { matmul: TILE, 'conv2d_forward 1x2x4x8': DIRECT });
    for (const content of ['{', '{"a": 1}', '{"a": {"family": "tiled"}}', '{"a": {"family": "tiled", "tile": {"TILE_M": 0}}}', '[null]']) {
      writeFileSync(path, content);
      await rejects(() => readTuning(path), DeviceError, path, 'tune again');
    }
    rmSync(folder, { recursive: true });
  });

  test('each adapter and driver has a file of its own', () => {
    const adapter = { vendor: 'nvidia', device: 'NVIDIA H200', description: 'NVIDIA: 550.54', architecture: '' };
    const rest = { subgroupMinSize: 32, subgroupMaxSize: 32, isFallback: false, hasSubgroups: true, hasTimestamps: true, hasF16: true };
    assert.match(tuningPath({ ...adapter, ...rest }), /\.cache.moue.tuning-nvidia-nvidia-h200-nvidia-550-54\.json$/);
  });
});
