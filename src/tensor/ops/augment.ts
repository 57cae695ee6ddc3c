import { DeviceError, ShapeError } from '../../errors.js';
import type { Gpu } from '../../gpu/gpu.js';
import type { Tape } from '../tape.js';
import { persistentTensor, sizeOf, type Tensor } from '../tensor.js';

/** Extent of faces in pixels. */
export interface FaceExtent {
  height: number;
  width: number;
  /** 1 grey, 3 red, green and blue. */
  channels: number;
}

/**
 * How differently a face may be seen each time. A face is mirrored, scaled, skewed, rotated (in this order, about its centre) and
 * shifted; what is beyond its border is its reflection. Each amount is uniform between the extremes given here, independently for
 * each axis, face and epoch.
 */
export interface Augmentation {
  /** Probability of a mirror image. */
  flip: number;
  /** Largest shift along either axis, as a share of the output's extent. */
  shift: number;
  /** Largest scale along either axis, at least 1: from 1/scale to scale, uniform in the logarithm. */
  scale: number;
  /** Largest rotation either way, in degrees. */
  rotation: number;
  /** Largest skew along either axis: pixels along it per pixel across. */
  skew: number;
  /**
   * A random part of the face is seen instead of all of it (Szegedy et al. 2015, section 6): `least` of its area or more, its width over its height up to
   * `aspect` or 1 / `aspect` times that of the face, its sides cut to those of the face. Needs a scale of 1 and a shift of 0, whose draws it takes.
   */
  crop?: { least: number; aspect: number };
  /**
   * Random erasing (Zhong et al. 2020, algorithm 1, but filled with the mean): probability, and least and most area as shares of
   * the output's. Aspect ratios are from 3/10 to 10/3.
   */
  erasing: { probability: number; least: number; most: number };
  /** Largest change of all pixels, as a share of their range 0…255. */
  brightness: number;
  /** Largest relative change of the distance from the mean. */
  contrast: number;
}

export const AUGMENTATIONS = {
  /** That of FER+ (microsoft/FERPlus, img_util.py). */
  ferplus: {
    flip: 0.5,
    shift: 0.08,
    scale: 1.05,
    rotation: 20,
    skew: 0.05,
    erasing: { probability: 0, least: 0, most: 0 },
    brightness: 0,
    contrast: 0,
  },
  /** For short runs and small networks: faces stay close to what they are. */
  light: {
    flip: 0.5,
    shift: 0.04,
    scale: 1.05,
    rotation: 8,
    skew: 0,
    erasing: { probability: 0, least: 0, most: 0 },
    brightness: 0.05,
    contrast: 0.1,
  },
  /** That of FER+ with light, contrast and occlusion varied too: for large networks and long runs. */
  strong: {
    flip: 0.5,
    shift: 0.1,
    scale: 1.15,
    rotation: 20,
    skew: 0.05,
    erasing: { probability: 0.25, least: 0.02, most: 0.2 },
    brightness: 0.1,
    contrast: 0.25,
  },
  /** That of masked autoencoders (He et al. 2022, table 8). */
  crop: {
    flip: 0.5,
    shift: 0,
    scale: 1,
    rotation: 0,
    skew: 0,
    crop: { least: 0.2, aspect: 4 / 3 },
    erasing: { probability: 0, least: 0, most: 0 },
    brightness: 0,
    contrast: 0,
  },
} as const satisfies Record<string, Augmentation>;

/** What makes pixels v in 0…1 into inputs (v - mean) / deviation: for all faces, or each by its own row of f32 [count, 2]. */
export type Normalisation = { mean: number; deviation: number } | { statistics: Tensor };

/** About that of grey faces, so that inputs have mean 0 and deviation 1. */
const GREY_FACES: Normalisation = { mean: 0.5, deviation: 0.25 };

export interface GatherOptions {
  source: FaceExtent;
  output: FaceExtent;
  /** Absent: plain faces, resized bilinearly where the extents differ. */
  augment?: Augmentation;
  normalise?: Normalisation;
  /**
   * The faces and their statistics are those of the batch alone, in its order, written anew for each step. The indices then only decide how
   * a face is seen: the same as if all faces were resident.
   */
  streamed?: boolean;
}

/** On a software adapter a whole face, so that its view is drawn as seldom as can be. */
const PIXELS_PER_GROUP = { software: 4096, gpu: 1024 };
const MOST_PARTS = 4;

/**
 * Records the gathering of a batch, f32 [B, height, width, channels], from faces resident on the device, and their augmentation.
 * Grey becomes RGB by repetition, RGB grey by luma. What a face looks like depends on seed and epoch of the tape's step, on the
 * face's index, and on how many uses of randomness the tape recorded before, so that two views of one batch differ. An index
 * beyond the faces gives NaN.
 * @param faces u32 words of bytes [count, height, width, channels], or up to four parts of them (see `residentFaces`)
 * @param indices u32 [B]
 * @throws ShapeError when words and extents contradict each other, or channels are neither 1 nor 3
 */
