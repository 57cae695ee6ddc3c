import type { Gpu } from '#src/gpu/gpu.js';
import { type ModelName, models } from '#src/nn/models.js';
import { Parameters } from '#src/nn/parameters.js';
import { OPTIMIZER_DEFAULTS, type OptimizerOptions, stepState } from '#src/optim/optimizer.js';
import type { Precision } from '#src/paradigms/student.js';
import { normal } from '#src/random.js';
import { recordBackward, recordUpdate } from '#src/run/learner.js';
import { cast, softmaxDivergence } from '#src/tensor/ops/index.js';
import { Program, Readback } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import { CLASSES, COMPARED_MODELS, type ComparedModel, comparedModel, FACE_SIZE, madeUpTargets, uniformNumbers } from './bench-models.js';

export type BenchModel = ComparedModel | ModelName;
export const BENCH_MODELS: BenchModel[] = [...COMPARED_MODELS, ...(Object.keys(models) as ModelName[])];
/** Without the transformers that are made for GPUs: they are timed when they are named. */
export const USUAL_MODELS = BENCH_MODELS.filter((model) => !model.startsWith('vit-'));
/** Faces of a step: few on a processor, as many as training takes on a GPU. */
const BATCHES: Record<'processor' | 'gpu', Record<BenchModel, number>> = {
  processor: { m1: 64, m2: 16, m3: 16, small: 64, vgg13: 32, resnet18: 32, vit: 64, 'vit-tiny': 32, 'vit-small': 16, 'vit-base': 8 },
  gpu: { m1: 256, m2: 128, m3: 128, small: 256, vgg13: 256, resnet18: 256, vit: 256, 'vit-tiny': 256, 'vit-small': 256, 'vit-base': 128 },
};

export function usualBatch(model: BenchModel, isFallback: boolean): number {
  return BATCHES[isFallback ? 'processor' : 'gpu'][model];
}

/** What --help says of them. */
export const USUAL_BATCHES = BENCH_MODELS.map((model) => `${model} ${usualBatch(model, true)} (GPU ${usualBatch(model, false)})`).join(
  ', ',
);

/** Results of steps that may be under way at once, as in training. */
export const IN_FLIGHT = 3;

/** A training step on one made-up batch, compiled. */
export interface BenchStep {
  /** Multiply-adds of convolutions and products, counted twice; of what a shorter algorithm computes, not of what it executes. */
  flops: number;
  parameters: number;
  /** Planned memory. */
  bytes: number;
  /** Queues one step; its loss arrives with the promise. */
  run(): Promise<number>;
  destroy(): void;
}

const OPTIMIZER: OptimizerOptions = { ...OPTIMIZER_DEFAULTS.adamw, epsilon: 1e-7, weightDecay: 0 };

/** What a step is of, but for the model and the number of faces. */
export interface StepOptions {
  precision?: Precision;
  /** Factor on the channels of every layer; the peers' models have one width, size and colour. */
  width?: number;
  /** Side of the faces in pixels. */
  size?: number;
  channels?: number;
}

/** Records a training step; nothing is allocated. */
export function recordBenchStep(
  gpu: Gpu,
  model: BenchModel,
  batch: number,
  { precision = 'f32', width = 1, size = FACE_SIZE, channels = 1 }: StepOptions = {},
) {
  const tape = new Tape(gpu, { training: true });
  const parameters = Parameters.create();
  const faces = tape.input('faces', [batch, size, size, channels]);
  const targets = tape.input('targets', [batch, CLASSES]);
  const x = cast(tape, faces, precision);
  const logits = isCompared(model)
    ? comparedModel(model, tape, parameters, x)
    : models[model]({ tape, parameters, path: '' }, x, { classes: CLASSES, width, dropout: model === 'vgg13' ? 0.5 : 0 });
  const { loss } = softmaxDivergence(tape, cast(tape, logits, 'f32'), targets, { kind: 'cross-entropy' });
  const lossScale = recordBackward(tape, loss, precision);
  const { state } = recordUpdate(tape, parameters, { ...OPTIMIZER, lossScale });
  return { tape, parameters, faces, targets, loss, state };
}

export async function benchStep(gpu: Gpu, model: BenchModel, batch: number, options: StepOptions = {}): Promise<BenchStep> {
  const { tape, parameters, faces, targets, loss, state } = recordBenchStep(gpu, model, batch, options);
  const program = await Program.compile(gpu, tape, { keep: [loss] });
  parameters.initialise(gpu, (stream, index) => normal(1, stream, index));
  program.write(faces, uniformNumbers(faces.size, 1, 3));
  program.write(targets, madeUpTargets(batch));
  const readback = new Readback(gpu, [loss], IN_FLIGHT);
  const words = new ArrayBuffer(32);
  const view = new DataView(words);
  let step = 0;
  return {
    flops: tape.launches.reduce((sum, launch) => sum + launch.flops, 0),
    parameters: parameters.count(),
    bytes: program.memory.peakBytes,
    async run() {
      const { biasCorrection1, biasCorrection2 } = stepState(OPTIMIZER, step);
      view.setUint32(4, step++, true);
      view.setFloat32(8, 1e-3, true);
      view.setFloat32(16, biasCorrection1, true);
      view.setFloat32(20, biasCorrection2, true);
      program.write(tape.step, words);
      return (await program.run(readback)!)[0][0];
    },
    destroy() {
      program.destroy();
      readback.destroy();
      parameters.destroy(gpu);
      for (const tensor of state.values()) tensor.storage?.destroy(gpu);
    },
  };
}

/** Whether the peers on WebGPU have it as well. */
export function isCompared(model: BenchModel): model is ComparedModel {
  return (COMPARED_MODELS as BenchModel[]).includes(model);
}
