import type { Gpu } from '../gpu/gpu.js';
import type { Shader } from '../gpu/shader.js';
import type { ModelName, ModelOptions } from '../nn/models.js';
import { Parameters } from '../nn/parameters.js';
import { isVisionTransformer, layerOf, VISION_TRANSFORMERS } from '../nn/vision-transformer.js';
import { OPTIMIZER_STATE, type OptimizerOptions, recordEma, recordOptimizer, stepState } from '../optim/optimizer.js';
import type { Lesson, Paradigm } from '../paradigms/index.js';
import { type Precision, Student } from '../paradigms/student.js';
import { type KeptTensor, type LaterPart, type Progress, type ScheduledNumber, TrainingStep } from '../paradigms/training-step.js';
import { normal } from '../random.js';
import {
  type Augmentation,
  type Bytes,
  type FaceExtent,
  faceStatistics,
  gatherFaces,
  residentFaces,
  writeFaces,
} from '../tensor/ops/augment.js';
import { Program, Readback } from '../tensor/program.js';
import { Tape } from '../tensor/tape.js';
import { persistentTensor, type Tensor, writeTensor } from '../tensor/tensor.js';
import type { Checkpoint, NamedTensor } from './checkpoint.js';

/** By so much losses are multiplied before gradients are stored as f16, lest small ones vanish (Micikevicius et al. 2018, section 3.2). */
const LOSS_SCALE = 1024;

export interface LearnerOptions {
  model: ModelName;
  modelOptions: ModelOptions;
  paradigm: Paradigm;
  constants: Readonly<Record<string, number>>;
  lesson: Lesson;
  optimizer: OptimizerOptions;
  /** Of vision transformers: the learning rate of a layer is this times that of the layer behind it. Default 1. */
  layerDecay?: number;
  /** Default f32. */
  precision?: Precision;
  /** Decay of the averaged weights; 0 keeps none, unless the paradigm learns from them. */
  ema: number;
  batch: number;
  seed: number;
  source: FaceExtent;
  input: FaceExtent;
  augment: Augmentation | undefined;
  /** Take less memory by repeating cheap launches in the backward pass. Default: no. */
  recompute?: boolean;
  /** The faces do not stay on the device: each batch brings its own pixels. Default: they stay. */
  streamed?: boolean;
}

/** What a step is done on. */
export interface Batch {
  step: number;
  /** Counts augmentation, so that a face is seen differently in each. */
  epoch: number;
  learningRate: number;
  progress: Progress;
  /** Rows of the lesson, all different. */
  rows: Uint32Array;
  /** Those of the faces, [batch, height, width, channels], filled up to whole words; for a streamed learner only. */
  pixels?: Uint8Array | undefined;
}

/** What a step reports, some steps later. */
export interface StepResult {
  loss: number;
  gradientNorm: number;
}

/** How many steps may be queued: enough that the GPU never waits for the host, few enough that a result is fresh. */
export const STEPS_IN_FLIGHT = 3;

/** Decay of the weights that a paradigm learns from where `ema` gives none (Tarvainen & Valpola 2017). */
const TEACHER_DECAY = 0.999;

/** A model and its optimiser on the device, and the program of one training step. */
export class Learner {
  readonly parameters: Parameters;
  /** The averaged weights, where `ema` is not 0 or the paradigm learns from them. */
  readonly average: Parameters | undefined;
  readonly program: Program;
  private readonly gpu: Gpu;
  private readonly options: LearnerOptions;
  private readonly faces: readonly Tensor[];
  private readonly statistics: Tensor;
  private readonly indices: Tensor;
  private readonly rows: Tensor;
  private readonly kept: ReadonlyMap<string, KeptTensor>;
  private readonly scheduled: readonly ScheduledNumber[];
  private readonly later: readonly LaterPart[];
  private readonly tape: Tape;
  private readonly optimizerState: Map<string, Tensor>;
  private readonly readback: Readback;
  private readonly stepWords = new ArrayBuffer(32);
  private readonly stepView = new DataView(this.stepWords);