export function gatherFaces(tape: Tape, faces: Tensor | readonly Tensor[], indices: Tensor, options: GatherOptions): Tensor {
  const { source, output: extent, augment, normalise = GREY_FACES, streamed = false } = options;
  const parts = Array.isArray(faces) ? (faces as readonly Tensor[]) : [faces as Tensor];
  const partSizes = facesPerPart(parts, source);
  requireExtent(extent);
  if (indices.dtype !== 'u32' || indices.shape.length !== 1) {
    throw new ShapeError(`gatherFaces: indices ${indices.dtype} [${indices.shape}]`, 'Give u32 [batch].');
  }
  const batch = indices.size;
  const count = partSizes.reduce((sum, size) => sum + size, 0);
  if (streamed && count < batch) {
    throw new ShapeError(`gatherFaces: ${count} faces streamed for a batch of ${batch}`, 'Give as many faces as the batch has.');
  }
  const each = 'statistics' in normalise;
  if (each && (normalise.statistics.shape.length !== 2 || normalise.statistics.shape[1] !== 2)) {
    throw new ShapeError(`gatherFaces: statistics [${normalise.statistics.shape}]`, 'Give mean and deviation of each face, [count, 2].');
  }
  const statistics = each
    ? normalise.statistics
    : tape.constant('faces.statistics', [1, 2], Float32Array.of(normalise.mean, normalise.deviation));
  const pixelsPerGroup = PIXELS_PER_GROUP[tape.gpu.adapter.isFallback ? 'software' : 'gpu'];
  const output = tape.tensor('faces', [batch, extent.height, extent.width, extent.channels]);
  tape.launch('faces_gather', {
    constants: {
      AUGMENT: augment !== undefined,
      SOURCE_CHANNELS: source.channels,
      OUTPUT_CHANNELS: extent.channels,
      PARTS: parts.length,
      PIXELS_PER_GROUP: pixelsPerGroup,
      STREAMED: streamed,
    },
    params: {
      batch,
      face_count: each ? Math.min(count, normalise.statistics.shape[0]) : count,
      faces_per_part: partSizes[0],
      source_height: source.height,
      source_width: source.width,
      output_height: extent.height,
      output_width: extent.width,
      statistics_stride: each ? 1 : 0,
      ...augmentParams(augment, tape),
    },
    tensors: {
      faces0: parts[0],
      faces1: parts[1] ?? parts[0],
      faces2: parts[2] ?? parts[0],
      faces3: parts[3] ?? parts[0],
      indices,
      statistics,
      step: tape.step,
      output,
    },
    groups: batch * Math.ceil((extent.height * extent.width) / pixelsPerGroup),
  });
  return output;
}

function augmentParams(augment: Augmentation | undefined, tape: Tape): Record<string, number> {
  return {
    stream: augment ? tape.nextStream() : 0,
    flip: augment?.flip ?? 0,
    shift: augment?.shift ?? 0,
    scale_log2: Math.log2(augment?.scale ?? 1),
    rotation: ((augment?.rotation ?? 0) * Math.PI) / 180,
    skew: augment?.skew ?? 0,
    crop_least: augment?.crop?.least ?? 1,
    crop_aspect_log2: Math.log2(augment?.crop?.aspect ?? 1),
    erasing: augment?.erasing.probability ?? 0,
    erasing_least: augment?.erasing.least ?? 0,
    erasing_most: augment?.erasing.most ?? 0,
    brightness: augment?.brightness ?? 0,
    contrast: augment?.contrast ?? 0,
  };
}

/** Bytes that need not lie in memory: an array of them, or what gives them on demand, in whole faces. */
export interface Bytes {
  readonly length: number;
  subarray(start: number, end: number): Uint8Array;
}

/** The most that is copied to the device at a time. */
const WRITE_BYTES = 1 << 26;

/**
 * Room on the device for 8-bit faces that stay there: one tensor of words, or as many as the adapter's limit on a binding makes necessary.
 * The caller fills it with `writeFaces`, and frees it.
 * @param sizeBytes of faces [count, height, width, channels]
 * @param limitBytes most that one tensor may hold, the adapter's own limit if absent
 * @throws DeviceError when four tensors do not hold them, ShapeError when the bytes are no whole number of faces
 */
