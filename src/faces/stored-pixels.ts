import { readSync, read as readWithCallback, rmSync } from 'node:fs';
import { promisify } from 'node:util';
import { InputError } from '../errors.js';
import type { StoredPixels } from './face-set.js';

const readAsync = promisify(readWithCallback);
/** The most that one call of the system reads. */
const MOST_BYTES = 1 << 30;

/** An open file of faces of equal size, one behind the other from its first byte on. */
export interface PixelFile {
  path: string;
  descriptor: number;
  /** Bytes of one face. */
  faceBytes: number;
  /** Of every face in the file, by `checksum`. */
  checksums: ArrayLike<number>;
}

/** Pixels in a file, checked whenever they are read: a damaged file is removed, so that it is made anew, and never trained on. */
export class FilePixels implements StoredPixels {
  /** @param slots which face of the file each of these is */
  constructor(
    private readonly file: PixelFile,
    private readonly slots: Uint32Array,
  ) {}

  get length(): number {
    return this.slots.length * this.file.faceBytes;
  }

  subarray(start: number, end: number): Uint8Array {
    const { faceBytes, descriptor } = this.file;
    const [first, last] = [start / faceBytes, Math.min(end, this.length) / faceBytes];
    if (!Number.isInteger(first) || !Number.isInteger(last)) throw new RangeError(`bytes ${start} to ${end} are no whole faces`);
    const slots = this.slots.subarray(first, last);
    const bytes = new Uint8Array(slots.length * faceBytes);
    const mostFaces = Math.max(1, Math.floor(MOST_BYTES / faceBytes));
    for (let run = 0, length: number; run < slots.length; run += length) {
      for (length = 1; slots[run + length] === slots[run] + length && length < mostFaces; ) length++;
      const read = readSync(descriptor, bytes, run * faceBytes, length * faceBytes, slots[run] * faceBytes);
      if (read !== length * faceBytes) throw this.damaged();
    }
    this.verify(slots, bytes);
    return bytes;
  }

  select(faces: readonly number[]): FilePixels {
    return new FilePixels(
      this.file,
      Uint32Array.from(faces, (face) => this.slots[face]),
    );
  }

  async read(faces: ArrayLike<number>, into: Uint8Array): Promise<void> {
    const { faceBytes, descriptor } = this.file;
    const slots = Uint32Array.from(faces, (face) => this.slots[face]);
    await Promise.all(
      Array.from(slots, async (slot, index) => {
        const { bytesRead } = await readAsync(descriptor, into, index * faceBytes, faceBytes, slot * faceBytes);
        if (bytesRead !== faceBytes) throw this.damaged();
      }),
    );
    this.verify(slots, into);
  }

  private verify(slots: Uint32Array, bytes: Uint8Array): void {
    const { faceBytes, checksums } = this.file;
    slots.forEach((slot, index) => {
      if (checksum(bytes.subarray(index * faceBytes, (index + 1) * faceBytes)) !== checksums[slot]) throw this.damaged();
    });
  }

  private damaged(): InputError {
    const { path } = this.file;
    rmSync(path, { force: true });
    return new InputError('the packed faces were damaged', 'They are removed: run the command again, and they are packed anew.', {
      file: path,
    });
  }
}

/** FNV-1a (Fowler, Noll & Vo) over words of four bytes instead of single ones, for speed; a last part of a word byte by byte. */
export function checksum(bytes: Uint8Array): number {
  const words = bytes.byteOffset % 4 === 0 ? new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2) : undefined;
  let sum = 0x811c9dc5;
  let at = 0;
  if (words) {
    for (let word = 0; word < words.length; word++) sum = Math.imul(sum ^ words[word], 0x01000193);
    at = words.length * 4;
  }
  const whole = bytes.length - (bytes.length % 4);
  for (; at < whole; at += 4) {
    const word = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
    sum = Math.imul(sum ^ word, 0x01000193);
  }
  for (; at < bytes.length; at++) sum = Math.imul(sum ^ bytes[at], 0x01000193);
  return sum >>> 0;
}