  private constructor(gpu: Gpu, options: LearnerOptions, parts: Pick<Learner, 'parameters' | 'average' | 'program'> & Parts) {
    this.gpu = gpu;
    this.options = options;
    this.parameters = parts.parameters;
    this.average = parts.average;
    this.program = parts.program;
    this.faces = parts.faces;
    this.statistics = parts.statistics;
    this.indices = parts.indices;
    this.rows = parts.rows;
    this.kept = parts.kept;
    this.scheduled = parts.scheduled;
    this.later = parts.later;
    this.tape = parts.tape;
    this.optimizerState = parts.optimizerState;
    this.readback = parts.readback;
  }

  /**
   * Builds the step and first weights; `pixels` are the training faces, 8 bits each, kept on the device unless they are streamed.
   * @throws DeviceError where they or the step do not fit.
   */
  static async create(gpu: Gpu, pixels: Bytes, options: LearnerOptions): Promise<Learner> {
    const { source, seed, batch, streamed = false } = options;
    const count = streamed ? batch : pixels.length / (source.height * source.width * source.channels);
    const faces = streamed ? [batchPixels(options)] : residentFaces(gpu, pixels.length, source);
    const { loss, norm, ...recorded } = recordStep(gpu, faces, count, options);
    const { tape, statistics, parameters, average, kept } = recorded;
    // While the device clears the memory of the step, the host writes what it begins with.
    const begin = async () => {
      if (!streamed) {
        writeFaces(gpu, faces, pixels, source);
        writeTensor(gpu, statistics, faceStatistics(pixels, count));
      }
      parameters.initialise(gpu, (stream, index) => normal(seed, stream, index), average);
      for (const { tensor, initial } of kept.values()) writeTensor(gpu, tensor, initial);
    };
    const keep = { keep: [loss, norm], recompute: options.recompute ?? false };
    const [program] = await Promise.all([Program.compile(gpu, tape, keep), begin()]);
    const readback = new Readback(gpu, [loss, norm], STEPS_IN_FLIGHT);
    return new Learner(gpu, options, { ...recorded, program, faces, readback });
  }

  /** The shaders of a step: they can be compiled before there are faces. */
  static shaders(gpu: Gpu, options: LearnerOptions): Shader[] {
    const faces = batchPixels(options); // never allocated
    const { launches } = recordStep(gpu, [faces], options.batch, options).tape;
    return launches.flatMap(({ shader, again }) => (options.recompute && typeof again === 'object' ? [shader, again.shader] : [shader]));
  }

  /** Whether the paradigm keeps a row for each face: then no face may be twice in a batch. */
  get keepsFaces(): boolean {
    const { length } = this.options.lesson.faces;
    return [...this.kept.values()].some(({ tensor }) => tensor.shape[0] === length);
  }

  /** Queues one step and returns its result as a promise; at most STEPS_IN_FLIGHT may be pending. */
  step(batch: Batch): Promise<StepResult> {
    this.writeBatch(batch);
    return this.program.run(this.readback)!.then(([loss, norm]) => ({ loss: loss[0], gradientNorm: norm[0] }));
  }

  private writeBatch({ step, epoch, learningRate, progress, rows, pixels }: Batch): void {
    const { optimizer, ema, seed, lesson, streamed, source, batch } = this.options;
    const { biasCorrection1, biasCorrection2, emaDecay } = stepState(optimizer, step, ema || TEACHER_DECAY);
    const view = this.stepView;
    view.setUint32(0, seed, true);
    view.setUint32(4, step, true);
    [learningRate, emaDecay, biasCorrection1, biasCorrection2].forEach((value, i) => {
      view.setFloat32(8 + 4 * i, value, true);
    });
    view.setUint32(24, epoch, true);
    this.program.write(this.tape.step, this.stepWords);
    this.program.write(
      this.indices,
      rows.map((row) => lesson.faces[row]),
    );
    this.program.write(this.rows, rows);
    for (const { tensor, at } of this.scheduled) this.program.write(tensor, Float32Array.of(at(progress)));
    for (const { gate, isDue } of this.later) gate.isOpen = isDue(progress);
    if (!streamed) return;
    if (!pixels) throw new TypeError('a streamed learner takes batches with their pixels');
    this.program.write(this.faces[0], new Uint32Array(pixels.buffer, pixels.byteOffset, this.faces[0].size));
    const bytes = pixels.subarray(0, batch * source.height * source.width * source.channels);
    this.program.write(this.statistics, faceStatistics(bytes, batch));
  }