export function residentFaces(
  gpu: Gpu,
  sizeBytes: number,
  extent: FaceExtent,
  limitBytes = gpu.limits.maxStorageBufferBindingSize,
): Tensor[] {
  const faceBytes = sizeOf([extent.height, extent.width, extent.channels]);
  if (sizeBytes === 0 || sizeBytes % faceBytes !== 0) {
    throw new ShapeError(
      `faces: ${sizeBytes} bytes of ${extent.height}x${extent.width}x${extent.channels} pixels`,
      'Give whole faces, at least one.',
    );
  }
  const partBytes = bytesPerPart(extent, limitBytes);
  if (partBytes * MOST_PARTS < sizeBytes) {
    throw new DeviceError(
      `faces of ${sizeBytes} bytes do not fit into ${MOST_PARTS} bindings of ${limitBytes} bytes`,
      'Use a smaller --size, grey instead of RGB, or fewer faces.',
    );
  }
  return Array.from({ length: Math.ceil(sizeBytes / partBytes) }, (_, index) => {
    const bytes = Math.min(partBytes, sizeBytes - index * partBytes);
    return persistentTensor(`faces.${index}`, [Math.ceil(bytes / 4)], 'u32');
  });
}

/**
 * Queues the writing of all faces into the room that `residentFaces` made for them.
 * @param pixels bytes [count, height, width, channels]
 */
export function writeFaces(gpu: Gpu, parts: readonly Tensor[], pixels: Bytes, { height, width, channels }: FaceExtent): void {
  const fourFaces = 4 * height * width * channels;
  const writeBytes = Math.max(1, Math.floor(WRITE_BYTES / fourFaces)) * fourFaces;
  let start = 0;
  for (const part of parts) {
    const end = Math.min(pixels.length, start + part.bytes);
    const buffer = part.storage!.buffer(gpu);
    for (let at = start; at < end; at += writeBytes) {
      const some = pixels.subarray(at, Math.min(end, at + writeBytes));
      const words = some.length % 4 === 0 ? some : new Uint8Array(Math.ceil(some.length / 4) * 4);
      if (words !== some) words.set(some);
      gpu.device.queue.writeBuffer(buffer, at - start, words.buffer, words.byteOffset, words.length);
    }
    start = end;
  }
}

/** How many bytes of faces `residentFaces` can keep on this device at most. */
export function mostResidentBytes(gpu: Gpu, extent: FaceExtent): number {
  const { maxStorageBufferBindingSize, maxBufferSize } = gpu.limits;
  return MOST_PARTS * bytesPerPart(extent, Math.min(maxStorageBufferBindingSize, maxBufferSize));
}

/** Four faces at a time are a whole number of words, whatever their extent. */
function bytesPerPart({ height, width, channels }: FaceExtent, limitBytes: number): number {
  const fourFaces = 4 * height * width * channels;
  return Math.floor(limitBytes / fourFaces) * fourFaces;
}

/**
 * Mean and deviation of each face's pixels in 0…1, [count, 2], for normalising faces one by one. The deviation of a face without
 * contrast is taken as one grey level, so that it becomes zeros.
 */
export function faceStatistics(pixels: Bytes, count: number): Float32Array {
  const statistics = new Float32Array(count * 2);
  const size = pixels.length / count;
  for (let face = 0; face < count; face++) {
    let sum = 0;
    let squares = 0;
    const values = pixels.subarray(face * size, (face + 1) * size);
    for (let i = 0; i < size; i++) {
      sum += values[i];
      squares += values[i] ** 2;
    }
    const mean = sum / size;
    statistics[2 * face] = mean / 255;
    statistics[2 * face + 1] = Math.max(1, Math.sqrt(squares / size - mean ** 2)) / 255;
  }
  return statistics;
}

/** Number of faces in each part: equal in all but the last, as the kernel finds a face's part by division. */
function facesPerPart(parts: readonly Tensor[], source: FaceExtent): number[] {
  requireExtent(source);
  const faceBytes = source.height * source.width * source.channels;
  const sizes = parts.map((part) => Math.floor(part.bytes / faceBytes));
  const [first = 0] = sizes;
  const regular =
    parts.slice(0, -1).every((part, i) => part.bytes % faceBytes === 0 && sizes[i] === first) &&
    sizes.every((size) => size > 0 && size <= first);
  if (parts.length < 1 || parts.length > MOST_PARTS || !regular || parts.some((part) => part.dtype !== 'u32')) {
    throw new ShapeError(
      `gatherFaces: faces ${parts.map((part) => `${part.dtype} [${part.shape}]`).join(', ')} of ${faceBytes} bytes each`,
      `Give one to ${MOST_PARTS} u32 tensors of whole faces, all but the last equally many.`,
    );
  }
  return sizes;
}

function requireExtent({ height, width, channels }: FaceExtent): void {
  if (height >= 1 && width >= 1 && (channels === 1 || channels === 3)) return;
  throw new ShapeError(`gatherFaces: faces of ${height}x${width}x${channels}`, 'Faces are grey (1 channel) or RGB (3), at least 1x1.');
}
