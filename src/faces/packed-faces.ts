import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { availableParallelism, homedir } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { InputError } from '../errors.js';
import type { StoredPixels } from './face-set.js';
import type { Decoded, DecodedImages, ImageJob, WorkerData } from './image-worker.js';
import { FilePixels } from './stored-pixels.js';

export type { ImageJob } from './image-worker.js';

/** Counted up when the same images give other pixels, or the file another layout. */
const VERSION = 1;
/** Images that a thread decodes before it reports. */
const IMAGES_AT_ONCE = 32;
/** A thread takes a tenth of a second to start: it should have as much to do. */
const LEAST_IMAGES_PER_WORKER = 128;

/** An image that could not be read, by its index. */
export interface Failure {
  index: number;
  missing: boolean;
  message: string;
}

/** Images that were decoded once, and stay decoded. */
export interface PackedFaces {
  /** Indices of the images that could be read, ascending. */
  readable: number[];
  /** Their pixels, [readable, size, size, channels]. */
  pixels: StoredPixels;
  /** Of each of them; see `pixelDigest`. */
  digests: string[];
  failures: Failure[];
}

export interface PackOptions {
  /** What the images belong to: of one dataset one file is kept for each size. */
  dataset: string;
  size: number;
  channels: 1 | 3;
  onProgress?: ((done: number, total: number, what: string) => void) | undefined;
}

/** The folder of packed faces: `$MOUE_CACHE/images`, or `~/.cache/moue/images`. */
export function packedFacesFolder(): string {
  return path.join(process.env.MOUE_CACHE || path.join(homedir(), '.cache', 'moue'), 'images');
}

/**
 * The faces in some PNG and JPEG images, decoded by as many threads as the machine can run and kept in a file of this user. The file is
 * taken again as long as the images have the same names, sizes and times of change; one that is stale or damaged is made anew.
 * @throws InputError where no image at all can be read, or the file cannot be written
 */
export async function packFaces(jobs: readonly ImageJob[], options: PackOptions): Promise<PackedFaces> {
  const { dataset, size, channels } = options;
  const key = createHash('sha256').update(JSON.stringify([path.resolve(dataset), size, channels]));
  const file = path.join(packedFacesFolder(), `${path.basename(path.resolve(dataset))}-${key.digest('hex').slice(0, 16)}.faces`);
  const fingerprint = fingerprintOf(jobs, options);
  const known = openPacked(file, fingerprint, jobs.length * size * size * channels);
  const images = known?.images ?? (await pack(jobs, file, fingerprint, options));
  const descriptor = known?.descriptor ?? openSync(file, 'r');
  const readable = [...images.keys()].filter((index) => 'digest' in images[index]);
  const sums = images.map((image) => ('checksum' in image ? image.checksum : 0));
  return {
    readable,
    pixels: new FilePixels({ path: file, descriptor, faceBytes: size * size * channels, checksums: sums }, Uint32Array.from(readable)),
    digests: readable.map((index) => (images[index] as { digest: string }).digest),
    failures: images.flatMap((image, index) => ('message' in image ? [{ index, ...image }] : [])),
  };
}

/** `packFaces` of images every one of which has to be readable. @throws InputError that names one that is not, and how many there are */
export async function packAllFaces(jobs: readonly ImageJob[], options: PackOptions): Promise<Pick<PackedFaces, 'pixels' | 'digests'>> {
  const { pixels, digests, failures } = await packFaces(jobs, options);
  if (failures.length > 0) {
    const others = failures.length > 1 ? `; ${failures.length - 1} more of ${jobs.length} images cannot be read either` : '';
    throw new InputError(`${failures[0].message}${others}`, 'Copy the file anew, or take it out of the dataset.');
  }
  return { pixels, digests };
}

/** What the pixels follow from. */
function fingerprintOf(jobs: readonly ImageJob[], { size, channels }: PackOptions): string {
  const hash = createHash('sha256').update(JSON.stringify([VERSION, size, channels]));
  for (const { file, box } of jobs) {
    const entry = statSync(file, { throwIfNoEntry: false });
    hash.update(JSON.stringify([path.resolve(file), entry?.size, entry?.mtimeMs, box]));
  }
  return hash.digest('hex');
}

/**
 * A packed file is the pixels of all images, zeros for unreadable ones; then an Index as JSON; then a foot of fixed size, which a file that
 * was cut off has not: magic, length of the index, its SHA-256.
 */
interface Index {
  fingerprint: string;
  images: Decoded[];
}

const MAGIC = 'moue faces\n';
const LENGTH_DIGITS = 12;
const FOOT_BYTES = MAGIC.length + LENGTH_DIGITS + 64;

/** The packed file and what its index says; undefined where there is none, or one that is stale or damaged. */
function openPacked(file: string, fingerprint: string, pixelBytes: number): { descriptor: number; images: Decoded[] } | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch {
    return undefined;
  }
  const index = readIndex(descriptor, pixelBytes);
  if (index?.fingerprint === fingerprint) return { descriptor, images: index.images };
  closeSync(descriptor);
  return undefined;
}