  /**
   * Repeats a step whose loss or gradient was not finite, keeping every intermediate result, and returns the label of the first launch that wrote such a
   * number. The optimiser leaves the weights alone on such a step, so they are still those that led to it.
   */
  async firstNonFinite(batch: Batch): Promise<string | undefined> {
    const written = this.tape.launches.map((launch) => ({
      launch,
      tensors: launch.shader.tensors.filter(({ access }) => access === 'read_write').map(({ name }) => launch.tensors[name]),
    }));
    const program = await Program.compile(this.gpu, this.tape, { keep: written.flatMap(({ tensors }) => tensors) });
    try {
      this.writeBatch(batch);
      program.run();
      for (const { launch, tensors } of written) {
        for (const tensor of tensors.filter(({ dtype }) => dtype !== 'u32')) {
          const values = await program.read(tensor);
          if (!values.every(Number.isFinite)) return launch.label;
        }
      }
      return undefined;
    } finally {
      program.free();
    }
  }

  /** What the learner has become, by name, after the steps queued so far: what a checkpoint keeps of it. */
  async read(): Promise<LearnerState> {
    const optimizer = new Map<string, NamedTensor>();
    for (const [name, tensor] of this.optimizerState) {
      const flat = (await this.program.read(tensor)) as Float32Array;
      for (const [parameter, { tensor: weight, kind }] of this.parameters.entries) {
        if (kind === 'weight')
          optimizer.set(`${parameter}.${name}`, {
            shape: weight.shape,
            data: flat.subarray(weight.offset / 4, weight.offset / 4 + weight.size),
          });
      }
    }
    const kept = new Map<string, NamedTensor>();
    for (const [name, { tensor }] of this.kept) kept.set(name, { shape: tensor.shape, data: await this.program.read(tensor) });
    const weights = await this.parameters.read(this.gpu);
    return { weights, optimizer, kept, ...(this.average && { average: await this.average.read(this.gpu) }) };
  }

  /** Takes up what `read` returned. @throws RunError where names or shapes differ. */
  write({ weights, optimizer, kept, average }: LearnerState): void {
    this.parameters.write(this.gpu, weights);
    for (const [name, tensor] of this.optimizerState) {
      const flat = new Float32Array(tensor.size);
      for (const [parameter, { tensor: weight, kind }] of this.parameters.entries) {
        const stored = kind === 'weight' ? optimizer.get(`${parameter}.${name}`) : undefined;
        if (stored) flat.set(stored.data as Float32Array, weight.offset / 4);
      }
      this.program.write(tensor, flat);
    }
    for (const [name, { tensor }] of this.kept) {
      const stored = kept.get(name);
      if (stored) this.program.write(tensor, stored.data);
    }
    if (this.average && average) this.average.write(this.gpu, average);
  }

  /** Gives weights and buffers other first values by their names, and the average too; all others stay. */
  begin(values: ReadonlyMap<string, { data: Float32Array }>): void {
    this.parameters.writeSome(this.gpu, values);
    this.average?.writeSome(this.gpu, values);
  }

  destroy(): void {
    this.program.destroy();
    this.readback.destroy();
    this.parameters.destroy(this.gpu);
    this.average?.destroy(this.gpu);
    const kept = [...this.kept.values()].map(({ tensor }) => tensor);
    for (const tensor of [...this.faces, ...this.optimizerState.values(), ...kept]) tensor.storage?.destroy(this.gpu);
  }
}

/** Weights and buffers, optimiser state, what the paradigm keeps, and averaged weights, by name. */
export type LearnerState = Omit<Checkpoint, 'state'>;

