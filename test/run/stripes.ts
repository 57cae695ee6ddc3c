import { normal, uniform } from '#src/random.js';

/** Pictures of one of four kinds, and which: what a learner that works can be seen to learn. */
export interface Stripes {
  /** [count, SIDE, SIDE], 8-bit grey. */
  pixels: Uint8Array;
  /** [count] the direction of the stripe. */
  labels: Uint8Array;
}

export const SIDE = 16;

/** Normals of stripes that lie, stand, rise and fall. */
const NORMALS = [
  [0, 1],
  [1, 0],
  [Math.SQRT1_2, Math.SQRT1_2],
  [Math.SQRT1_2, -Math.SQRT1_2],
] as const;
export const DIRECTIONS = NORMALS.length;

/**
 * A stripe of one of four directions, lighter or darker than the grey noise around it, somewhere near the middle. Since it is as often lighter as
 * darker, every pixel has the same distribution whatever the direction: no linear function of the pixels tells the kinds apart.
 */
export function drawStripes(count: number, seed: number): Stripes {
  let drawn = 0;
  const between = (low: number, high: number) => low + (high - low) * uniform(seed, 0, drawn++);
  const pixels = new Uint8Array(count * SIDE * SIDE);
  const labels = Uint8Array.from({ length: count }, (_, i) => i % DIRECTIONS);
  for (let i = 0; i < count; i++) {
    const [nx, ny] = NORMALS[labels[i]];
    const place = between(-4, 4);
    const contrast = between(40, 80) * (between(-1, 1) < 0 ? -1 : 1);
    for (let y = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++) {
        const distance = Math.abs((x - SIDE / 2 + 0.5) * nx + (y - SIDE / 2 + 0.5) * ny - place);
        const stripe = contrast * Math.max(0, 1.5 - distance);
        pixels[(i * SIDE + y) * SIDE + x] = Math.max(0, Math.min(255, Math.round(128 + stripe + 20 * normal(seed, 0, drawn++))));
      }
    }
  }
  return { pixels, labels };
}
