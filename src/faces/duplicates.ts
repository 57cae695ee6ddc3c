import { createHash } from 'node:crypto';
import { type FaceSet, pixelsOf } from './face-set.js';

/** A digest of every face's pixels: equal exactly where the faces are equal. */
export function pixelDigests(faces: FaceSet): string[] {
  return [...(faces.digests ?? Array.from({ length: faces.count }, (_, index) => pixelDigest(pixelsOf(faces, index))))];
}

/** A digest of one face's pixels. */
export function pixelDigest(pixels: Uint8Array): string {
  return createHash('sha1').update(pixels).digest('base64');
}

/**
 * Indices of the faces in `faces` of which an exact copy is among `others`, ascending. In FER2013 280 PublicTest and 288 PrivateTest faces
 * have one in Training: figures on a test split are worth giving with and without them.
 */
export function copiedFaces(faces: FaceSet, others: FaceSet): Uint32Array {
  const known = new Set(pixelDigests(others));
  return Uint32Array.from(pixelDigests(faces).flatMap((digest, index) => (known.has(digest) ? [index] : [])));
}
