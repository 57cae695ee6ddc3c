import type { FaceSet } from '../faces/face-set.js';
import type { Gpu } from '../gpu/gpu.js';
import type { ModelName, ModelOptions } from '../nn/models.js';
import type { Parameters } from '../nn/parameters.js';
import { type Constants, logitsOf, type Paradigm } from '../paradigms/index.js';
import { Student } from '../paradigms/student.js';
import { type FaceExtent, faceStatistics, gatherFaces } from '../tensor/ops/augment.js';
import { softmax } from '../tensor/ops/index.js';
import { Program, Readback } from '../tensor/program.js';
import { Tape } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { Corrupter, type CorruptionSetting } from './corrupter.js';
import { STEPS_IN_FLIGHT } from './learner.js';

interface BatchOptions {
  batch: number;
  source: FaceExtent;
  input: FaceExtent;
}

export interface PredictorOptions extends BatchOptions {
  model: ModelName;
  modelOptions: ModelOptions;
  /** By whose rule faces are judged. */
  paradigm: Paradigm;
  constants: Constants;
}

/** A model in evaluation mode: faces in, a row of numbers for each out, such as probabilities. Shares the parameters that it is given. */
export class Predictor {
  private constructor(
    private readonly gpu: Gpu,
    private readonly program: Program,
    private readonly inputs: { pixels: Tensor; statistics: Tensor; numbers: Tensor },
    private readonly readback: Readback,
    private readonly options: BatchOptions,
  ) {}

  /** Of probabilities. */
  static create(gpu: Gpu, parameters: Parameters, options: PredictorOptions): Promise<Predictor> {
    const { paradigm, constants, model, modelOptions } = options;
    return Predictor.of(gpu, options, (tape, faces) =>
      softmax(tape, logitsOf(paradigm, constants, new Student({ tape, parameters, path: '' }, model, modelOptions), faces)),
    );
  }

  /** @param record makes [batch, …] of faces [batch, H, W, C] and their numbers in the set, u32 [batch] */
  static async of(
    gpu: Gpu,
    { batch, source, input }: BatchOptions,
    record: (tape: Tape, faces: Tensor, numbers: Tensor) => Tensor,
  ): Promise<Predictor> {
    const tape = new Tape(gpu);
    const pixels = tape.input('pixels', [Math.ceil((batch * source.height * source.width * source.channels) / 4)], 'u32');
    const indices = tape.constant(
      'indices',
      [batch],
      Uint32Array.from({ length: batch }, (_, i) => i),
    );
    const statistics = tape.input('statistics', [batch, 2]);
    const x = gatherFaces(tape, pixels, indices, { source, output: input, normalise: { statistics } });
    const numbers = tape.input('numbers', [batch], 'u32');
    const rows = record(tape, x, numbers);
    const program = await Program.compile(gpu, tape, { keep: [rows] });
    const readback = new Readback(gpu, [rows], STEPS_IN_FLIGHT);
    return new Predictor(gpu, program, { pixels, statistics, numbers }, readback, { batch, source, input });
  }

  /**
   * @param corruption what is done to the faces first; statistics for their normalisation are then those of the corrupted faces
   * @returns [faces.count, …]
   */
  async predict(faces: FaceSet, onProgress?: (done: number) => void, corruption?: CorruptionSetting): Promise<Float32Array> {
    const { batch, source } = this.options;
    const { gpu } = this;
    const { pixels, statistics, numbers } = this.inputs;
    const width = this.readback.tensors[0].size / batch;
    const corrupter = corruption && (await Corrupter.create(gpu, corruption, batch, source, { words: pixels, statistics }));
    const found = new Float32Array(faces.count * width);
    const words = new Uint32Array(pixels.size);
    const bytes = new Uint8Array(words.buffer);
    const pending: { first: number; result: Promise<Float32Array[]> }[] = [];
    const take = async () => {
      const { first, result } = pending.shift()!;
      const [rows] = await this.gpu.wait(result);
      const count = Math.min(batch, faces.count - first);
      found.set(rows.subarray(0, count * width), first * width);
      onProgress?.(first + count);
    };
    const perFace = faces.height * faces.width * faces.channels;
    for (let first = 0; first < faces.count; first += batch) {
      bytes.set(faces.pixels.subarray(first * perFace, Math.min(faces.count, first + batch) * perFace));
      if (corrupter) corrupter.run(words, first);
      else {
        this.program.write(pixels, words);
        this.program.write(statistics, faceStatistics(bytes.subarray(0, batch * perFace), batch));
      }
      this.program.write(
        numbers,
        Uint32Array.from({ length: batch }, (_, i) => first + i),
      );
      if (pending.length === STEPS_IN_FLIGHT) await take();
      pending.push({ first, result: this.program.run(this.readback)! });
    }
    while (pending.length > 0) await take();
    corrupter?.destroy();
    gpu.check();
    return found;
  }

  destroy(): void {
    this.program.destroy();
    this.readback.destroy();
  }
}
