/**
 * Corruptions of faces for measuring robustness, at five severities after Hendrycks & Dietterich 2019 ("Benchmarking neural network robustness to
 * common corruptions and perturbations"). Constants are those of the authors' code (github.com/hendrycks/robustness, ImageNet-C): those for 224×224
 * images (imagenet_c/corruptions.py) for faces whose side is at least LARGE_SIDE, else those for 64×64 images (create_c/make_imagenet_64_c.py). Lengths
 * in pixels are scaled from 224 or 64 to the side of the faces. Where ImageNet-C has no such corruption, or a step could not be computed in parallel,
 * the definition says so.
 */
import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import { sizeOf, type Tensor } from '../tensor.js';

export type Severity = 1 | 2 | 3 | 4 | 5;
export const SEVERITIES: readonly Severity[] = [1, 2, 3, 4, 5];

/** Halfway between the two sides for which the constants were published. */
const LARGE_SIDE = 144;

/** Sides for which the constants were published. */
const PUBLISHED_SIDE = { small: 64, large: 224 };

const ELEMENTS_PER_GROUP = 1024;
const PIXELS_PER_GROUP = 1024;

/** Faces to corrupt, and what a kernel needs to know of them. */
interface Faces {
  tape: Tape;
  /** f32 [batch, height, width, channels], grey levels from 0 to 255. */
  input: Tensor;
  /** u32 [batch], which decide what is drawn for each face. */
  numbers: Tensor;
  /** Keeps the draws of a corruption apart from those of the others. */
  stream: number;
  batch: number;
  height: number;
  width: number;
  channels: number;
  /** Pixels of these faces to one for which the constants were published. */
  scale: number;
}

type PerSeverity<Constant> = readonly [Constant, Constant, Constant, Constant, Constant];

/** Records one corruption, with its constant for the severity. */
type Corruption = (faces: Faces, severity: Severity, isLarge: boolean) => Tensor;

function corruption<const Constant>(
  constants: { small: PerSeverity<Constant>; large: PerSeverity<Constant> } | PerSeverity<Constant>,
  record: (faces: Faces, constant: Constant) => Tensor,
): Corruption {
  const [small, large] = 'small' in constants ? [constants.small, constants.large] : [constants, constants];
  return (faces, severity, isLarge) => record(faces, (isLarge ? large : small)[severity - 1]!);
}

