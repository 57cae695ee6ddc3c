import type { FaceSet } from '../faces/face-set.js';
import type { Gpu } from '../gpu/gpu.js';
import type { ModelName, ModelOptions } from '../nn/models.js';
import type { Parameters } from '../nn/parameters.js';
import { logitsOf, type Paradigm } from '../paradigms/index.js';
import { Student } from '../paradigms/student.js';
import { type FaceExtent, faceStatistics, gatherFaces } from '../tensor/ops/augment.js';
import { softmax } from '../tensor/ops/index.js';
import { Program, Readback } from '../tensor/program.js';
import { Tape } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { Corrupter, type CorruptionSetting } from './corrupter.js';
import { STEPS_IN_FLIGHT } from './learner.js';

export interface PredictorOptions {
  model: ModelName;
  modelOptions: ModelOptions;
  /** By whose rule faces are judged. */
  paradigm: Paradigm;
  batch: number;
  source: FaceExtent;
  input: FaceExtent;
}

/** A model in evaluation mode: faces in, probabilities out. Shares the parameters that it is given. */
export class Predictor {
  private readonly gpu: Gpu;
  private readonly program: Program;
  private readonly pixels: Tensor;
  private readonly statistics: Tensor;
  private readonly readback: Readback;
  private readonly options: PredictorOptions;

  private constructor(gpu: Gpu, program: Program, pixels: Tensor, statistics: Tensor, readback: Readback, options: PredictorOptions) {
    this.gpu = gpu;
    this.program = program;
    this.pixels = pixels;
    this.statistics = statistics;
    this.readback = readback;
    this.options = options;
  }

  static async create(gpu: Gpu, parameters: Parameters, options: PredictorOptions): Promise<Predictor> {
    const { batch, source, input } = options;
    const tape = new Tape(gpu);
    const pixels = tape.input('pixels', [Math.ceil((batch * source.height * source.width * source.channels) / 4)], 'u32');
    const indices = tape.constant(
      'indices',
      [batch],
      Uint32Array.from({ length: batch }, (_, i) => i),
    );
    const statistics = tape.input('statistics', [batch, 2]);
    const x = gatherFaces(tape, pixels, indices, { source, output: input, normalise: { statistics } });
    const logits = logitsOf(options.paradigm, new Student({ tape, parameters, path: '' }, options.model, options.modelOptions), x);
    const probabilities = softmax(tape, logits);
    const program = await Program.compile(gpu, tape, { keep: [probabilities] });
    return new Predictor(gpu, program, pixels, statistics, new Readback(gpu, [probabilities], STEPS_IN_FLIGHT), options);
  }

  /**
   * @param corruption what is done to the faces first; statistics for their normalisation are then those of the corrupted faces
   * @returns [faces.count, classes]
   */
  async predict(faces: FaceSet, onProgress?: (done: number) => void, corruption?: CorruptionSetting): Promise<Float32Array> {
    const { batch, source, modelOptions } = this.options;
    const { gpu, pixels, statistics } = this;
    const corrupter = corruption && (await Corrupter.create(gpu, corruption, batch, source, { words: pixels, statistics }));
    const probabilities = new Float32Array(faces.count * modelOptions.classes);
    const words = new Uint32Array(this.pixels.size);
    const bytes = new Uint8Array(words.buffer);
    const pending: { first: number; result: Promise<Float32Array[]> }[] = [];
    const take = async () => {
      const { first, result } = pending.shift()!;
      const [rows] = await this.gpu.wait(result);
      const count = Math.min(batch, faces.count - first);
      probabilities.set(rows.subarray(0, count * modelOptions.classes), first * modelOptions.classes);
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
      if (pending.length === STEPS_IN_FLIGHT) await take();
      pending.push({ first, result: this.program.run(this.readback)! });
    }
    while (pending.length > 0) await take();
    corrupter?.destroy();
    gpu.check();
    return probabilities;
  }

  destroy(): void {
    this.program.destroy();
    this.readback.destroy();
  }
}
