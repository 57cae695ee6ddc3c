import { randomWords } from '#src/random.js';

/** One face in float64: `at(x, y, channel)` beyond its borders is its reflection. */
export interface ReferenceFace {
  height: number;
  width: number;
  channels: number;
  values: ArrayLike<number>;
}

/** Numbers in [0, 1) for one face, stream and element, as lib/random.wgsl draws them. */
export function draws(seed: number, number: number, stream: number, element: number): number[] {
  return randomWords(seed, number, stream, element).map((word) => Math.floor(word / 256) / 2 ** 24);
}

function at({ height, width, channels, values }: ReferenceFace, x: number, y: number, channel: number): number {
  return values[(reflected(y, height) * width + reflected(x, width)) * channels + channel];
}

/** … 1 0 | 0 1 … n-1 | n-1 n-2 … */
function reflected(index: number, count: number): number {
  const turn = ((index % (2 * count)) + 2 * count) % (2 * count);
  return turn < count ? turn : 2 * count - 1 - turn;
}

/** Bilinear at a point whose pixel centres lie at whole numbers. */
function sample(face: ReferenceFace, x: number, y: number, channel: number): number {
  const [left, top] = [Math.floor(x), Math.floor(y)];
  const [u, v] = [x - left, y - top];
  const row = (line: number) => (1 - u) * at(face, left, line, channel) + u * at(face, left + 1, line, channel);
  return (1 - v) * row(top) + v * row(top + 1);
}

/** A face whose values are `of` their place. */
function mapped(face: ReferenceFace, of: (x: number, y: number, channel: number, index: number) => number): Float64Array {
  const { width, channels } = face;
  return Float64Array.from(face.values, (_, i) => of(Math.floor(i / channels) % width, Math.floor(i / channels / width), i % channels, i));
}

function normal([u, v]: readonly number[]): number {
  return Math.sqrt(-2 * Math.log(1 - u!)) * Math.cos(2 * Math.PI * v! - Math.PI);
}

type Draw = (element: number) => number[];

export function gaussianNoise(face: ReferenceFace, deviation: number, draw: Draw): Float64Array {
  return mapped(face, (_x, _y, _c, i) => face.values[i] + 255 * deviation * normal(draw(i)));
}

export function speckleNoise(face: ReferenceFace, deviation: number, draw: Draw): Float64Array {
  return mapped(face, (_x, _y, _c, i) => face.values[i] * (1 + deviation * normal(draw(i))));
}

export function impulseNoise(face: ReferenceFace, share: number, draw: Draw): Float64Array {
  return mapped(face, (_x, _y, _c, i) => {
    const [hit, colour] = draw(i);
    if (hit! >= Math.fround(share)) return face.values[i];
    return colour! < 0.5 ? 0 : 255;
  });
}

/**
 * The sum of four Poisson numbers of a quarter of the rate, each the smallest k whose cumulated probability exceeds its draw. `shift` moves all draws: a
 * kernel that rounds may take a draw that lies just at a step of the cumulated probability for one on its other side.
 */
export function shotNoise(face: ReferenceFace, photons: number, draw: Draw, shift: number): Float64Array {
  return mapped(face, (_x, _y, _c, i) => {
    const rate = (photons * face.values[i]) / 255 / 4;
    const counts = draw(i).map((u) => {
      let [k, probability] = [0, Math.exp(-rate)];
      let cumulated = probability;
      while (cumulated <= u + shift && k < 200) {
        k++;
        probability *= rate / k;
        cumulated += probability;
      }
      return k;
    });
    return (255 * counts.reduce((sum, count) => sum + count)) / photons;
  });
}

/** Mean over the pixels, each weighed by the share of it that a disc covers, counted on a grid of 16 × 16 points. */
export function defocusBlur(face: ReferenceFace, radius: number): Float64Array {
  const reach = radius + 0.5;
  const grid = Array.from({ length: 16 }, (_, i) => (i + 0.5) / 16 - 0.5);
  const cover = (dx: number, dy: number) => {
    let points = 0;
    for (const u of grid) for (const v of grid) if (Math.hypot(dx + u, dy + v) <= reach) points++;
    return points;
  };
  return weighted(face, Math.ceil(reach), cover);
}

export function gaussianBlur(face: ReferenceFace, deviation: number): Float64Array {
  const reach = Math.max(1, Math.round(4 * deviation));
  return weighted(face, reach, (dx, dy) => Math.exp(-(dx * dx + dy * dy) / (2 * deviation * deviation)));
}

function weighted(face: ReferenceFace, reach: number, weight: (dx: number, dy: number) => number): Float64Array {
  const taps: [number, number, number][] = [];
  for (let dy = -reach; dy <= reach; dy++) for (let dx = -reach; dx <= reach; dx++) taps.push([dx, dy, weight(dx, dy)]);
  const total = taps.reduce((sum, [, , w]) => sum + w, 0);
  return mapped(face, (x, y, c) => taps.reduce((sum, [dx, dy, w]) => sum + w * at(face, x + dx, y + dy, c), 0) / total);
}

