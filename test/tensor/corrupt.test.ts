import { ShapeError } from '#src/errors.js';
import type { Gpu } from '#src/gpu/gpu.js';
import { faceStatistics } from '#src/tensor/ops/augment.js';
import { CORRUPTION_NAMES, type CorruptionName, corruptFaces, packFaces, SEVERITIES, type Severity } from '#src/tensor/ops/corrupt.js';
import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import * as reference from '../reference/corrupt.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, randomArray } from '../support/tensors.js';

interface Extent {
  height: number;
  width: number;
  channels: number;
}

const SEED = 7;
/** Rotations and logarithms in float32 on values up to 255, where a pixel is as far from its neighbour as can be: 2e-3 was seen. */
const TOLERANCE = { relative: 1e-5, absolute: 1e-2 };

/** Faces of whole grey levels with edges and flat parts, and zeros among them. */
function exampleFaces(count: number, { height, width, channels }: Extent): Float32Array {
  return randomArray([count, height, width, channels], 3).map((value, i) => {
    const x = Math.floor(i / channels) % width;
    return Math.max(0, Math.min(255, Math.round(60 + 2.5 * x + 30 * (i % channels) + 60 * value)));
  });
}

async function corrupt(
  gpu: Gpu,
  faces: Float32Array,
  extent: Extent,
  name: CorruptionName,
  severity: Severity,
  { numbers, seed = SEED, epoch = 0 }: { numbers: number[]; seed?: number; epoch?: number },
): Promise<Float32Array> {
  const tape = new Tape(gpu);
  const input = tape.input('faces', [numbers.length, extent.height, extent.width, extent.channels]);
  const given = tape.input('numbers', [numbers.length], 'u32');
  const output = corruptFaces(tape, input, given, name, severity);
  const program = await Program.compile(gpu, tape, { keep: [output] });
  try {
    program.write(input, faces);
    program.write(given, Uint32Array.from(numbers));
    program.write(tape.step, Uint32Array.of(seed, 3, 0, 0, 0, 0, epoch, 0));
    program.run();
    return (await program.read(output)) as Float32Array;
  } finally {
    program.destroy();
  }
}

type Oracle = (face: reference.ReferenceFace, severity: number, draw: (element: number) => number[]) => Float64Array;

/** Constants at 48 pixels (those of 64×64 images, lengths times ¾) for severity 2, and at 148 pixels (those of 224×224) for severity 4. */
const ORACLES: Record<CorruptionName, { small: Oracle; large: Oracle }> = {
  'gaussian-noise': {
    small: (face, _s, draw) => reference.gaussianNoise(face, 0.08, draw),
    large: (face, _s, draw) => reference.gaussianNoise(face, 0.26, draw),
  },
  'shot-noise': {
    small: (face, _s, draw) => reference.shotNoise(face, 100, draw, 0),
    large: (face, _s, draw) => reference.shotNoise(face, 5, draw, 0),
  },
  'impulse-noise': {
    small: (face, _s, draw) => reference.impulseNoise(face, 0.02, draw),
    large: (face, _s, draw) => reference.impulseNoise(face, 0.17, draw),
  },
  'speckle-noise': {
    small: (face, _s, draw) => reference.speckleNoise(face, 0.2, draw),
    large: (face, _s, draw) => reference.speckleNoise(face, 0.45, draw),
  },
  'defocus-blur': {
    small: (face, scale) => reference.defocusBlur(face, 1 * scale),
    large: (face, scale) => reference.defocusBlur(face, 8 * scale),
  },
  'motion-blur': {
    small: (face, scale, draw) => reference.motionBlur(face, 10 * scale, 1.5 * scale, draw),
    large: (face, scale, draw) => reference.motionBlur(face, 15 * scale, 12 * scale, draw),
  },
  'zoom-blur': {
    small: (face) => reference.zoomBlur(face, [1, 1.01, 1.02, 1.03, 1.04, 1.05, 1.06, 1.07, 1.08, 1.09, 1.1]),
    large: (face) => reference.zoomBlur(face, [1, 1.02, 1.04, 1.06, 1.08, 1.1, 1.12, 1.14, 1.16, 1.18, 1.2, 1.22, 1.24]),
  },
  'gaussian-blur': {
    small: (face, scale) => reference.gaussianBlur(face, 0.75 * scale),
    large: (face, scale) => reference.gaussianBlur(face, 4 * scale),
  },
  fog: {
    small: (face, _s, draw) => reference.fog(face, 0.7, 3, draw),
    large: (face, _s, draw) => reference.fog(face, 2.5, 1.5, draw),
  },
  brightness: { small: (face) => reference.brightness(face, 0.2), large: (face) => reference.brightness(face, 0.4) },
  contrast: { small: (face) => reference.contrast(face, 0.3), large: (face) => reference.contrast(face, 0.1) },
  pixelate: { small: (face) => reference.pixelate(face, 0.8), large: (face) => reference.pixelate(face, 0.3) },
  jpeg: { small: (face) => reference.jpeg(face, 58, 1e-3), large: (face) => reference.jpeg(face, 10, 1e-3) },
  darkness: { small: (face) => reference.darkness(face, 2), large: (face) => reference.darkness(face, 3) },
  occlusion: {
    small: (face, _s, draw) => reference.occlusion(face, 0.3, draw),
    large: (face, _s, draw) => reference.occlusion(face, 0.5, draw),
  },
  rotation: {
    small: (face, _s, draw) => reference.rotation(face, 10, draw),
    large: (face, _s, draw) => reference.rotation(face, 20, draw),
  },
};