/** All corruptions, in the order of ImageNet-C; those that it does not have stand last. Constants are for severities 1 to 5. */
const CORRUPTIONS = {
  /** Normal noise of this deviation, as a share of the range. */
  'gaussian-noise': corruption({ small: [0.04, 0.08, 0.12, 0.15, 0.18], large: [0.08, 0.12, 0.18, 0.26, 0.38] }, (faces, amount) =>
    noise(faces, NOISE.gaussian, amount),
  ),
  /** Poisson noise of so many photons at white. */
  'shot-noise': corruption({ small: [250, 100, 50, 30, 15], large: [60, 25, 12, 5, 3] }, (faces, photons) =>
    noise(faces, NOISE.shot, photons),
  ),
  /** Salt and pepper on this share of the pixels. */
  'impulse-noise': corruption({ small: [0.01, 0.02, 0.05, 0.08, 0.14], large: [0.03, 0.06, 0.09, 0.17, 0.27] }, (faces, share) =>
    noise(faces, NOISE.impulse, share),
  ),
  /** Normal noise in proportion to the pixel. */
  'speckle-noise': corruption({ small: [0.15, 0.2, 0.25, 0.3, 0.35], large: [0.15, 0.2, 0.35, 0.45, 0.6] }, (faces, amount) =>
    noise(faces, NOISE.speckle, amount),
  ),
  /** Mean over a disc of this radius in pixels; antialiased by the area covered, not by a further blur. */
  'defocus-blur': corruption({ small: [0.5, 1, 1.5, 2.5, 3], large: [3, 4, 6, 8, 10] }, (faces, radius) =>
    resample(faces, discTaps(radius * faces.scale)),
  ),
  /** Half a Gaussian along a line, at an angle within 45° of horizontal: taps on either side of the first, and deviation, in pixels. */
  'motion-blur': corruption(
    {
      small: [
        [10, 1],
        [10, 1.5],
        [10, 2],
        [10, 2.5],
        [12, 3],
      ],
      large: [
        [10, 3],
        [15, 5],
        [15, 8],
        [15, 12],
        [20, 15],
      ],
    },
    (faces, [radius, deviation]) => resample(faces, motionTaps(radius * faces.scale, deviation * faces.scale), { sweep: Math.PI / 4 }),
  ),
  /** Mean of the face and of enlargements of it up to this factor, in these steps. */
  'zoom-blur': corruption(
    {
      small: [
        [1.05, 0.01],
        [1.1, 0.01],
        [1.15, 0.01],
        [1.2, 0.01],
        [1.25, 0.01],
      ],
      large: [
        [1.1, 0.01],
        [1.15, 0.01],
        [1.2, 0.02],
        [1.24, 0.02],
        [1.3, 0.03],
      ],
    },
    (faces, [most, step]) => resample(faces, zoomTaps(most, step)),
  ),
  /** Gaussian of this deviation in pixels, cut off at four deviations. */
  'gaussian-blur': corruption({ small: [0.5, 0.75, 1, 1.25, 1.5], large: [1, 2, 3, 4, 6] }, (faces, deviation) => {
    const taps = gaussianTaps(deviation * faces.scale);
    const across = resample(faces, taps);
    return resample(
      { ...faces, input: across },
      taps.map(([dx, dy, shrink, weight]) => [dy, dx, shrink, weight]),
    );
  }),
  /** Fog of this density and fading of detail; octaves of value noise for the plasma fractal. */
  fog: corruption(
    {
      small: [
        [0.4, 3],
        [0.7, 3],
        [1, 2.5],
        [1.5, 2],
        [2, 1.75],
      ],
      large: [
        [1.5, 2],
        [2, 2],
        [2.5, 1.7],
        [2.5, 1.5],
        [3, 1.4],
      ],
    },
    ({ tape, input, numbers, stream, batch, height, width, channels }, [amount, decay]) => {
      const output = tape.tensor('corrupted', input.shape);
      tape.launch('corrupt_fog', {
        constants: { CHANNELS: channels },
        params: { batch, height, width, stream, amount, decay },
        tensors: { input, numbers, step: tape.step, output },
        groups: batch,
      });
      return output;
    },
  ),
  /** Value (of HSV) raised by this share of the range. */
  brightness: corruption([0.1, 0.2, 0.3, 0.4, 0.5], (faces, amount) => tone(faces, TONE.brightness, amount)),
  /** Distance from the mean of the face times this. */
  contrast: corruption([0.4, 0.3, 0.2, 0.1, 0.05], (faces, amount) => tone(faces, TONE.contrast, amount)),
  /** Shrunk to this share of the side and enlarged, both with a box filter. */
  pixelate: corruption(
    { small: [0.9, 0.8, 0.7, 0.6, 0.5], large: [0.6, 0.5, 0.4, 0.3, 0.25] },
    ({ tape, input, height, width, channels }, share) => {
      const output = tape.tensor('corrupted', input.shape);
      const cells = (extent: number) => Math.max(1, Math.floor(extent * share));
      tape.launch('corrupt_pixelate', {
        params: { size: input.size, height, width, channels, cells_y: cells(height), cells_x: cells(width) },
        tensors: { input, output },
        groups: Math.ceil(input.size / ELEMENTS_PER_GROUP),
      });
      return output;
    },
  ),
  /** Coefficients of 8×8 blocks rounded as by JPEG of this quality; colour is not thinned. */
  jpeg: corruption(
    { small: [65, 58, 50, 40, 25], large: [25, 18, 15, 10, 7] },
    ({ tape, input, batch, height, width, channels }, quality) => {
      const output = tape.tensor('corrupted', input.shape);
      tape.launch('corrupt_jpeg', {
        constants: { CHANNELS: channels },
        params: { batch, height, width },
        tensors: {
          input,
          basis: tape.constant('cosine_basis', [8, 8], COSINE_BASIS),
          steps: tape.constant('jpeg_steps', [2, 64], quantisationSteps(quality)),
          output,
        },
        groups: batch * Math.ceil(height / 8) * Math.ceil(width / 8),
      });
      return output;
    },
  ),
  /** Pixels of 0…1 to this power, as in low light (not in ImageNet-C; our constants). */
  darkness: corruption([1.5, 2, 2.5, 3, 4], (faces, amount) => tone(faces, TONE.darkness, amount)),
  /** A grey block of this share of the side (not in ImageNet-C; after the cutout of DeVries & Taylor 2017, our constants). */
  occlusion: corruption([0.2, 0.3, 0.4, 0.5, 0.6], ({ tape, input, numbers, stream, height, width, channels }, share) => {
    const output = tape.tensor('corrupted', input.shape);
    const block = { block_height: Math.round(share * height), block_width: Math.round(share * width) };
    tape.launch('corrupt_occlusion', {
      params: { size: input.size, height, width, channels, ...block, stream, grey: 128 },
      tensors: { input, numbers, step: tape.step, output },
      groups: Math.ceil(input.size / ELEMENTS_PER_GROUP),
    });
    return output;
  }),
  /** Turned by so many degrees one way or the other (not in ImageNet-C; our constants). */
  rotation: corruption([5, 10, 15, 20, 30], (faces, degrees) => resample(faces, [[0, 0, 1, 1]], { turn: (degrees * Math.PI) / 180 })),
} as const satisfies Record<string, Corruption>;