export function motionBlur(face: ReferenceFace, radius: number, deviation: number, draw: Draw): Float64Array {
  const angle = (Math.PI / 4) * (2 * draw(0)[1]! - 1);
  const weights = Array.from({ length: 2 * Math.ceil(radius) + 1 }, (_, i) => Math.exp(-(i * i) / (2 * deviation * deviation)));
  const total = weights.reduce((sum, w) => sum + w);
  return mapped(face, (x, y, c) =>
    weights.reduce((sum, w, i) => sum + (w / total) * sample(face, x + i * Math.cos(angle), y + i * Math.sin(angle), c), 0),
  );
}

/** Enlarged about the centre by each factor; the face itself counts once more than its factor of 1. */
export function zoomBlur(face: ReferenceFace, factors: readonly number[]): Float64Array {
  const centre = [(face.width - 1) / 2, (face.height - 1) / 2] as const;
  return mapped(face, (x, y, c, i) => {
    const zoomed = factors.map((f) => sample(face, centre[0] + (x - centre[0]) / f, centre[1] + (y - centre[1]) / f, c));
    return (face.values[i] + zoomed.reduce((sum, value) => sum + value)) / (factors.length + 1);
  });
}

export function rotation(face: ReferenceFace, degrees: number, draw: Draw): Float64Array {
  const angle = ((draw(0)[0]! < 0.5 ? degrees : -degrees) * Math.PI) / 180;
  const centre = [(face.width - 1) / 2, (face.height - 1) / 2] as const;
  return mapped(face, (x, y, c) => {
    const [dx, dy] = [x - centre[0], y - centre[1]];
    const turned = [Math.cos(angle) * dx - Math.sin(angle) * dy, Math.sin(angle) * dx + Math.cos(angle) * dy] as const;
    return sample(face, centre[0] + turned[0], centre[1] + turned[1], c);
  });
}

/** Through hue, saturation and value, of which the last is raised. */
export function brightness(face: ReferenceFace, amount: number): Float64Array {
  return mapped(face, (_x, _y, c, i) => {
    const colour = Array.from({ length: face.channels }, (_, channel) => face.values[i - c + channel]);
    const value = Math.max(...colour);
    const raised = Math.min(value + 255 * amount, 255);
    const saturation = value > 0 ? (value - colour[c]!) / value : 0; // of this channel: how far below the value it lies
    return raised * (1 - saturation);
  });
}

export function contrast(face: ReferenceFace, amount: number): Float64Array {
  const means = Array.from({ length: face.channels }, (_, channel) => {
    const values = Array.from(face.values).filter((_, i) => i % face.channels === channel);
    return values.reduce((sum, value) => sum + value) / values.length;
  });
  return mapped(face, (_x, _y, c, i) => means[c]! + amount * (face.values[i] - means[c]!));
}

export function darkness(face: ReferenceFace, gamma: number): Float64Array {
  return mapped(face, (_x, _y, _c, i) => 255 * (face.values[i] / 255) ** gamma);
}

export function fog(face: ReferenceFace, amount: number, decay: number, draw: Draw): Float64Array {
  const corners = Array.from({ length: 374 }, (_, block) => draw(block)).flat();
  let first = 0;
  const octaves = [2, 4, 8, 16, 32].map((cells) => {
    const grid = corners.slice(first, first + (cells + 1) ** 2);
    first += grid.length;
    return { cells, face: { height: cells + 1, width: cells + 1, channels: 1, values: grid } };
  });
  const heights = Array.from({ length: face.height * face.width }, (_, i) => {
    const [x, y] = [((i % face.width) + 0.5) / face.width, (Math.floor(i / face.width) + 0.5) / face.height];
    return octaves.reduce((sum, octave, k) => sum + sample(octave.face, x * octave.cells, y * octave.cells, 0) / decay ** k, 0);
  });
  const [low, high] = [Math.min(...heights), Math.max(...heights)];
  const top = Math.max(...Array.from(face.values)) / 255;
  return mapped(face, (x, y, _c, i) => {
    const height = high > low ? (heights[y * face.width + x]! - low) / (high - low) : 0;
    return (255 * (face.values[i] / 255 + amount * height) * top) / (top + amount);
  });
}

