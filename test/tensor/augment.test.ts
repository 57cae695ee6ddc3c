import { DeviceError, ShapeError } from '#src/errors.js';
import type { Gpu } from '#src/gpu/gpu.js';
import {
  AUGMENTATIONS,
  type Augmentation,
  type FaceExtent,
  faceStatistics,
  type GatherOptions,
  gatherFaces,
  residentFaces,
  writeFaces,
} from '#src/tensor/ops/augment.js';
import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import type { Tensor } from '#src/tensor/tensor.js';
import { type Gather, gatherFaces as reference } from '../reference/augment.js';
import { assert, gpuSuite, rejects, suite } from '../support/suite.js';
import { assertClose, randomArray } from '../support/tensors.js';

const NONE: Augmentation = {
  flip: 0,
  shift: 0,
  scale: 1,
  rotation: 0,
  skew: 0,
  erasing: { probability: 0, least: 0, most: 0 },
  brightness: 0,
  contrast: 0,
};

/** More than a face is ever given: it leaves its borders several times. */
const WILD: Augmentation = {
  flip: 0.5,
  shift: 1.5,
  scale: 3,
  rotation: 180,
  skew: 0.5,
  erasing: { probability: 0.5, least: 0.02, most: 0.4 },
  brightness: 0.2,
  contrast: 0.5,
};

const EXACT = { relative: 0, absolute: 0 };

function randomPixels(count: number, { height, width, channels }: FaceExtent, seed = 1): Uint8Array {
  return Uint8Array.from(randomArray([count * height * width * channels], seed), (value) => Math.floor(((value + 1) / 2) * 255.99));
}

interface Case extends Omit<Gather, 'statistics' | 'stream'> {
  normalise?: GatherOptions['normalise'] | 'each';
  /** Optimiser steps so far, which must not matter. */
  step?: number;
  limitBytes?: number;
  /** Which of several gathers on the same tape. */
  view?: number;
  streamed?: boolean;
}

async function gather(
  gpu: Gpu,
  indices: number[],
  { pixels, source, output, augment, normalise, seed = 1, epoch = 0, step = 0, limitBytes, view = 0, streamed = false }: Case,
): Promise<Float32Array> {
  const tape = new Tape(gpu, { training: true });
  const faces = residentFaces(gpu, pixels.length, source, limitBytes);
  writeFaces(gpu, faces, pixels, source);
  const chosen = tape.input('indices', [indices.length], 'u32');
  const count = pixels.length / (source.height * source.width * source.channels);
  const statistics =
    normalise === 'each' ? { statistics: tape.constant('statistics', [count, 2], faceStatistics(pixels, count)) } : normalise;
  const options = { source, output, streamed, ...(augment && { augment }), ...(statistics && { normalise: statistics }) };
  const views = Array.from({ length: view + 1 }, () => gatherFaces(tape, faces, chosen, options));
  const result = views[view];
  const program = await Program.compile(gpu, tape, { keep: [result] });
  try {
    const state = new Uint32Array(8);
    [state[0], state[1], state[6]] = [seed, step, epoch];
    program.write(tape.step, state);
    program.write(chosen, Uint32Array.from(indices));
    program.run();
    return (await program.read(result)) as Float32Array;
  } finally {
    program.destroy();
    for (const part of faces) part.storage?.destroy(gpu);
  }
}

/** Noise is as steep as pixels can be: 5e-5 was seen where a coordinate in float32 or a driver's sine is rounded. */
const TOLERANCE = { relative: 0, absolute: 5e-4 };

const grey = (side: number): FaceExtent => ({ height: side, width: side, channels: 1 });

