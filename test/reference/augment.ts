import { randomWords } from '#src/random.js';
import type { Augmentation, FaceExtent } from '#src/tensor/ops/augment.js';

/**
 * How one face is looked at: the source point of an output point, the rectangle that is erased, and the change of brightness and
 * contrast.
 */
interface View {
  source: (x: number, y: number) => [number, number];
  erased: (x: number, y: number) => boolean;
  contrast: number;
  brightness: number;
}

export interface Gather {
  /** Bytes [count, height, width, channels]. */
  pixels: Uint8Array;
  source: FaceExtent;
  output: FaceExtent;
  augment?: Augmentation;
  seed?: number;
  epoch?: number;
  stream?: number;
  /** [mean, deviation] of a face's pixels in 0…1. */
  statistics?: (face: number) => readonly [number, number];
}

/** Normalised, augmented faces in float64: [indices, height, width, channels]. */
export function gatherFaces(indices: ArrayLike<number>, given: Gather): Float64Array {
  const { source, output, statistics = () => [0.5, 0.25] } = given;
  const result: number[] = [];
  for (const face of Array.from(indices)) {
    const view = viewOf(face, given);
    const [mean, deviation] = statistics(face);
    for (let y = 0; y < output.height; y++) {
      for (let x = 0; x < output.width; x++) {
        const colour = Array.from({ length: source.channels }, (_, channel) => {
          const value = sample(given, face, channel, view.source(x + 0.5, y + 0.5)) / 255;
          return view.erased(x, y) ? 0 : ((value - mean) * view.contrast + view.brightness) / deviation;
        });
        if (source.channels === output.channels) result.push(...colour);
        else if (output.channels === 3) result.push(colour[0], colour[0], colour[0]);
        else result.push(0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]);
      }
    }
  }
  return Float64Array.from(result);
}

/** Points are in pixels, whose centres lie at halves. */
function viewOf(face: number, { source, output, augment, seed = 1, epoch = 0, stream = 0 }: Gather): View {
  const ratio = [source.width / output.width, source.height / output.height] as const;
  if (!augment) return { source: (x, y) => [x * ratio[0], y * ratio[1]], erased: () => false, contrast: 1, brightness: 0 };
  const draws = [0, 1, 2, 3].flatMap((block) =>
    randomWords(seed, epoch, stream, 4 * face + block).map((word) => Math.floor(word / 256) / 2 ** 24),
  );
  const unit = (i: number) => draws[i];
  const signed = (i: number) => 2 * unit(i) - 1;

  const mirror = unit(0) < augment.flip ? -1 : 1;
  const angle = (augment.rotation * signed(1) * Math.PI) / 180;
  const skew = [augment.skew * signed(2), augment.skew * signed(3)] as const;
  const shift = [augment.shift * signed(4) * output.width, augment.shift * signed(5) * output.height];
  const scale = [augment.scale ** signed(6), augment.scale ** signed(7)];
  if (augment.crop) {
    const part = 1 - (1 - augment.crop.least) * unit(6);
    const ratio = augment.crop.aspect ** signed(7);
    scale[0] = Math.min(1, Math.sqrt(part * ratio));
    scale[1] = Math.min(1, Math.sqrt(part / ratio));
    shift[0] = ((1 - scale[0]) / 2) * signed(4) * output.width;
    shift[1] = ((1 - scale[1]) / 2) * signed(5) * output.height;
  }

  const { probability, least, most } = augment.erasing;
  const area = output.width * output.height * (least + (most - least) * unit(9));
  const aspect = (10 / 3) ** signed(10);
  const width = Math.min(output.width, Math.round(Math.sqrt(area / aspect)));
  const height = Math.min(output.height, Math.round(Math.sqrt(area * aspect)));
  const left = Math.floor(unit(12) * (output.width - width + 1));
  const top = Math.floor(unit(13) * (output.height - height + 1));
  const erases = unit(8) < probability;

  return {
    source(outputX, outputY) {
      const mirrored = [(outputX - output.width / 2) * mirror, outputY - output.height / 2] as const;
      const scaled = [mirrored[0] * scale[0], mirrored[1] * scale[1]] as const;
      const skewed = [scaled[0] + skew[0] * scaled[1], scaled[1] + skew[1] * scaled[0]] as const;
      const x = Math.cos(angle) * skewed[0] - Math.sin(angle) * skewed[1];
      const y = Math.sin(angle) * skewed[0] + Math.cos(angle) * skewed[1];
      return [(x + shift[0]) * ratio[0] + source.width / 2, (y + shift[1]) * ratio[1] + source.height / 2];
    },
    erased: (x, y) => erases && x >= left && x < left + width && y >= top && y < top + height,
    contrast: 1 + augment.contrast * signed(14),
    brightness: augment.brightness * signed(15),
  };
}

/** Bilinear between the four nearest pixel centres, of which those beyond the border are reflections. */
function sample({ pixels, source }: Gather, face: number, channel: number, [x, y]: readonly [number, number]): number {
  const left = Math.floor(x - 0.5);
  const top = Math.floor(y - 0.5);
  let value = 0;
  for (const [column, shareX] of [
    [left, left + 1.5 - x],
    [left + 1, x - 0.5 - left],
  ] as const) {
    for (const [row, shareY] of [
      [top, top + 1.5 - y],
      [top + 1, y - 0.5 - top],
    ] as const) {
      const place =
        ((face * source.height + reflected(row, source.height)) * source.width + reflected(column, source.width)) * source.channels;
      value += shareX * shareY * pixels[place + channel];
    }
  }
  return value;
}

/** … 1 0 | 0 1 … n-1 | n-1 n-2 … */
function reflected(index: number, count: number): number {
  const turn = ((index % (2 * count)) + 2 * count) % (2 * count);
  return turn < count ? turn : 2 * count - 1 - turn;
}