export type CorruptionName = keyof typeof CORRUPTIONS;
export const CORRUPTION_NAMES = Object.keys(CORRUPTIONS) as readonly CorruptionName[];

/**
 * Records the corruption of a batch of faces. The result is neither rounded nor clipped: `packFaces` does both. What is drawn depends on the
 * seed of the tape's step, the face's number and the corruption only: not on the severity, the batch or the epoch.
 * @param input f32 [batch, height, width, channels], grey levels from 0 to 255
 * @param numbers u32 [batch], the same for a face wherever it stands
 * @throws ShapeError for other shapes, or channels that are neither 1 nor 3
 */
export function corruptFaces(tape: Tape, input: Tensor, numbers: Tensor, name: CorruptionName, severity: Severity): Tensor {
  const [batch = 0, height = 0, width = 0, channels = 0] = input.shape;
  if (input.shape.length !== 4 || input.dtype !== 'f32' || (channels !== 1 && channels !== 3)) {
    throw new ShapeError(`corruptFaces of ${input.dtype} [${input.shape}]`, 'Give faces f32 [batch, height, width, 1 or 3].');
  }
  if (numbers.dtype !== 'u32' || numbers.shape.length !== 1 || numbers.size !== batch) {
    throw new ShapeError(`corruptFaces: numbers ${numbers.dtype} [${numbers.shape}] of ${batch} faces`, 'Give u32 [batch].');
  }
  const side = Math.min(height, width);
  const isLarge = side >= LARGE_SIDE;
  const scale = side / (isLarge ? PUBLISHED_SIDE.large : PUBLISHED_SIDE.small);
  const stream = CORRUPTION_NAMES.indexOf(name);
  const faces = { tape, input, numbers, stream, batch, height, width, channels, scale };
  return CORRUPTIONS[name](faces, severity, isLarge);
}

/**
 * Records the rounding of faces to 8 bits, into the words that `gatherFaces` reads, and the statistics of each for its normalisation.
 * @param input f32 [batch, height, width, channels], grey levels
 * @param words u32 [size of the input / 4, rounded up], `statistics` [batch, 2], both written
 */
export function packFaces(tape: Tape, input: Tensor, { words, statistics }: { words: Tensor; statistics: Tensor }): void {
  const [batch = 0, ...face] = input.shape;
  if (words.size !== Math.ceil(input.size / 4) || statistics.size !== 2 * batch) {
    throw new ShapeError(
      `packFaces of [${input.shape}] into words [${words.shape}] and statistics [${statistics.shape}]`,
      'A word holds four elements; a face has two statistics.',
    );
  }
  tape.launch('faces_pack', {
    params: { size: input.size },
    tensors: { input, words },
    groups: Math.ceil(words.size / ELEMENTS_PER_GROUP),
  });
  tape.launch('faces_statistics', { params: { batch, face_size: sizeOf(face) }, tensors: { input, statistics }, groups: batch });
}

/** As numbered in corrupt_noise.wgsl. */
const NOISE = { gaussian: 0, shot: 1, impulse: 2, speckle: 3 };

function noise({ tape, input, numbers, stream, batch }: Faces, kind: number, amount: number): Tensor {
  const output = tape.tensor('corrupted', input.shape);
  tape.launch('corrupt_noise', {
    constants: { KIND: kind },
    params: { size: input.size, face_size: input.size / batch, stream, amount },
    tensors: { input, numbers, step: tape.step, output },
    groups: Math.ceil(input.size / ELEMENTS_PER_GROUP),
  });
  return output;
}

/** As numbered in corrupt_tone.wgsl. */
const TONE = { brightness: 0, contrast: 1, darkness: 2 };

function tone({ tape, input, batch, height, width, channels }: Faces, kind: number, amount: number): Tensor {
  const output = tape.tensor('corrupted', input.shape);
  tape.launch('corrupt_tone', {
    constants: { KIND: kind, CHANNELS: channels },
    params: { batch, pixels: height * width, amount },
    tensors: { input, output },
    groups: batch,
  });
  return output;
}

/** Where a pixel looks (dx, dy in pixels), how much nearer to the centre, and what that counts. */
type Tap = readonly [dx: number, dy: number, shrink: number, weight: number];

