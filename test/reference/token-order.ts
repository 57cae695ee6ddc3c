import { randomWords } from '#src/random.js';

/** For each face its tokens by rising noise, [faces, tokens]; of equal noise the earlier first. */
export function randomOrder(indices: ArrayLike<number>, tokens: number, { seed = 1, epoch = 0, stream = 0 } = {}): Uint32Array {
  const quads = Math.ceil(tokens / 4);
  const orders = Array.from(indices).map((face) => {
    const noise = Array.from(
      { length: tokens },
      (_, token) => randomWords(seed, epoch, stream, (face * quads + Math.floor(token / 4)) >>> 0)[token % 4]!,
    );
    return [...noise.keys()].sort((a, b) => noise[a]! - noise[b]! || a - b);
  });
  return Uint32Array.from(orders.flat());
}

/** The inverse of each face's order. */
export function inverse(order: ArrayLike<number>, tokens: number): Uint32Array {
  const place = new Uint32Array(order.length);
  Array.from(order).forEach((token, i) => {
    place[Math.floor(i / tokens) * tokens + token] = i % tokens;
  });
  return place;
}

/** Rows of each face's tokens [rows, width] by the first `count` entries of its `index` [pitch]; zeros for an entry that is no row. */
export function takeTokens(
  input: ArrayLike<number>,
  index: ArrayLike<number>,
  { faces, rows, count, pitch, width }: { faces: number; rows: number; count: number; pitch: number; width: number },
): Float64Array {
  const output = new Float64Array(faces * count * width);
  for (let face = 0; face < faces; face++)
    for (let i = 0; i < count; i++) {
      const row = index[face * pitch + i]!;
      for (let column = 0; column < width && row < rows; column++)
        output[(face * count + i) * width + column] = input[(face * rows + row) * width + column]!;
    }
  return output;
}
