import type { Gpu } from '#src/gpu/gpu.js';
import { ShaderLibrary } from '#src/gpu/shader.js';
import { normal, permutation, philox, randomWords, uniform, type Words } from '#src/random.js';
import { readShader } from '#tools/check-shaders.js';
import { assert, gpuSuite, suite } from './support/suite.js';
import { runOp } from './support/tensors.js';

suite('random', (test) => {
  test('philox gives the words of the published test vectors', () => {
    const ones = 0xffffffff;
    const vectors: [Words, [number, number], Words][] = [
      [
        [0, 0, 0, 0],
        [0, 0],
        [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
      ],
      [
        [ones, ones, ones, ones],
        [ones, ones],
        [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
      ],
      [
        [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
        [0xa4093822, 0x299f31d0],
        [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
      ],
    ];
    for (const [counter, key, words] of vectors) assert.equal(philox(counter, key), words);
  });

  test('uniform numbers fill [0, 1) evenly', () => {
    const counts = new Array(16).fill(0);
    for (let i = 0; i < 16_000; i++) counts[Math.floor(uniform(7, 1, i) * 16)]++;
    assert.is(counts.length, 16);
    const chiSquared = counts.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    assert.ok(chiSquared < 38, `${chiSquared}`); // beyond it 1 in 1000 of 15 degrees of freedom
  });

  test('every argument gives other numbers, and the same arguments the same', () => {
    const numbers = [
      uniform(1, 2, 3, 4),
      uniform(2, 2, 3, 4),
      uniform(1, 3, 3, 4),
      uniform(1, 2, 4, 4),
      uniform(1, 2, 3, 5),
      uniform(1, 2, 3),
    ];
    assert.is(new Set(numbers).size, numbers.length);
    assert.is(uniform(1, 2, 3, 4), numbers[0]);
    assert.is.not(normal(1, 2, 3), normal(1, 2, 4));
  });

  test('normal numbers have the moments of the standard normal distribution', () => {
    const numbers = Array.from({ length: 40_000 }, (_, i) => normal(5, 0, i));
    const moment = (power: number) => numbers.reduce((sum, x) => sum + x ** power, 0) / numbers.length;
    assert.ok(numbers.every(Number.isFinite));
    assert.ok(Math.abs(moment(1)) < 0.025, `${moment(1)}`); // five standard errors each
    assert.ok(Math.abs(moment(2) - 1) < 0.036, `${moment(2)}`);
    assert.ok(Math.abs(moment(3)) < 0.1, `${moment(3)}`);
    assert.ok(Math.abs(moment(4) - 3) < 0.25, `${moment(4)}`);
  });

  test('a permutation has every number once, and depends on seed and epoch', () => {
    const order = permutation(3, 4, 1000);
    assert.equal(
      order.toSorted(),
      Uint32Array.from({ length: 1000 }, (_, i) => i),
    );
    assert.equal(permutation(3, 4, 1000), order);
    assert.not.equal(permutation(4, 4, 1000), order);
    assert.not.equal(permutation(3, 5, 1000), order);
    assert.equal([...permutation(1, 0, 1)], [0]);
    assert.equal([...permutation(1, 0, 0)], []);
  });

  test('all orders are equally likely', () => {
    const counts = new Map<string, number>();
    for (let epoch = 0; epoch < 6000; epoch++) {
      const key = permutation(9, epoch, 3).join();
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    assert.is(counts.size, 6);
    for (const [order, count] of counts) assert.ok(Math.abs(count - 1000) < 150, `${order}: ${count}`); // five standard deviations
  });
});

const WORDS = `// #include "lib/random.wgsl"
struct Params { seed: u32, step: u32, stream: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> elements: array<u32>;
@group(0) @binding(2) var<storage, read_write> words: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> floats: array<vec4f>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&words)) {
    words[id.x] = random_words(params.seed, params.step, params.stream, elements[id.x]);
    floats[id.x] = unit_floats(words[id.x]);
  }
}`;

gpuSuite('random words on the device', (test) => {
  test('are those of the host', async (gpu) => {
    const shaders = new ShaderLibrary((path) => (path === 'words.wgsl' ? WORDS : readShader(path)));
    const withWords = Object.create(gpu, { shaders: { value: shaders } }) as Gpu;
    const elements = Uint32Array.from({ length: 300 }, (_, i) => (i < 150 ? i : Math.imul(i, 0x9e3779b1)));
    for (const [seed, step, stream] of [
      [0, 0, 0],
      [0xffffffff, 0xfffffffe, 1],
      [12345, 678, 0x80000001],
    ]) {
      const { outputs } = await runOp(withWords, { elements: { shape: [300], data: elements } }, (tape, { elements }) => {
        const words = tape.tensor('words', [300, 4], 'u32');
        const floats = tape.tensor('floats', [300, 4]);
        tape.launch('words', { params: { seed, step, stream }, tensors: { elements, words, floats }, groups: 5 });
        return { words, floats };
      });
      const wanted = [...elements].flatMap((element) => randomWords(seed, step, stream, element));
      assert.equal([...outputs.words], wanted);
      assert.equal(
        [...outputs.floats],
        wanted.map((word) => (word >>> 8) / 2 ** 24),
      );
    }
  });
});
