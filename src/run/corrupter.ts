import { type FaceSet, pixelsOf } from '../faces/face-set.js';
import type { Gpu } from '../gpu/gpu.js';
import { type FaceExtent, gatherFaces } from '../tensor/ops/augment.js';
import { type CorruptionName, corruptFaces, packFaces, type Severity } from '../tensor/ops/corrupt.js';
import { Program } from '../tensor/program.js';
import { Tape } from '../tensor/tape.js';
import { persistentTensor, type Tensor } from '../tensor/tensor.js';

/** What is done to every face before a model sees it. */
export interface CorruptionSetting {
  name: CorruptionName;
  severity: Severity;
  /** Decides, with the face's index in its set, what is drawn. */
  seed: number;
}

/** What a predictor reads: bytes of a batch of faces as words, and the mean and deviation of each. */
export interface FaceInput {
  words: Tensor;
  statistics: Tensor;
}

/** Corrupts batches of 8-bit faces on the device, into the tensors that a predictor reads. */
export class Corrupter {
  private constructor(
    private readonly program: Program,
    private readonly raw: Tensor,
    private readonly numbers: Tensor,
    private readonly batch: number,
  ) {}

  static async create(gpu: Gpu, setting: CorruptionSetting, batch: number, source: FaceExtent, into: FaceInput): Promise<Corrupter> {
    const tape = new Tape(gpu);
    const raw = tape.input('raw', into.words.shape, 'u32');
    const numbers = tape.input('numbers', [batch], 'u32');
    const rows = tape.constant(
      'rows',
      [batch],
      Uint32Array.from({ length: batch }, (_, i) => i),
    );
    const faces = gatherFaces(tape, raw, rows, { source, output: source, normalise: { mean: 0, deviation: 1 / 255 } });
    packFaces(tape, corruptFaces(tape, faces, numbers, setting.name, setting.severity), into);
    const program = await Program.compile(gpu, tape);
    program.write(tape.step, Uint32Array.of(setting.seed, 0, 0, 0, 0, 0, 0, 0));
    return new Corrupter(program, raw, numbers, batch);
  }

  /** Queues the corruption of one batch: `words` hold its bytes, `first` is the index of its first face. */
  run(words: Uint32Array, first: number): void {
    this.program.write(this.raw, words);
    this.program.write(
      this.numbers,
      Uint32Array.from({ length: this.batch }, (_, i) => first + i),
    );
    this.program.run();
  }

  /** The bytes of one of the tensors written, after the work queued so far. */
  async read(tensor: Tensor): Promise<ArrayBuffer> {
    return (await this.program.read(tensor)).buffer as ArrayBuffer;
  }

  destroy(): void {
    this.program.destroy();
  }
}

/** One face under a corruption, as bytes [height, width, channels]. */
export async function corruptedFace(gpu: Gpu, faces: FaceSet, index: number, setting: CorruptionSetting): Promise<Uint8Array> {
  const pixels = pixelsOf(faces, index);
  const into = {
    words: persistentTensor('words', [Math.ceil(pixels.length / 4)], 'u32'),
    statistics: persistentTensor('statistics', [1, 2]),
  };
  const corrupter = await Corrupter.create(gpu, setting, 1, faces, into);
  try {
    const words = new Uint32Array(into.words.size);
    new Uint8Array(words.buffer).set(pixels);
    corrupter.run(words, index);
    return new Uint8Array(await corrupter.read(into.words)).subarray(0, pixels.length);
  } finally {
    corrupter.destroy();
    into.words.storage?.destroy(gpu);
    into.statistics.storage?.destroy(gpu);
  }
}
