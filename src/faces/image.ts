import { readFile } from 'node:fs/promises';
import { InputError } from '../errors.js';
import { readingError } from './lines.js';

/** Pixels of 8 bits, [height, width, channels]. */
export interface Image {
  height: number;
  width: number;
  channels: 1 | 3;
  pixels: Uint8Array;
}

/** A part of an image in its pixels, `right` and `bottom` just outside. */
export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Far beyond any picture of a face; a header that claims more is damaged or an attack on memory. */
const MOST_PIXELS = 1e8;

/** Extensions of the image files that can be read. */
export const IMAGE_FILE = /\.(png|jpe?g)$/i;

/**
 * A PNG or JPEG file as a square of `size` pixels: the largest centred square of the image, or the square about `box`, resized. Transparent
 * parts become black, 16-bit channels are cut to 8, a camera's orientation is applied.
 */
export async function readImage(file: string, size: number, channels: 1 | 3, box?: Box): Promise<Uint8Array> {
  const image = withChannels(await decode(file), channels);
  return resize(cut(image, box ? squareAbout(box, image, file) : middleSquare(image)), size).pixels;
}

/** Grey (Rec. 601 luma, as in OpenCV and FER2013) or RGB, whichever is asked for; grey is repeated to make RGB. */
export function withChannels(image: Image, channels: 1 | 3): Image {
  if (image.channels === channels) return image;
  const { pixels: source } = image;
  const pixels = new Uint8Array(image.height * image.width * channels);
  if (channels === 3) for (let index = 0; index < pixels.length; index++) pixels[index] = source[Math.floor(index / 3)];
  else {
    for (let index = 0; index < pixels.length; index++) {
      pixels[index] = Math.round((299 * source[3 * index] + 587 * source[3 * index + 1] + 114 * source[3 * index + 2]) / 1000);
    }
  }
  return { ...image, channels, pixels };
}

interface Square {
  left: number;
  top: number;
  side: number;
}

/** The largest centred square. */
function middleSquare({ height, width }: Image): Square {
  const side = Math.min(height, width);
  return { left: (width - side) >> 1, top: (height - side) >> 1, side };
}

/** The square that has the box's centre and longer side, moved and at last shrunk into the image. */
function squareAbout({ left, top, right, bottom }: Box, { height, width }: Image, file: string): Square {
  if (!(right > Math.max(left, 0) && bottom > Math.max(top, 0) && left < width && top < height)) {
    throw new InputError(
      `the face's box from (${left}, ${top}) to (${right}, ${bottom}) is not within its ${width}×${height} pixels`,
      'Mend the box in the annotations, or take the image out of the dataset.',
      { file },
    );
  }
  const side = Math.min(Math.round(Math.max(right - left, bottom - top)), height, width);
  const within = (centre: number, extent: number) => Math.max(0, Math.min(extent - side, Math.round(centre - side / 2)));
  return { left: within((left + right) / 2, width), top: within((top + bottom) / 2, height), side: Math.max(1, side) };
}

function cut(image: Image, { left, top, side }: Square): Image {
  const { height, width, channels } = image;
  if (height === side && width === side) return image;
  const pixels = new Uint8Array(side * side * channels);
  for (let y = 0; y < side; y++) {
    const start = ((top + y) * width + left) * channels;
    pixels.set(image.pixels.subarray(start, start + side * channels), y * side * channels);
  }
  return { height: side, width: side, channels, pixels };
}