/** Cells take the pixels from round(j extent / cells) to round((j + 1) extent / cells). */
export function pixelate(face: ReferenceFace, share: number): Float64Array {
  const cellOf = (extent: number, index: number) => {
    const cells = Math.max(1, Math.floor(extent * share));
    const bounds = Array.from({ length: cells + 1 }, (_, j) => Math.round((j * extent) / cells));
    const cell = Math.floor(((index + 0.5) * cells) / extent + 1e-9);
    return Array.from({ length: bounds[cell + 1]! - bounds[cell]! }, (_, k) => bounds[cell]! + k);
  };
  return mapped(face, (x, y, c) => {
    const values = cellOf(face.height, y).flatMap((v) => cellOf(face.width, x).map((u) => at(face, u, v, c)));
    return values.reduce((sum, value) => sum + value) / values.length;
  });
}

export function occlusion(face: ReferenceFace, share: number, draw: Draw): Float64Array {
  const [width, height] = [Math.round(share * face.width), Math.round(share * face.height)];
  const left = Math.floor(draw(0)[0]! * (face.width - width + 1));
  const top = Math.floor(draw(0)[1]! * (face.height - height + 1));
  return mapped(face, (x, y, _c, i) => (x >= left && x < left + width && y >= top && y < top + height ? 128 : face.values[i]));
}

/** Annex K of ITU-T T.81 in the order of its zigzag scan, as files hold it. */
const ZIGZAG_LUMINANCE = [
  16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61, 60, 57, 51, 56, 55,
  64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
];
const ZIGZAG_CHROMINANCE = [17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66, ...Array<number>(50).fill(99)];

/** Place in the zigzag scan of the coefficient in `row`, `column`: diagonals in turn upwards and downwards. */
function zigzagPlace(row: number, column: number): number {
  const diagonal = row + column;
  const before = diagonal < 8 ? (diagonal * (diagonal + 1)) / 2 : 64 - ((15 - diagonal) * (16 - diagonal)) / 2;
  const along = diagonal % 2 === 0 ? column : row;
  return before + along - Math.max(0, diagonal - 7);
}

/**
 * What is left of a face after JPEG, by the definition of the transform with its double sums. Coefficients within `doubt` of a half are told by NaN in the
 * whole block: which way a kernel rounds them is not determined.
 */
export function jpeg(face: ReferenceFace, quality: number, doubt: number): Float64Array {
  const { height, width, channels } = face;
  const percent = quality < 50 ? Math.floor(5000 / quality) : 200 - 2 * quality;
  const result = new Float64Array(height * width * channels);
  const cosine = (u: number, x: number) => (u === 0 ? Math.SQRT1_2 : 1) * Math.cos(((2 * x + 1) * u * Math.PI) / 16);
  const indices = [0, 1, 2, 3, 4, 5, 6, 7];
  for (let top = 0; top < height; top += 8) {
    for (let left = 0; left < width; left += 8) {
      const planes = Array.from({ length: channels }, (_, plane) => {
        const table = plane === 0 ? ZIGZAG_LUMINANCE : ZIGZAG_CHROMINANCE;
        const block = indices.map((y) =>
          indices.map((x) => component(face, Math.min(left + x, width - 1), Math.min(top + y, height - 1), plane)),
        );
        const coefficients = indices.map((v) =>
          indices.map((u) => {
            let sum = 0;
            for (const y of indices) for (const x of indices) sum += block[y]![x]! * cosine(u, x) * cosine(v, y);
            const step = Math.min(255, Math.max(1, Math.floor((table[zigzagPlace(v, u)]! * percent + 50) / 100)));
            const level = sum / 4 / step;
            if (Math.abs(level - Math.floor(level) - 0.5) < doubt) return Number.NaN;
            return step * Math.round(level);
          }),
        );
        return indices.map((y) =>
          indices.map((x) => {
            let sum = 0;
            for (const v of indices) for (const u of indices) sum += coefficients[v]![u]! * cosine(u, x) * cosine(v, y);
            return sum / 4;
          }),
        );
      });
      for (let y = top; y < Math.min(top + 8, height); y++) {
        for (let x = left; x < Math.min(left + 8, width); x++) {
          const [luma, blue, red] = planes.map((plane) => plane[y - top]![x - left]!);
          const colour =
            channels === 1
              ? [luma!]
              : [luma! + 1.402 * red!, luma! - (0.114 * 1.772 * blue! + 0.299 * 1.402 * red!) / 0.587, luma! + 1.772 * blue!];
          colour.forEach((value, channel) => {
            result[(y * width + x) * channels + channel] = value + 128;
          });
        }
      }
    }
  }
  return result;
}

/** Y − 128, Cb or Cr of a pixel: Cb and Cr are the distances of blue and red from Y, scaled to ±127.5. */
function component(face: ReferenceFace, x: number, y: number, plane: number): number {
  if (face.channels === 1) return at(face, x, y, 0) - 128;
  const [red, green, blue] = [0, 1, 2].map((channel) => at(face, x, y, channel));
  const luma = 0.299 * red! + 0.587 * green! + 0.114 * blue!;
  return [luma - 128, (blue! - luma) / 1.772, (red! - luma) / 1.402][plane]!;
}
