import { DeviceError } from '#src/errors.js';
import type { AdapterSummary, Gpu, Tuning } from '#src/gpu/gpu.js';
import { adapterClass, attentionForm, type Family, kernelFor, type ProductSize, productClass, splitsOf } from '#src/tensor/ops/families.js';
import { assert, rejects, suite } from '../support/suite.js';

const ALL: Family[] = ['outer-product', 'tiled', 'direct'];
const LARGE: ProductSize = { rows: 50_000, columns: 256, depth: 576, count: 1 };

function adapter(given: Partial<AdapterSummary>, { tuning = {}, workgroupBytes = 32_768, threads = 256 } = {}): Gpu {
  const limits = {
    ...{ maxComputeInvocationsPerWorkgroup: threads, maxComputeWorkgroupStorageSize: workgroupBytes },
    maxStorageBufferBindingSize: 2 ** 27,
  };
  return { adapter: { vendor: '', isFallback: false, hasSubgroups: false, ...given }, limits, tuning: tuning as Tuning } as unknown as Gpu;
}

const nvidia = adapter({ vendor: 'nvidia' });
const software = adapter({ vendor: 'mesa', isFallback: true, hasSubgroups: true, subgroupMinSize: 8, subgroupMaxSize: 8 });
const tileOf = (gpu: Gpu, size: ProductSize) => {
  const { family, rows, columns } = kernelFor(gpu, 'matmul', size, ALL);
  return [family, rows, columns];
};

suite('kernel families', (test) => {
  test('adapters fall into classes', () => {
    assert.is(adapterClass(software.adapter), 'software');
    assert.is(adapterClass(nvidia.adapter), 'nvidia');
    assert.is(adapterClass(adapter({ vendor: 'qualcomm' }).adapter), 'unknown');
  });

  test('software adapters take outer products, or direct kernels without subgroups of one size', () => {
    assert.equal(tileOf(software, LARGE), ['outer-product', 24, 32]);
    assert.is(kernelFor(adapter({ isFallback: true }), 'matmul', LARGE, ALL).family, 'direct');
    const varying = adapter({ isFallback: true, hasSubgroups: true, subgroupMinSize: 4, subgroupMaxSize: 8 });
    assert.is(kernelFor(varying, 'matmul', LARGE, ALL).family, 'direct');
  });

  test('GPUs take the largest tile that the product fills', () => {
    assert.equal(tileOf(nvidia, LARGE), ['tiled', 128, 128]);
    assert.equal(tileOf(nvidia, { ...LARGE, columns: 64 }), ['tiled', 64, 64]);
    assert.equal(tileOf(nvidia, { ...LARGE, columns: 32 }), ['tiled', 128, 32]);
    assert.equal(tileOf(nvidia, { ...LARGE, rows: 2304 }), ['tiled', 32, 32]);
    assert.equal(tileOf(nvidia, { ...LARGE, rows: 2304, count: 2 }), ['tiled', 64, 64]);
    assert.equal(tileOf(nvidia, { ...LARGE, rows: 1, columns: 4 }), ['tiled', 32, 32]);
    assert.is(kernelFor(nvidia, 'matmul', LARGE, ['direct']).family, 'direct');
  });

  test('limits of the adapter bound the tile', () => {
    const sixteen = adapter({ vendor: 'nvidia' }, { workgroupBytes: 16_384 });
    assert.is(kernelFor(sixteen, 'matmul', LARGE, ALL).constants.TILE_K, 8);
    assert.equal(tileOf(adapter({ vendor: 'nvidia' }, { threads: 128 }), LARGE), ['tiled', 64, 64]);
    assert.is(kernelFor(adapter({ vendor: 'nvidia' }, { workgroupBytes: 1024 }), 'matmul', LARGE, ALL).family, 'direct');
  });

  test('what was tuned goes before the default, a class of sizes before the whole operator', () => {
    const gpu = adapter(
      { vendor: 'nvidia' },
      { tuning: { matmul: { family: 'direct' }, [productClass('matmul', LARGE)]: { family: 'outer-product' } } },
    );
    // This adapter has no subgroups: the tuning of another machine does not fit, the next in line does.
    assert.is(kernelFor(gpu, 'matmul', LARGE, ALL).family, 'direct');
    assert.is(kernelFor(gpu, 'conv2d_forward', LARGE, ALL).family, 'tiled');
    const same = adapter(software.adapter, {
      tuning: { matmul: { family: 'direct' }, [productClass('matmul', LARGE)]: { family: 'outer-product' } },
    });
    assert.is(kernelFor(same, 'matmul', LARGE, ALL).family, 'outer-product');
    assert.is(kernelFor(same, 'matmul', { ...LARGE, depth: 4000 }, ALL).family, 'direct');
  });

  test('tuning that names no kernel is refused', async () => {
    const tile = { TILE_M: 32, TILE_N: 32, TILE_K: 16, THREAD_M: 4, THREAD_N: 4 };
    const tunedTo = (choice: object) => () =>
      kernelFor(adapter({ vendor: 'nvidia' }, { tuning: { matmul: choice } }), 'matmul', LARGE, ALL);
    assert.is(tunedTo({ family: 'tiled', tile })().rows, 32);
    for (const choice of [
      { family: 'magic' },
      { family: 'tiled' },
      { family: 'tiled', tile: { TILE_M: 32 } },
      { family: 'tiled', tile: { ...tile, THREAD_M: 12 } },
      { family: 'tiled', tile: { ...tile, TILE_K: 6 } },
      { family: 'tiled', tile: { ...tile, THREAD_N: 2 } },
    ]) {
      await rejects(tunedTo(choice), DeviceError, "'matmul'", 'tune again');
    }
  });

  test('attention is fused on GPUs from many tokens on, and wherever the weights of one head are beyond a binding', () => {
    const head = (tokens: number) => ({ tokens, headBytes: 4 * tokens * tokens });
    const forms = (gpu: Gpu) => [65, 197, 5792, 5796].map((tokens) => attentionForm(gpu, head(tokens)));
    assert.equal(forms(software), ['products', 'products', 'products', 'fused']);
    assert.equal(forms(nvidia), ['products', 'fused', 'fused', 'fused']);
    assert.equal(forms(adapter({ vendor: 'nvidia' }, { tuning: { attention: { family: 'products' } } })), forms(software));
    assert.equal(forms(adapter(software.adapter, { tuning: { attention: { family: 'fused' } } })), Array(4).fill('fused'));
  });

  test('sums are divided until the adapter is busy', () => {
    assert.is(splitsOf(nvidia, 4, 256, 4096, 64), 64);
    assert.is(splitsOf(nvidia, 512, 256, 4096, 64), 1);
    assert.is(splitsOf(nvidia, 512, 256, 81_920, 64), 10);
    assert.is(splitsOf(software, 4, 8, 4096, 64), 8);
    assert.is(splitsOf(software, 4, 8, 100_000, 64), 13);
  });
});
