/** Runs in a thread of its own: decodes the images that it is sent. */
import { parentPort, workerData } from 'node:worker_threads';
import sharp from 'sharp';
import { InputError } from '../errors.js';
import { pixelDigest } from './duplicates.js';
import { type Box, readImage } from './image.js';
import { checksum } from './stored-pixels.js';

/** An image to decode, and the part of it that shows the face; without one its middle is taken. */
export interface ImageJob {
  file: string;
  box?: Box;
}

/** How an image came out: its digest and checksum, or why it could not be read. */
export type Decoded = { digest: string; checksum: number } | { missing: boolean; message: string };

export interface DecodedImages {
  /** [jobs, size, size, channels]; zeros where an image could not be read. */
  pixels: Uint8Array;
  images: Decoded[];
}

export interface WorkerData {
  size: number;
  channels: 1 | 3;
}

sharp.concurrency(1); // there are as many of these threads as the machine can run
const { size, channels } = workerData as WorkerData;
const stride = size * size * channels;

parentPort!.on('message', async (jobs: ImageJob[]) => {
  const pixels = new Uint8Array(jobs.length * stride);
  const decode = async ({ file, box }: ImageJob, index: number): Promise<Decoded> => {
    try {
      const face = await readImage(file, size, channels, box);
      pixels.set(face, index * stride);
      return { digest: pixelDigest(face), checksum: checksum(face) };
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      const missing = (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
      return { missing, message: error.message };
    }
  };
  const images = await Promise.all(jobs.map(decode));
  parentPort!.postMessage({ pixels, images } satisfies DecodedImages, [pixels.buffer]);
});