function resample(faces: Faces, taps: readonly Tap[], { turn = 0, sweep = 0 } = {}): Tensor {
  const { tape, input, numbers, stream, batch, height, width, channels } = faces;
  const output = tape.tensor('corrupted', input.shape);
  tape.launch('corrupt_resample', {
    constants: { CHANNELS: channels },
    params: { batch, height, width, taps: taps.length, stream, turn, sweep },
    tensors: {
      input,
      taps: tape.constant('taps', [taps.length, 4], Float32Array.from(taps.flat())),
      numbers,
      step: tape.step,
      output,
    },
    groups: batch * Math.ceil((height * width) / PIXELS_PER_GROUP),
  });
  return output;
}

/** Taps with weights that sum to 1. */
function normalised(taps: readonly Tap[]): Tap[] {
  const sum = taps.reduce((total, tap) => total + tap[3], 0);
  return taps.map(([dx, dy, shrink, weight]) => [dx, dy, shrink, weight / sum]);
}

/** Points along either side of a pixel by which its cover is counted. */
const SAMPLES = 16;

/** Pixels by their share in a disc that reaches half a pixel beyond the radius, as the pixel at its end does. */
function discTaps(radius: number): Tap[] {
  const reach = radius + 0.5;
  const side = Math.ceil(reach);
  const taps: Tap[] = [];
  for (let dy = -side; dy <= side; dy++) {
    for (let dx = -side; dx <= side; dx++) {
      let covered = 0;
      for (let sample = 0; sample < SAMPLES ** 2; sample++) {
        const x = dx - 0.5 + ((sample % SAMPLES) + 0.5) / SAMPLES;
        const y = dy - 0.5 + (Math.floor(sample / SAMPLES) + 0.5) / SAMPLES;
        if (x * x + y * y <= reach * reach) covered++;
      }
      if (covered > 0) taps.push([dx, dy, 1, covered]);
    }
  }
  return normalised(taps);
}

function motionTaps(radius: number, deviation: number): Tap[] {
  const count = 2 * Math.ceil(radius) + 1;
  return normalised(Array.from({ length: count }, (_, i): Tap => [i, 0, 1, Math.exp(-((i / deviation) ** 2) / 2)]));
}

function zoomTaps(most: number, step: number): Tap[] {
  const zooms = Array.from({ length: Math.round((most - 1) / step) + 1 }, (_, i) => 1 + i * step);
  return normalised([1, ...zooms].map((zoom): Tap => [0, 0, 1 / zoom, 1]));
}

function gaussianTaps(deviation: number): Tap[] {
  const reach = Math.max(1, Math.round(4 * deviation));
  return normalised(
    Array.from({ length: 2 * reach + 1 }, (_, i): Tap => [i - reach, 0, 1, Math.exp(-(((i - reach) / deviation) ** 2) / 2)]),
  );
}

/** A[u, x] = c(u) / 2 · cos((2x + 1) u π / 16), c(0) = 1/√2, else 1. */
const COSINE_BASIS = Float32Array.from({ length: 64 }, (_, i) => {
  const [u, x] = [i >> 3, i & 7];
  return (u === 0 ? Math.SQRT1_2 : 1) * 0.5 * Math.cos(((2 * x + 1) * u * Math.PI) / 16);
});

/** Tables K.1 and K.2 of ITU-T T.81, row by row. */
const LUMINANCE_STEPS = [
  [16, 11, 10, 16, 24, 40, 51, 61],
  [12, 12, 14, 19, 26, 58, 60, 55],
  [14, 13, 16, 24, 40, 57, 69, 56],
  [14, 17, 22, 29, 51, 87, 80, 62],
  [18, 22, 37, 56, 68, 109, 103, 77],
  [24, 35, 55, 64, 81, 104, 113, 92],
  [49, 64, 78, 87, 103, 121, 120, 101],
  [72, 92, 95, 98, 112, 100, 103, 99],
];
const CHROMINANCE_STEPS = [
  [17, 18, 24, 47, 99, 99, 99, 99],
  [18, 21, 26, 66, 99, 99, 99, 99],
  [24, 26, 56, 99, 99, 99, 99, 99],
  [47, 66, 99, 99, 99, 99, 99, 99],
  [99, 99, 99, 99, 99, 99, 99, 99],
  [99, 99, 99, 99, 99, 99, 99, 99],
  [99, 99, 99, 99, 99, 99, 99, 99],
  [99, 99, 99, 99, 99, 99, 99, 99],
];

/** Both tables for a quality from 1 to 100, by the rule of the Independent JPEG Group (jcparam.c). */
function quantisationSteps(quality: number): Float32Array {
  const percent = quality < 50 ? Math.floor(5000 / quality) : 200 - 2 * quality;
  return Float32Array.from([...LUMINANCE_STEPS, ...CHROMINANCE_STEPS].flat(), (step) =>
    Math.min(255, Math.max(1, Math.floor((step * percent + 50) / 100))),
  );
}