/** Resizes a square image: bilinear when it grows, weighted by a triangle over the covered pixels when it shrinks. */
export function resize(image: Image, size: number): Image {
  const { height, width, channels } = image;
  if (height === size && width === size) return image;
  const taps = resizeTaps(width, size);
  const narrowed = new Float32Array(height * size * channels); // [height, size, channels]
  for (let row = 0; row < height; row++) {
    for (let x = 0; x < size; x++) {
      const { start, weights } = taps[x];
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (let tap = 0; tap < weights.length; tap++) sum += weights[tap] * image.pixels[(row * width + start + tap) * channels + channel];
        narrowed[(row * size + x) * channels + channel] = sum;
      }
    }
  }
  const pixels = new Uint8Array(size * size * channels);
  const stride = size * channels;
  for (let y = 0; y < size; y++) {
    const { start, weights } = taps[y];
    for (let index = 0; index < stride; index++) {
      let sum = 0;
      for (let tap = 0; tap < weights.length; tap++) sum += weights[tap] * narrowed[(start + tap) * stride + index];
      pixels[y * stride + index] = Math.round(sum);
    }
  }
  return { height: size, width: size, channels, pixels };
}

interface Taps {
  start: number;
  weights: Float64Array;
}

let lastTaps: { from: number; to: number; taps: Taps[] } | undefined;

/** For every one of `to` pixels the run of the `from` pixels that it averages, with weights that sum to 1. The last table is kept. */
function resizeTaps(from: number, to: number): Taps[] {
  if (lastTaps?.from === from && lastTaps.to === to) return lastTaps.taps;
  const step = from / to;
  const reach = Math.max(1, step);
  const taps = Array.from({ length: to }, (_, index) => {
    const centre = (index + 0.5) * step - 0.5;
    const start = Math.max(0, Math.ceil(centre - reach));
    const end = Math.min(from - 1, Math.floor(centre + reach));
    const weights = Float64Array.from({ length: end - start + 1 }, (_, tap) => Math.max(0, 1 - Math.abs(start + tap - centre) / reach));
    const sum = weights.reduce((left, right) => left + right, 0);
    return { start, weights: weights.map((weight) => weight / sum) };
  });
  lastTaps = { from, to, taps };
  return taps;
}

async function decode(file: string): Promise<Image> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    throw readingError(error, file);
  }
  const format = formatOf(bytes);
  if (format === undefined) {
    throw new InputError('is neither a PNG nor a JPEG image', 'Convert it to PNG or JPEG, or take it out of the dataset.', { file });
  }
  try {
    return await (format === 'png' ? decodePng(bytes) : decodeJpeg(bytes));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InputError(
      `unreadable image (${reason})`,
      'Copy the file anew, or take it out of the dataset.',
      { file },
      error instanceof Error ? { cause: error } : undefined,
    );
  }
}

function formatOf(bytes: Buffer): 'png' | 'jpeg' | undefined {
  if (bytes.subarray(0, 4).equals(Buffer.from([0x89, 0x50, 0x4e, 0x47]))) return 'png';
  if (bytes.subarray(0, 3).equals(Buffer.from([0xff, 0xd8, 0xff]))) return 'jpeg';
  return undefined;
}

// The decoders are loaded with the first image: most datasets have none.

async function decodePng(bytes: Buffer): Promise<Image> {
  const claimed = bytes.length >= 24 ? bytes.readUInt32BE(16) * bytes.readUInt32BE(20) : 0; // width and height stand first in the header
  if (claimed > MOST_PIXELS) throw new Error(`its header claims ${claimed} pixels`);
  const { PNG } = await import('pngjs');
  const { height, width, data } = PNG.sync.read(bytes); // data: [height, width, RGBA]
  const pixels = new Uint8Array(height * width * 3);
  for (let pixel = 0; pixel < height * width; pixel++) {
    const alpha = data[4 * pixel + 3];
    for (let channel = 0; channel < 3; channel++) pixels[3 * pixel + channel] = Math.round((data[4 * pixel + channel] * alpha) / 255);
  }
  return { height, width, channels: 3, pixels };
}

async function decodeJpeg(bytes: Buffer): Promise<Image> {
  const { default: sharp } = await import('sharp');
  const { data, info } = await sharp(bytes, { limitInputPixels: MOST_PIXELS, failOn: 'truncated' })
    .rotate()
    .toColourspace('srgb')
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { height: info.height, width: info.width, channels: info.channels === 1 ? 1 : 3, pixels: data };
}