function readIndex(descriptor: number, pixelBytes: number): Index | undefined {
  const bytes = fstatSync(descriptor).size;
  if (bytes < pixelBytes + FOOT_BYTES) return undefined;
  const foot = Buffer.alloc(FOOT_BYTES);
  readSync(descriptor, foot, 0, FOOT_BYTES, bytes - FOOT_BYTES);
  const text = foot.toString('latin1');
  const length = Number(text.slice(MAGIC.length, MAGIC.length + LENGTH_DIGITS));
  if (!text.startsWith(MAGIC) || pixelBytes + length + FOOT_BYTES !== bytes) return undefined;
  const index = Buffer.alloc(length);
  readSync(descriptor, index, 0, length, pixelBytes);
  if (sha256(index) !== text.slice(MAGIC.length + LENGTH_DIGITS)) return undefined;
  return JSON.parse(index.toString()) as Index;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

let packs = 0; // begun by this process

/** Decodes the images into a packed file, which appears at `file` when it is complete. */
async function pack(jobs: readonly ImageJob[], file: string, fingerprint: string, options: PackOptions): Promise<Decoded[]> {
  const partial = `${file}.${++packs}.${process.pid}.partial`; // the same images may be packed elsewhere at the same time
  try {
    await mkdir(path.dirname(file), { recursive: true });
    await removeAbandoned(file);
    const handle = await open(partial, 'w');
    let images: Decoded[];
    try {
      images = await decodeInto(handle, jobs, options);
      const failed = images.filter((image) => 'message' in image);
      if (failed.length === images.length) {
        throw new InputError(
          `none of the ${images.length} images can be read; the first: ${failed[0]?.message ?? 'there is none'}`,
          'Check that the images are unpacked where the dataset expects them.',
          { file: options.dataset },
        );
      }
      const index = Buffer.from(JSON.stringify({ fingerprint, images } satisfies Index));
      const foot = `${MAGIC}${String(index.length).padStart(LENGTH_DIGITS, '0')}${sha256(index)}`;
      const end = jobs.length * options.size * options.size * options.channels;
      await writeAll(handle, Buffer.concat([index, Buffer.from(foot, 'latin1')]), end);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(partial, file);
    return images;
  } catch (error) {
    await rm(partial, { force: true }).catch(() => {}); // the first failure is the one to report
    throw writingError(error, file);
  }
}

/** Removes what killed processes left of this file: it may be large. */
async function removeAbandoned(file: string): Promise<void> {
  const folder = path.dirname(file);
  for (const name of await readdir(folder)) {
    const writer = name.startsWith(`${path.basename(file)}.`) && /\.(\d+)\.partial$/.exec(name)?.[1];
    if (writer && !isRunning(Number(writer))) await rm(path.join(folder, name), { force: true });
  }
}

function isRunning(id: number): boolean {
  try {
    return process.kill(id, 0); // sends nothing
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function writingError(error: unknown, file: string): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (error instanceof InputError || syscall === undefined) return error;
  return new InputError(
    `the packed faces cannot be written (${code === 'ENOSPC' ? 'the disk is full' : code})`,
    `Make room in ${path.dirname(file)} and allow writing there, or name another folder by the environment variable MOUE_CACHE.`,
    { file },
    error instanceof Error ? { cause: error } : undefined,
  );
}

async function decodeInto(handle: FileHandle, jobs: readonly ImageJob[], options: PackOptions): Promise<Decoded[]> {
  const { size, channels, onProgress } = options;
  const images = new Array<Decoded>(jobs.length);
  const count = Math.min(availableParallelism(), Math.ceil(jobs.length / LEAST_IMAGES_PER_WORKER));
  const workerData: WorkerData = { size, channels };
  const workers = Array.from({ length: count }, () => new Worker(new URL('./image-worker.js', import.meta.url), { workerData }));
  let next = 0;
  let done = 0;
  const keepBusy = async (worker: Worker) => {
    while (next < jobs.length) {
      const first = next;
      next += IMAGES_AT_ONCE;
      const answer = once(worker, 'message'); // rejects where the thread fails
      worker.postMessage(jobs.slice(first, next));
      const [decoded] = (await answer) as [DecodedImages];
      await writeAll(handle, decoded.pixels, first * size * size * channels);
      decoded.images.forEach((image, i) => {
        images[first + i] = image;
      });
      done += decoded.images.length;
      onProgress?.(done, jobs.length, 'reading images');
    }
  };
  try {
    await Promise.all(workers.map(keepBusy));
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  return images;
}

/** The system may take fewer bytes than it is given. */
async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let start = 0; start < bytes.length; )
    start += (await handle.write(bytes, start, bytes.length - start, position + start)).bytesWritten;
}