gpuSuite('faces gather', (test) => {
  const pixels48 = randomPixels(6, grey(48));

  test('plain faces are copied and normalised', async (gpu) => {
    const indices = [4, 0, 4, 5];
    const actual = await gather(gpu, indices, {
      pixels: pixels48,
      source: grey(48),
      output: grey(48),
      normalise: { mean: 0.25, deviation: 2 },
    });
    const expected = indices.flatMap((face) =>
      Array.from(pixels48.subarray(face * 2304, (face + 1) * 2304), (value) => (value / 255 - 0.25) / 2),
    );
    assertClose(actual, expected, { relative: 1e-6, absolute: 1e-7 });
  });

  test('an augmentation of nothing is the plain face, bit by bit', async (gpu) => {
    for (const extent of [grey(48), grey(1), { height: 7, width: 31, channels: 3 }]) {
      const given = { pixels: randomPixels(4, extent), source: extent, output: extent };
      assertClose(
        await gather(gpu, [3, 1], { ...given, augment: NONE }),
        await gather(gpu, [3, 1], given),
        EXACT,
        `faces of ${extent.height}x${extent.width}`,
      );
    }
  });

  test('streamed faces are seen as resident ones with the same numbers, bit by bit', async (gpu) => {
    const source: FaceExtent = { height: 7, width: 9, channels: 3 };
    const pixels = randomPixels(11, source);
    const indices = [9, 2, 2, 10, 0];
    const given = { source, output: { height: 12, width: 10, channels: 3 }, augment: WILD, normalise: 'each', epoch: 4 } as const;
    const resident = await gather(gpu, indices, { pixels, ...given });
    const bytes = 7 * 9 * 3;
    const batch = Uint8Array.from(indices.flatMap((face) => [...pixels.subarray(face * bytes, (face + 1) * bytes)]));
    assertClose(await gather(gpu, indices, { pixels: batch, ...given, streamed: true }), resident, EXACT);
    assert.not.equal(await gather(gpu, [0, 1, 2, 3, 4], { pixels: batch, ...given }), resident, 'the indices decide how a face is seen');
    const tape = new Tape(gpu);
    const [four, five] = [tape.input('faces', [4], 'u32'), tape.input('indices', [5], 'u32')];
    const small = { source: grey(2), output: grey(2), streamed: true };
    await rejects(() => gatherFaces(tape, four, five, small), ShapeError, '4 faces streamed for a batch of 5');
  });

  test('a flip mirrors exactly', async (gpu) => {
    for (const extent of [grey(48), { height: 5, width: 37, channels: 3 }]) {
      const given = { pixels: randomPixels(3, extent), source: extent, output: extent };
      const plain = await gather(gpu, [2, 1], given);
      const flipped = await gather(gpu, [2, 1], { ...given, augment: { ...NONE, flip: 1 } });
      const { width, channels } = extent;
      const mirrored = plain.map((_, i) => {
        const x = Math.floor(i / channels) % width;
        return plain[i + (width - 1 - 2 * x) * channels];
      });
      assertClose(flipped, mirrored, EXACT);
    }
  });

  test('half of the faces are flipped with probability one half, others in another epoch', async (gpu) => {
    const extent = { height: 1, width: 2, channels: 1 };
    const count = 1000;
    const given = {
      pixels: Uint8Array.from({ length: 2 * count }, (_, i) => 255 * (i % 2)),
      source: extent,
      output: extent,
      augment: { ...NONE, flip: 0.5 },
    };
    const all = Array.from({ length: count }, (_, i) => i);
    const isFlipped = (values: Float32Array) => all.map((face) => values[2 * face] > values[2 * face + 1]);
    const [first, second] = [isFlipped(await gather(gpu, all, given)), isFlipped(await gather(gpu, all, { ...given, epoch: 1 }))];
    const flips = first.filter(Boolean).length;
    assert.ok(Math.abs(flips - count / 2) < 4 * Math.sqrt(count / 4), `${flips} of ${count} flipped`);
    const changed = first.filter((flip, face) => flip !== second[face]).length;
    assert.ok(Math.abs(changed - count / 2) < 4 * Math.sqrt(count / 4), `${changed} of ${count} changed`);
  });

  const cases: [string, number, Omit<Case, 'pixels'>][] = [
    ['as in FER+', 5, { source: grey(48), output: grey(48), augment: AUGMENTATIONS.ferplus }],
    ['strongly', 5, { source: grey(48), output: grey(48), augment: AUGMENTATIONS.strong }],
    ['lightly', 5, { source: grey(48), output: grey(48), augment: AUGMENTATIONS.light }],
    ['cropped', 11, { source: grey(48), output: grey(48), augment: AUGMENTATIONS.crop }],
    [
      'cropped to narrow parts, RGB, 31x45 to 33x17',
      7,
      {
        source: { height: 31, width: 45, channels: 3 },
        output: { height: 33, width: 17, channels: 3 },
        augment: { ...AUGMENTATIONS.crop, crop: { least: 0.01, aspect: 8 } },
      },
    ],
    ['wildly', 7, { source: grey(48), output: grey(48), augment: WILD, seed: 5, epoch: 3 }],
    ['wildly, enlarged to 64', 5, { source: grey(48), output: grey(64), augment: WILD }],
    [
      'wildly, RGB, 31x45 to 33x17',
      5,
      { source: { height: 31, width: 45, channels: 3 }, output: { height: 33, width: 17, channels: 3 }, augment: WILD },
    ],
    [
      'wildly, RGB to grey',
      5,
      { source: { height: 13, width: 14, channels: 3 }, output: { height: 33, width: 31, channels: 1 }, augment: WILD },
    ],
    [
      'wildly, grey to RGB',
      5,
      { source: { height: 13, width: 14, channels: 1 }, output: { height: 32, width: 33, channels: 3 }, augment: WILD },
    ],
    ['one pixel', 9, { source: grey(1), output: grey(1), augment: WILD }],
    ['one pixel to a prime row', 3, { source: grey(1), output: { height: 1, width: 67, channels: 1 }, augment: WILD }],
    ['resized up, plain', 4, { source: grey(48), output: grey(67) }],
    ['resized down, plain', 4, { source: { height: 100, width: 90, channels: 3 }, output: grey(48) }],
    ['each by its own statistics', 5, { source: grey(13), output: grey(13), augment: AUGMENTATIONS.light, normalise: 'each' }],
  ];
  for (const [name, count, given] of cases) {
    test(`pixels match the reference: ${name}`, async (gpu) => {
      const pixels = randomPixels(count, given.source, 3);
      const indices = Array.from({ length: count }, (_, i) => count - 1 - i);
      const each = given.normalise === 'each' ? faceStatistics(pixels, count) : undefined;
      const { normalise: _, ...rest } = given;
      const expected = reference(indices, {
        ...rest,
        pixels,
        ...(each && { statistics: (face) => [each[2 * face], each[2 * face + 1]] as const }),
      });
      assertClose(await gather(gpu, indices, { ...given, pixels }), expected, TOLERANCE);
    });
  }

  test('a crop shows no less than it may, and nothing beyond the face', async (gpu) => {
    const extent = grey(16);
    const count = 400;
    // Columns tell where they are by their grey level: 8 levels apart, and their reflections would run backwards.
    const pixels = Uint8Array.from({ length: count * 256 }, (_, i) => 8 * (i % 16));
    const augment = { ...AUGMENTATIONS.crop, flip: 0, crop: { least: 0.25, aspect: 1 } };
    const indices = Array.from({ length: count }, (_, i) => i);
    const values = await gather(gpu, indices, {
      pixels,
      source: extent,
      output: extent,
      augment,
      normalise: { mean: 0, deviation: 8 / 255 },
    });
    const spans = indices.map((face) => {
      const row = values.subarray(face * 256, face * 256 + 16);
      assert.ok(row.every((value, x) => x === 0 || value >= row[x - 1]!));
      return ((row[9]! - row[6]!) / 3) * 16; // columns seen
    });
    const [least, most] = [Math.min(...spans), Math.max(...spans)];
    assert.ok(least >= 8 - 1e-3 && least < 8.5 && most <= 16 + 1e-3 && most > 15.5, `${least} to ${most} columns`);
    const areas = spans.map((span) => (span / 16) ** 2);
    const mean = areas.reduce((sum, area) => sum + area, 0) / count;
    assert.ok(Math.abs(mean - 0.625) < 0.05, `mean area ${mean}`); // four standard deviations
  });

  test('a face looks the same whatever its batch and the step, and different in another epoch, seed or view', async (gpu) => {
    const given = { pixels: pixels48, source: grey(48), output: grey(48), augment: AUGMENTATIONS.ferplus };
    const together = await gather(gpu, [0, 3, 5], given);
    const alone = await gather(gpu, [3], { ...given, step: 77 });
    assertClose(alone, together.subarray(2304, 4608), EXACT);
    for (const other of [{ epoch: 1 }, { seed: 2 }, { view: 1 }]) {
      const changed = await gather(gpu, [3], { ...given, ...other });
      assert.ok(changed.filter((value, i) => value !== alone[i]).length > 2000);
    }
    assertClose(await gather(gpu, [3], { ...given, view: 1 }), reference([3], { ...given, stream: 1 }), TOLERANCE);
  });

  test('two runs are bitwise equal', async (gpu) => {
    const given = { pixels: pixels48, source: grey(48), output: grey(48), augment: WILD };
    assertClose(await gather(gpu, [0, 1, 2, 3, 4, 5], given), await gather(gpu, [0, 1, 2, 3, 4, 5], given), EXACT);
  });

  test('faces split over up to four tensors are found', async (gpu) => {
    const extent = { height: 5, width: 7, channels: 3 };
    const pixels = randomPixels(30, extent);
    const given = { pixels, source: extent, output: extent };
    const indices = [29, 0, 7, 8, 15, 16, 23, 24];
    const whole = await gather(gpu, indices, given);
    for (const facesPerPart of [16, 12, 8]) {
      assertClose(
        await gather(gpu, indices, { ...given, limitBytes: facesPerPart * 105 + 50 }),
        whole,
        EXACT,
        `parts of ${facesPerPart} faces`,
      );
    }
    await rejects(() => residentFaces(gpu, pixels.length, extent, 4 * 105), DeviceError, 'do not fit into 4 bindings');
  });

  test('more groups than one dimension holds', async (gpu) => {
    const indices = Array.from({ length: 65_537 }, (_, i) => (i * 7) % 251);
    const pixels = Uint8Array.from({ length: 252 }, (_, i) => i);
    const actual = await gather(gpu, indices, { pixels, source: grey(1), output: grey(1), normalise: { mean: 0, deviation: 1 / 255 } });
    assertClose(actual, indices, { relative: 1e-6, absolute: 0 });
  });

  test('an index beyond the faces gives NaN for that face alone', async (gpu) => {
    for (const normalise of [undefined, 'each'] as const) {
      const actual = await gather(gpu, [5, 6, 0xffffffff, 0], {
        pixels: pixels48,
        source: grey(48),
        output: grey(48),
        augment: WILD,
        ...(normalise && { normalise }),
      });
      const numbers = [0, 1, 2, 3].map(
        (entry) => actual.subarray(entry * 2304, (entry + 1) * 2304).filter((value) => !Number.isNaN(value)).length,
      );
      assert.equal(numbers, [2304, 0, 0, 2304]);
    }
  });

  test('infinite and NaN statistics come through', async (gpu) => {
    for (const mean of [Number.NaN, Number.NEGATIVE_INFINITY]) {
      const actual = await gather(gpu, [0], { pixels: pixels48, source: grey(48), output: grey(48), normalise: { mean, deviation: 1 } });
      assert.ok(actual.every((value) => Object.is(value, -mean)));
    }
  });

  test('what does not fit is refused', async (gpu) => {
    const extent = grey(4);
    const tape = new Tape(gpu);
    const words = (size: number, dtype: 'u32' | 'f32' = 'u32'): Tensor => tape.input('faces', [size], dtype);
    const indices = tape.input('indices', [2], 'u32');
    const record = (faces: Tensor | Tensor[], options: Partial<GatherOptions> = {}, chosen = indices) =>
      gatherFaces(tape, faces, chosen, { source: extent, output: extent, ...options });
    await rejects(() => record(words(3)), ShapeError, 'u32 [3] of 16 bytes each');
    await rejects(() => record(words(8, 'f32')), ShapeError, 'f32 [8]');
    await rejects(() => record([]), ShapeError, 'one to 4');
    await rejects(() => record([words(8), words(12)]), ShapeError, 'all but the last equally many');
    await rejects(() => record([words(8), words(8), words(8), words(8), words(8)]), ShapeError, 'one to 4');
    await rejects(() => record(words(8), { output: { height: 4, width: 4, channels: 2 } }), ShapeError, '4x4x2');
    await rejects(() => record(words(8), { output: { height: 0, width: 4, channels: 1 } }), ShapeError, '0x4x1');
    await rejects(() => record(words(8), {}, tape.input('indices', [2])), ShapeError, 'indices f32 [2]');
    await rejects(() => record(words(8), { normalise: { statistics: words(4, 'f32') } }), ShapeError, 'statistics [4]');
    await rejects(() => residentFaces(gpu, 15, extent), ShapeError, '15 bytes of 4x4x1');
    await rejects(() => residentFaces(gpu, 0, extent), ShapeError, '0 bytes');
  });
});

suite('face statistics', (test) => {
  test('mean and deviation of each face, never zero', () => {
    const statistics = faceStatistics(Uint8Array.of(0, 0, 255, 255, 51, 51, 51, 51), 2);
    assertClose(statistics, [0.5, 0.5, 0.2, 1 / 255], { relative: 1e-6, absolute: 0 });
  });
});
