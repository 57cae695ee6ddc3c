/**
 * Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3").
 * Every number is a pure function of its counter and the seed, so nothing needs to be saved for a run to go on where it stopped.
 * shaders/lib/random.wgsl gives the same words.
 */

export type Words = [number, number, number, number];

/** Last word of the counter: keeps the uses of one seed apart. Kernels count in domain 0. */
const HOST = 1;
const PERMUTATION = 2;

/** Four random words, each a whole number in [0, 2^32). */
export function philox(counter: Readonly<Words>, key: readonly [number, number]): Words {
  let [a, b, c, d] = counter;
  let [k, l] = key;
  for (let round = 0; round < 10; round++) {
    const high = multiplyHigh(0xd2511f53, a);
    const low = Math.imul(0xd2511f53, a);
    a = multiplyHigh(0xcd9e8d57, c) ^ b ^ k;
    b = Math.imul(0xcd9e8d57, c);
    c = high ^ d ^ l;
    d = low;
    k = (k + 0x9e3779b9) | 0;
    l = (l + 0xbb67ae85) | 0;
  }
  return [a >>> 0, b >>> 0, c >>> 0, d >>> 0];
}

/** The words that `random_words` of lib/random.wgsl gives. */
export function randomWords(seed: number, step: number, stream: number, element: number): Words {
  return philox([element, step, stream, 0], [seed, 0]);
}

/**
 * A number in [0, 1), a multiple of 2^-32.
 * @param stream tells one use of a seed from the others; `index` and `subindex` count within it
 */
export function uniform(seed: number, stream: number, index: number, subindex = 0): number {
  return philox([index, subindex, stream, HOST], [seed, 0])[0] / 2 ** 32;
}

/** A number from the standard normal distribution (Box & Muller 1958); the arguments are those of `uniform`. */
export function normal(seed: number, stream: number, index: number, subindex = 0): number {
  const [radius, angle] = philox([index, subindex, stream, HOST], [seed, 0]);
  return Math.sqrt(-2 * Math.log((radius + 0.5) / 2 ** 32)) * Math.cos((angle / 2 ** 32) * 2 * Math.PI);
}

/** The numbers 0 … count − 1 in an order that is drawn anew for each epoch, and for each of several uses of a seed (Fisher & Yates). */
export function permutation(seed: number, epoch: number, count: number, use = 0): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let last = count - 1; last > 0; last--) {
    const pick = Math.floor((philox([last, epoch, use, PERMUTATION], [seed, 0])[0] / 2 ** 32) * (last + 1));
    const moved = order[pick];
    order[pick] = order[last];
    order[last] = moved;
  }
  return order;
}

/** The upper 32 bits of the product of two unsigned words; by halves, in whole numbers of 32 bits, which no sum here exceeds. */
function multiplyHigh(a: number, b: number): number {
  const [aLow, aHigh, bLow, bHigh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const middle = (Math.imul(aHigh, bLow) + (Math.imul(aLow, bLow) >>> 16)) | 0;
  const other = (Math.imul(aLow, bHigh) + (middle & 0xffff)) | 0;
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (other >>> 16)) | 0;
}
