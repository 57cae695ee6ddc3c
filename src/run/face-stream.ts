import { type FaceSet, pixelsOf } from '../faces/face-set.js';
import { STEPS_IN_FLIGHT } from './learner.js';

/**
 * The pixels of one batch after another, each read while the steps before it run. A batch stays as it is until those behind it that may be under
 * way at once have been taken, so that a step can be repeated.
 */
export class FaceStream {
  private readonly buffers: Uint8Array[];
  private taken = 0;
  private ahead: { faces: Uint32Array; pixels: Promise<Uint8Array> } | undefined;

  /** @param batch most faces of a batch */
  constructor(
    private readonly faces: FaceSet,
    batch: number,
  ) {
    const { height, width, channels } = faces;
    const words = Math.ceil((batch * height * width * channels) / 4);
    // Those under way, the one that is given out and the one that is read ahead.
    this.buffers = Array.from({ length: STEPS_IN_FLIGHT + 2 }, () => new Uint8Array(4 * words));
  }

  /**
   * The pixels of a batch, filled up to whole words; and begins to read those of the next.
   * @throws InputError where the packed faces are damaged
   */
  async take(faces: Uint32Array, next: Uint32Array | undefined): Promise<Uint8Array> {
    const expected = this.ahead?.faces.every((face, i) => face === faces[i]) ? this.ahead.pixels : undefined;
    const pixels = await (expected ?? this.read(faces));
    this.ahead = next && { faces: next, pixels: this.read(next) };
    this.ahead?.pixels.catch(() => {}); // met when the batch is taken
    return pixels;
  }

  private async read(faces: Uint32Array): Promise<Uint8Array> {
    const buffer = this.buffers[this.taken++ % this.buffers.length];
    if (this.faces.pixels instanceof Uint8Array) {
      const { height, width, channels } = this.faces;
      faces.forEach((face, i) => {
        buffer.set(pixelsOf(this.faces, face), i * height * width * channels);
      });
    } else await this.faces.pixels.read(faces, buffer);
    return buffer;
  }
}