interface Parts {
  faces: readonly Tensor[];
  statistics: Tensor;
  indices: Tensor;
  rows: Tensor;
  kept: ReadonlyMap<string, KeptTensor>;
  scheduled: readonly ScheduledNumber[];
  later: readonly LaterPart[];
  tape: Tape;
  optimizerState: Map<string, Tensor>;
  readback: Readback;
}

/** Room for the pixels of one batch. */
function batchPixels({ batch, source: { height, width, channels } }: LearnerOptions): Tensor {
  return persistentTensor('pixels', [Math.ceil((batch * height * width * channels) / 4)], 'u32');
}

/** Records a whole step on `count` faces: what it is done on, what it moves, and what it tells. Allocates nothing on the device. */
function recordStep(gpu: Gpu, faces: readonly Tensor[], count: number, options: LearnerOptions) {
  const { model, modelOptions, paradigm, constants, lesson, batch, source, input, augment, streamed = false, precision = 'f32' } = options;
  const tape = new Tape(gpu, { training: true });
  // Each face by its own mean and deviation: light and contrast of the photograph tell nothing of the expression.
  const statistics = tape.input('statistics', [count, 2]);
  const view = (indices: Tensor) =>
    gatherFaces(tape, faces, indices, { source, output: input, normalise: { statistics }, streamed, ...(augment && { augment }) });
  const parameters = Parameters.create();
  const student = new Student({ tape, parameters, path: '' }, model, modelOptions, precision);
  const step = new TrainingStep(tape, student, constants, { lesson, batch, parameters, view });
  const loss = paradigm.loss(step);
  const lossScale = recordBackward(tape, loss, precision);
  const kept = options.ema > 0 ? (step.average ?? 'new') : step.average;
  const {
    norm,
    state: optimizerState,
    average,
  } = recordUpdate(tape, parameters, { ...options.optimizer, lossScale }, kept, rateOf(options));
  step.recordAfterwards();
  const { indices, rows, kept: keptTensors, scheduled, later } = step;
  return { tape, statistics, indices, rows, kept: keptTensors, scheduled, later, parameters, average, optimizerState, loss, norm };
}

/** The factor on the learning rate of each weight. */
function rateOf({ model, layerDecay = 1 }: LearnerOptions): ((name: string) => number) | undefined {
  if (layerDecay === 1 || !isVisionTransformer(model)) return undefined;
  const sizes = VISION_TRANSFORMERS[model];
  return (name) => layerDecay ** (sizes.depth + 1 - layerOf(name, sizes));
}

/** Records the gradients of `loss`, multiplied by the number that is returned. */
export function recordBackward(tape: Tape, loss: Tensor, precision: Precision): number {
  if (precision === 'f32') {
    tape.backward(loss);
    return 1;
  }
  tape.backward(loss, tape.constant('loss_scale', loss.shape, Float32Array.of(LOSS_SCALE)));
  return LOSS_SCALE;
}

/**
 * Records optimiser and weight average behind `tape.backward`. Returns the gradient norm [1] and what is kept between steps.
 * @param kept the average to keep: a new one, that of a teacher, or none
 * @param rateOf a factor on the learning rate of each weight by its name; by default 1
 */
export function recordUpdate(
  tape: Tape,
  parameters: Parameters,
  optimizer: OptimizerOptions,
  kept?: Parameters | 'new',
  rateOf?: (name: string) => number,
): { norm: Tensor; state: Map<string, Tensor>; average: Parameters | undefined } {
  const flat = parameters.flat();
  const factors = parameters.groups(rateOf);
  const groups = tape.constant('groups', [factors.length / 2, 2], factors);
  const state = new Map(OPTIMIZER_STATE[optimizer.kind].map((name) => [name, persistentTensor(name, flat.shape)]));
  const norm = recordOptimizer(
    tape,
    { parameters: flat, gradients: parameters.flatGradients(), groups, state: [...state.values()] },
    optimizer,
  );
  if (!kept) return { norm, state, average: undefined };
  const average = kept === 'new' ? parameters.shadow() : kept;
  recordEma(tape, { parameters: flat, average: average.flat() });
  return { norm, state, average };
}
