import { type FaceSet, pixelsOf } from '../faces/face-set.js';
import { PATCH_EPSILON } from '../nn/masked-autoencoder.js';

/** Grey of hidden patches. */
const HIDDEN = 128;

/** One face as the encoder saw it, as the decoder completed it, and as it is: [height, width, channels], 8 bits each. */
export interface Reconstruction {
  masked: Uint8Array;
  completed: Uint8Array;
  original: Uint8Array;
}

/**
 * Pixels of what a masked autoencoder says of faces. A hidden patch has the mean and the deviation of the true one, which are not asked for; the others are shown as
 * they are.
 * @param placed [faces, patches, 1 + pixels], see `placedPatches`
 */
export function reconstructions(faces: FaceSet, placed: Float32Array): Reconstruction[] {
  const { count, width, channels } = faces;
  const perFace = placed.length / count;
  const facePixels = faces.height * width * channels;
  const patches = perFace - facePixels; // one number more for each
  const columns = Math.sqrt(patches);
  const side = width / columns;
  return Array.from({ length: count }, (_, face) => {
    const original = Uint8Array.from(pixelsOf(faces, face));
    const [masked, completed] = [original.slice(), original.slice()];
    const faceVariance = varianceOf(original, 0);
    for (let patch = 0; patch < patches; patch++) {
      const said = placed.subarray(face * perFace + patch * (1 + facePixels / patches)).subarray(0, 1 + facePixels / patches);
      if (said[0] === 0) continue;
      const corner = (Math.floor(patch / columns) * side * width + (patch % columns) * side) * channels;
      const places = Array.from({ length: facePixels / patches }, (_, i) => {
        const row = Math.floor(i / (side * channels));
        return corner + row * width * channels + (i % (side * channels));
      });
      const values = places.map((place) => original[place]);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const deviation = Math.sqrt(varianceOf(values, 1) + PATCH_EPSILON * Math.max(1, faceVariance));
      places.forEach((place, i) => {
        masked[place] = HIDDEN;
        completed[place] = Math.round(Math.min(255, Math.max(0, mean + deviation * said[1 + i])));
      });
    }
    return { masked, completed, original };
  });
}

/** @param less 1 for the unbiased variance */
function varianceOf(values: ArrayLike<number>, less: 0 | 1): number {
  const all = Array.from(values);
  const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
  return all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (all.length - less);
}