const EXTENTS: Extent[] = [
  { height: 1, width: 1, channels: 1 },
  { height: 48, width: 48, channels: 1 },
  { height: 31, width: 37, channels: 3 }, // more than one group of pixels, neither a whole number of blocks
  { height: 5, width: 7, channels: 1 },
];

function oracle(name: CorruptionName, face: reference.ReferenceFace, number: number): { expected: Float64Array; atMost?: Float64Array } {
  const side = Math.min(face.height, face.width);
  const size = side >= 144 ? 'large' : 'small';
  const scale = side / (size === 'large' ? 224 : 64);
  const draw = (element: number) => reference.draws(SEED, number, CORRUPTION_NAMES.indexOf(name), element);
  if (name === 'shot-noise') {
    const photons = size === 'large' ? 5 : 100;
    return { expected: reference.shotNoise(face, photons, draw, -2e-6), atMost: reference.shotNoise(face, photons, draw, 2e-6) };
  }
  return { expected: ORACLES[name][size](face, scale, draw) };
}

gpuSuite('corruptions', (test) => {
  for (const name of CORRUPTION_NAMES) {
    test(`${name} matches the reference`, async (gpu) => {
      for (const extent of [...EXTENTS, ...(name.endsWith('blur') ? [] : [{ height: 148, width: 145, channels: 1 }])]) {
        const large = extent.height > 48;
        const numbers = large ? [11] : [4, 0, 70_000];
        const faces = exampleFaces(numbers.length, extent);
        const actual = await corrupt(gpu, faces, extent, name, large ? 4 : 2, { numbers });
        const size = faces.length / numbers.length;
        let compared = 0;
        numbers.forEach((number, entry) => {
          const values = faces.subarray(entry * size, (entry + 1) * size);
          const { expected, atMost } = oracle(name, { ...extent, values }, number);
          const found = Float64Array.from(actual.subarray(entry * size, (entry + 1) * size));
          expected.forEach((value, i) => {
            const isUnsure =
              Number.isNaN(value) || (atMost && atMost[i] !== value && found[i] >= value - 0.01 && found[i] <= atMost[i] + 0.01);
            if (isUnsure) expected[i] = found[i];
            else compared++;
          });
          assertClose(found, expected, TOLERANCE, `${extent.height}x${extent.width}x${extent.channels}, face ${number}`);
        });
        assert.ok(compared > 0.5 * faces.length || faces.length < 9, `${compared} of ${faces.length} values were compared`);
      }
    });
  }

  test('blurs of large faces match the reference', async (gpu) => {
    const extent = { height: 144, width: 150, channels: 1 };
    const faces = exampleFaces(1, extent);
    for (const name of ['defocus-blur', 'motion-blur', 'zoom-blur'] as const) {
      const actual = await corrupt(gpu, faces, extent, name, 4, { numbers: [5] });
      assertClose(actual, oracle(name, { ...extent, values: faces }, 5).expected, TOLERANCE, name);
    }
  });

  test('a face is corrupted alike whatever its batch and the epoch, and otherwise with another seed or number', async (gpu) => {
    const extent = { height: 16, width: 16, channels: 1 };
    const faces = exampleFaces(3, extent);
    for (const name of ['gaussian-noise', 'shot-noise', 'impulse-noise', 'speckle-noise', 'motion-blur', 'fog', 'occlusion'] as const) {
      const together = await corrupt(gpu, faces, extent, name, 5, { numbers: [8, 9, 10] });
      const alone = (options: { seed?: number; epoch?: number }, number = 9) =>
        corrupt(gpu, faces.slice(256, 512), extent, name, 5, { numbers: [number], ...options });
      assertClose(await alone({ epoch: 4 }), together.subarray(256, 512), { relative: 0, absolute: 0 }, name);
      for (const other of [await alone({ seed: 8 }), await alone({}, 21)]) {
        assert.ok(
          other.some((value, i) => value !== together[256 + i]),
          `${name} draws the same again`,
        );
      }
    }
  });

  test('each severity is further from the face than the one before', async (gpu) => {
    const extent = { height: 48, width: 48, channels: 1 };
    const faces = exampleFaces(4, extent);
    for (const name of CORRUPTION_NAMES) {
      let before = 0;
      for (const severity of SEVERITIES) {
        const result = await corrupt(gpu, faces, extent, name, severity, { numbers: [0, 1, 2, 3] });
        const distance = Math.sqrt(result.reduce((sum, value, i) => sum + (value - faces[i]) ** 2, 0) / result.length);
        assert.ok(distance > before, `${name} ${severity}: ${distance} grey levels after ${before}`);
        before = distance;
      }
    }
  });

  test('normal noise has its deviation, Poisson noise its mean and variance', async (gpu) => {
    const extent = { height: 64, width: 64, channels: 1 };
    const faces = new Float32Array(4 * 4096).fill(102);
    const moments = (values: Float32Array) => {
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      return { mean, variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length };
    };
    const within = (actual: number, expected: number, share: number) =>
      assert.ok(Math.abs(actual / expected - 1) < share, `${actual} instead of ${expected}`);
    const gaussian = moments(await corrupt(gpu, faces, extent, 'gaussian-noise', 4, { numbers: [0, 1, 2, 3] }));
    within(gaussian.mean, 102, 0.01);
    within(gaussian.variance, (0.15 * 255) ** 2, 0.05);
    // 102 / 255 · 30 = 12 photons, each 255 / 30 = 8.5 levels
    const shot = moments(await corrupt(gpu, faces, extent, 'shot-noise', 4, { numbers: [0, 1, 2, 3] }));
    within(shot.mean, 102, 0.01);
    within(shot.variance, 12 * 8.5 ** 2, 0.05);
  });

  test('packed faces are rounded half up and clipped, and have the statistics of their bytes', async (gpu) => {
    for (const [batch, height, width, channels] of [
      [1, 1, 1, 1],
      [3, 5, 7, 1],
      [2, 13, 11, 3],
      [70, 16, 16, 1],
    ] as const) {
      const values = randomArray([batch, height, width, channels], 5).map((value) => 127.5 + 160 * value);
      values[0] = 2.5;
      const tape = new Tape(gpu);
      const input = tape.input('faces', [batch, height, width, channels]);
      const words = tape.input('words', [Math.ceil(input.size / 4)], 'u32');
      const statistics = tape.input('statistics', [batch, 2]);
      packFaces(tape, input, { words, statistics });
      const program = await Program.compile(gpu, tape);
      program.write(input, values);
      program.run();
      const bytes = new Uint8Array((await program.read(words)).buffer);
      const expected = Uint8Array.from(values, (value) => Math.min(255, Math.max(0, Math.floor(value + 0.5))));
      assertClose(bytes.subarray(0, values.length), expected, { relative: 0, absolute: 0 });
      assert.ok(bytes.subarray(values.length).every((byte) => byte === 0));
      assertClose(await program.read(statistics), faceStatistics(expected, batch), { relative: 1e-5, absolute: 0 });
      program.destroy();
    }
  });

  test('what does not fit is refused', async (gpu) => {
    const tape = new Tape(gpu);
    const numbers = tape.input('numbers', [2], 'u32');
    const faces = tape.input('faces', [2, 4, 4, 1]);
    const record = (input = faces, given = numbers) => corruptFaces(tape, input, given, 'fog', 1);
    await rejects(() => record(tape.input('faces', [2, 4, 4, 2])), ShapeError, 'f32 [2,4,4,2]');
    await rejects(() => record(tape.input('faces', [2, 4, 4])), ShapeError, '[2,4,4]');
    await rejects(() => record(faces, tape.input('numbers', [2])), ShapeError, 'numbers f32 [2]');
    await rejects(() => record(faces, tape.input('numbers', [3], 'u32')), ShapeError, 'of 2 faces');
    const statistics = tape.input('statistics', [2, 2]);
    await rejects(() => packFaces(tape, faces, { words: tape.input('words', [7], 'u32'), statistics }), ShapeError, 'words [7]');
    await rejects(
      () => packFaces(tape, faces, { words: tape.input('words', [8], 'u32'), statistics: tape.input('statistics', [2]) }),
      ShapeError,
      'statistics [2]',
    );
  });
});
