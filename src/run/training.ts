import { availableParallelism, homedir } from 'node:os';
import { join } from 'node:path';
import { NumericError, RunError, UsageError } from '../errors.js';
import type { Evaluation } from '../evaluation/metrics.js';
import { openDataset } from '../faces/dataset.js';
import { EXPRESSIONS } from '../faces/expressions.js';
import { type Dataset, type FaceSet, limitTraining } from '../faces/face-set.js';
import { openGpu } from '../gpu/dawn.js';
import type { Gpu } from '../gpu/gpu.js';
import { warmUp } from '../gpu/warm-up.js';
import { withWrongLabels } from '../labels/noise.js';
import { pluralities } from '../labels/votes.js';
import type { ModelName } from '../nn/models.js';
import { OPTIMIZER_DEFAULTS, type OptimizerOptions } from '../optim/optimizer.js';
import { parseSchedule, type Schedule } from '../optim/schedule.js';
import { type Constants, constantsOf, type Lesson, paradigms } from '../paradigms/index.js';
import { AUGMENTATIONS, type FaceExtent, mostResidentBytes } from '../tensor/ops/augment.js';
import { type CheckpointState, checkTensors, loadCheckpoint, saveCheckpoint } from './checkpoint.js';
import { FaceStream } from './face-stream.js';
import { judge, judgeWithoutCopies } from './judge.js';
import { type Batch, Learner, type LearnerOptions, STEPS_IN_FLIGHT, type StepResult } from './learner.js';
import { datasetOptions, modelOptions, requireOptionsOf, type TrainOptions, trainConfig } from './options.js';
import { Predictor } from './predictor.js';
import { Pace, type ProgressLine, showReading } from './progress.js';
import { type JsonObject, RunFolder } from './run-folder.js';
import { epochOrder } from './sampling.js';
import { loadTrainedModel } from './trained-model.js';

/** Devices that compile shaders at the same time, at most. */
const MOST_COMPILING = 4;
/** A start that takes longer shows what it is doing. */
const QUICK_START_MS = 1000;
/** Steps between the lines of the log. */
const LOG_EVERY = 10;

export interface TrainingResult {
  folder: RunFolder;
  dataset: Dataset;
  /** Of the epoch that was best on validation. */
  test: Evaluation;
  /** The same without the test faces that have an exact copy among the training faces, where there are any. */
  testWithoutCopies: Evaluation | undefined;
  validation: Evaluation;
  /** [test faces, classes] */
  testProbabilities: Float32Array;
  bestEpoch: number;
  seconds: number;
  /** The content of result.json: mark the run as done with it once its pictures are drawn. */
  record: JsonObject;
}

/** What a run carries from step to step, and a checkpoint keeps; the rest follows from the options and the step. */
interface Standing {
  step: number;
  epoch: number;
  /** Sum of the losses of this epoch's steps so far. */
  lossSum: number;
  best: { accuracy: number; epoch: number };
  seconds: number;
}

/**
 * Trains as `options` say, and leaves log, checkpoints and result in a run folder.
 * @param begunMs when the start began whose time is told: that of the process, unless it has done other things before
 */
export async function train(options: TrainOptions, line: ProgressLine, begunMs = 0): Promise<TrainingResult> {
  const constants = constantsOf(options.paradigm, options.set ?? '');
  const resumed = options.resume ? RunFolder.open(options.resume) : undefined;
  const checkpoint = resumed && (await loadCheckpoint(resumed.existingCheckpoint('last')));
  const gpu = await openGpu({ adapter: options.adapter, unsafe: options.unsafe, tuned: true });
  try {
    if (options.precision === 'f16') gpu.requireF16();
    const model = checkpoint ? (checkpoint.state.model as ModelName) : options.model === 'auto' ? defaultModel(gpu) : options.model;
    requireOptionsOf(model, options);
    const placeholder = paradigms[options.paradigm].lesson(placeholderFaces(options), {
      constants,
      seed: options.seed,
      teacher: options.teacher ? new Float32Array(options.batch * EXPRESSIONS.length).fill(1 / EXPRESSIONS.length) : undefined,
    });
    const compiling = compileAhead(gpu, learnerOptions(options, { model, constants, lesson: placeholder }), options, line);
    return await trainOn({ gpu, model, constants, options, line, begunMs }, compiling, resumed, checkpoint).finally(
      () => compiling.finish().catch(() => {}), // a process that ends while its driver compiles may crash on the way out
    );
  } finally {
    gpu.close();
  }
}

/** As many faces as a batch, to record a step before there are any. */
function placeholderFaces({ batch: count, size, channels }: TrainOptions): FaceSet {
  const classes = EXPRESSIONS.length;
  const votes = Float32Array.from({ length: count * classes }, (_, i) => (i % classes === Math.floor(i / classes) % classes ? 10 : 0));
  const extent = { height: size, width: size, channels };
  const labels = Uint8Array.from({ length: count }, (_, face) => face % classes);
  return {
    name: 'placeholder',
    classes: EXPRESSIONS,
    count,
    ...extent,
    pixels: new Uint8Array(0),
    voteNames: EXPRESSIONS,
    votes,
    ids: [],
    labels,
  };
}

async function trainOn(
  { gpu, model, constants, options, line, begunMs }: Omit<Setup, 'dataset' | 'taught' | 'lesson' | 'folder'>,
  compiling: Compiling,
  resumed: RunFolder | undefined,
  checkpoint: Awaited<ReturnType<typeof loadCheckpoint>> | undefined,
): Promise<TrainingResult> {
  const opened = await openDataset(options.data, {
    ...datasetOptions(options, showReading(line)),
    keepIn: join(homedir(), '.cache', 'moue', 'faces'),
  });
  line.end();
  const dataset = limitTraining(opened, options.limit);
  const paradigm = paradigms[options.paradigm];
  const teacher = options.teacher ? await distributionsOf(gpu, options.teacher.split(','), dataset, options.batch, line) : undefined;
  const taught = mistaken(dataset.train, options);
  const lesson = paradigm.lesson(taught, { constants, seed: options.seed, teacher });
  const folder =
    resumed ??
    (await RunFolder.create({
      out: options.out,
      paradigm: options.paradigm,
      model,
      seed: options.seed,
      config: trainConfig({ ...options, model }),
      adapter: gpu.adapter,
    }));
  if (resumed && checkpoint) await resumed.resume(checkpoint.state.step);
  const setup: Setup = { gpu, dataset, taught, lesson, constants, model, options, folder, line, begunMs };
  for (const note of dataset.notes) line.print(`  ${note}`);
  line.print(
    `${dataset.train.name}: learning from ${lesson.faces.length.toLocaleString('en-US')} of ${dataset.train.count.toLocaleString('en-US')} faces; ${model} on ${gpu.adapter.description || gpu.adapter.device}`,
  );
  await compiling.finish();
  const learner = await Learner.create(gpu, dataset.train.pixels, {
    ...learnerOptions(options, { model, constants, lesson }),
    streamed: isStreamed(gpu, options, dataset.train),
  });
  if (options.sampling === 'balanced' && learner.keepsFaces) {
    throw new UsageError(
      `${options.paradigm} keeps what it finds of each face, and balanced sampling may draw a face twice in a batch`,
      'Leave --sampling natural, or choose another --paradigm.',
      { field: '--sampling' },
    );
  }
  const { peakBytes, boundBytes } = learner.program.memory;
  const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
  line.print(
    `${learner.parameters.count().toLocaleString('en-US')} weights; ${learner.program.launches.length} launches a step in ${mebibytes(peakBytes)} MiB (at least ${mebibytes(boundBytes)})`,
  );
  if (isStreamed(gpu, options, dataset.train)) {
    line.print(`training faces of ${mebibytes(dataset.train.pixels.length)} MiB are streamed batch by batch`);
  }
  const standing: Standing = { step: 0, epoch: 0, lossSum: 0, best: { accuracy: -1, epoch: 0 }, seconds: 0 };
  if (checkpoint && resumed) {
    const found = await learner.read();
    for (const group of ['weights', 'optimizer', 'kept', 'average'] as const)
      checkTensors(resumed.checkpointPath, checkpoint[group] ?? new Map(), found[group] ?? new Map());
    learner.write(checkpoint);
    Object.assign(standing, checkpoint.state.standing);
  }
  const result = await new Training(setup, learner, standing).run();
  gpu.check();
  return result;
}

/** The training faces with a share of their annotations made wrong. */
function mistaken(faces: FaceSet, { wrongLabels: share, seed }: TrainOptions): FaceSet {
  if (share === 0) return faces;
  const { votes, exchanged } = withWrongLabels(faces.votes, {
    columns: faces.voteNames.length,
    classes: faces.classes.length,
    share,
    seed,
  });
  const labels = faces.labels?.map((label, face) => {
    const [right, other] = exchanged[face] ?? [label, label];
    return label === right ? other : label === other ? right : label;
  });
  return { ...faces, votes, ...(labels && { labels }) };
}

/** Mean of what the models of earlier runs say of the training faces, [faces, classes]. @throws UsageError for a run that tells other classes. */
async function distributionsOf(
  gpu: Gpu,
  runs: readonly string[],
  { train, classes }: Dataset,
  batch: number,
  line: ProgressLine,
): Promise<Float32Array> {
  const mean = new Float32Array(train.count * classes.length);
  for (const run of runs) {
    const model = await loadTrainedModel(gpu, run, 'best', batch);
    if (model.classes.join() !== classes.join()) {
      throw new UsageError(
        `${run} tells ${model.classes.join(', ')}; the data has ${classes.join(', ')}`,
        'Give runs on data with the same classes.',
        {
          field: '--teacher',
        },
      );
    }
    const probabilities = await model.predict(train, (done) => line.update({ what: `asking ${run}`, done, total: train.count }));
    await model.destroy();
    probabilities.forEach((share, i) => {
      mean[i] += share / runs.length;
    });
  }
  line.end();
  return mean;
}

/** `small` on a software adapter, `resnet18` on a GPU. */
function defaultModel(gpu: Gpu): ModelName {
  return gpu.adapter.isFallback ? 'small' : 'resnet18';
}

interface Setup {
  gpu: Gpu;
  dataset: Dataset;
  /** The training faces, with the annotations that are learned from. */
  taught: FaceSet;
  lesson: Lesson;
  constants: Constants;
  model: ModelName;
  options: TrainOptions;
  folder: RunFolder;
  line: ProgressLine;
  begunMs: number;
}

interface Compiling {
  finish(): Promise<void>;
}

/** Begins to compile the shaders of a step, which takes seconds where the driver has not kept them, while the faces are read. */
function compileAhead(gpu: Gpu, learner: LearnerOptions, { adapter, unsafe }: TrainOptions, line: ProgressLine): Compiling {
  let isAwaited = false;
  const compiled = warmUp(gpu, Learner.shaders(gpu, learner), {
    helpers: gpu.adapter.isFallback ? Math.min(availableParallelism(), MOST_COMPILING) - 1 : 0,
    openHelper: () => openGpu({ adapter, unsafe }),
    onProgress(done, total) {
      if (isAwaited && performance.now() > QUICK_START_MS) line.update({ what: 'compiling shaders', done, total });
    },
  });
  compiled.catch(() => {}); // met in finish(), unless reading the faces failed before
  return {
    async finish() {
      isAwaited = true;
      await compiled;
      line.end();
    },
  };
}

function learnerOptions(
  options: TrainOptions,
  { model, constants, lesson }: Pick<Setup, 'model' | 'constants' | 'lesson'>,
): LearnerOptions {
  const extent = { height: options.size, width: options.size, channels: options.channels };
  return {
    model,
    modelOptions: modelOptions(options, lesson.targets.length / lesson.faces.length),
    paradigm: paradigms[options.paradigm],
    constants,
    lesson,
    optimizer: optimizerOptions(options),
    layerDecay: options.layerDecay,
    ema: options.ema,
    batch: options.batch,
    seed: options.seed,
    source: extent,
    input: extent,
    augment: options.augment === 'none' ? undefined : AUGMENTATIONS[options.augment],
    recompute: options.recompute,
    precision: options.precision,
  };
}

/** Whether the training faces are more than may, or can, stay on the device. */
function isStreamed(gpu: Gpu, { facesMemory }: TrainOptions, faces: FaceSet): boolean {
  return faces.pixels.length > Math.min(facesMemory * 2 ** 20, mostResidentBytes(gpu, extentOf(faces)));
}

function extentOf({ height, width, channels }: FaceSet): FaceExtent {
  return { height, width, channels };
}

function optimizerOptions(options: TrainOptions): OptimizerOptions {
  const clip = options.clipNorm > 0 ? { clipNorm: options.clipNorm } : {};
  if (options.optimizer === 'adamw') return { ...OPTIMIZER_DEFAULTS.adamw, weightDecay: options.weightDecay, ...clip };
  return { ...OPTIMIZER_DEFAULTS.sgd, momentum: options.momentum, nesterov: options.nesterov, weightDecay: options.weightDecay, ...clip };
}

function scheduleOf(options: TrainOptions): Schedule {
  const { schedule: kind, learningRate: rate, warmupEpochs } = options;
  const milestones = [
    { epoch: options.epochs * 0.2, factor: 0.5 },
    { epoch: options.epochs * 0.4, factor: 0.1 },
  ]; // FER+'s epochs 20 and 40 of 100
  return parseSchedule({
    kind,
    rate,
    warmupEpochs,
    ...(kind === 'step' && { milestones }),
    ...(kind === 'exponential' && { factor: 0.9 }),
  });
}

class Training {
  private readonly pending: { batch: Batch; result: Promise<StepResult> }[] = [];
  private readonly schedule: Schedule;
  private readonly stepsPerEpoch: number;
  private readonly totalSteps: number;
  private readonly pace = new Pace();
  private readonly hostMs: number[] = [];
  /** The majority class of each face of the lesson. */
  private readonly pluralities: Int32Array;
  private readonly stream: FaceStream | undefined;
  private startedMs = performance.now();
  private firstStepSeconds: number | undefined;

  constructor(
    private readonly setup: Setup,
    private readonly learner: Learner,
    private readonly standing: Standing,
  ) {
    const { gpu, options, lesson, dataset, taught } = setup;
    const { votes, voteNames, classes } = taught;
    const most = pluralities(votes, voteNames.length, classes.length);
    this.pluralities = Int32Array.from(lesson.faces, (face) => most[face]);
    this.stream = isStreamed(gpu, options, dataset.train) ? new FaceStream(dataset.train, options.batch) : undefined;
    this.schedule = scheduleOf(options);
    this.stepsPerEpoch = Math.floor(lesson.faces.length / options.batch);
    if (this.stepsPerEpoch === 0) {
      throw new RunError(`${lesson.faces.length} faces to learn from do not fill a batch of ${options.batch}`, 'Use a smaller --batch.', {
        field: '--batch',
      });
    }
    const planned = this.stepsPerEpoch * options.epochs;
    this.totalSteps = options.steps > 0 ? Math.min(options.steps, planned) : planned;
  }

  async run(): Promise<TrainingResult> {
    const { setup, standing, learner } = this;
    const { gpu, dataset, folder, options, line, model } = setup;
    const predictor = (faces: FaceSet) =>
      Predictor.create(gpu, learner.average ?? learner.parameters, {
        model,
        modelOptions: modelOptions(options, dataset.classes.length),
        paradigm: paradigms[options.paradigm],
        batch: options.batch,
        source: extentOf(faces),
        input: { height: options.size, width: options.size, channels: options.channels },
      });
    let evaluator: Predictor | undefined;
    const evaluate = async (faces: FaceSet, what: string) => {
      evaluator ??= await predictor(faces);
      const probabilities = await evaluator.predict(faces, (done) => line.update({ what, done, total: faces.count }));
      return { probabilities, evaluation: judge(faces, probabilities) };
    };

    while (standing.step < this.totalSteps) {
      await this.epoch();
      const trainLoss = standing.lossSum / (standing.step - standing.epoch * this.stepsPerEpoch);
      const { evaluation: validation } = await evaluate(dataset.validation, 'validation');
      this.clock();
      const epoch = standing.epoch + 1;
      const improved = validation.accuracy > standing.best.accuracy;
      if (improved) standing.best = { accuracy: validation.accuracy, epoch };
      if (standing.step === epoch * this.stepsPerEpoch) {
        standing.epoch = epoch;
        standing.lossSum = 0;
      }
      folder.log({
        type: 'epoch',
        epoch,
        step: standing.step,
        trainLoss,
        seconds: standing.seconds,
        hostMs: median(this.hostMs),
        validation: validation as never,
      });
      line.end();
      line.print(epochLine(epoch, this.totalEpochs, trainLoss, validation, improved));
      if (improved) await this.save(folder.bestPath);
      await this.save(folder.checkpointPath);
    }

    const best = await loadCheckpoint(folder.existingCheckpoint('best'));
    learner.write(best);
    const { evaluation: validation } = await evaluate(dataset.validation, 'validation');
    const { evaluation: test, probabilities: testProbabilities } = await evaluate(dataset.test, 'test');
    const { withoutCopies: testWithoutCopies } = judgeWithoutCopies(dataset.test, testProbabilities, dataset.train);
    line.end();
    folder.log({ type: 'test', step: standing.step + 1, evaluation: test as never });
    const { peakBytes, boundBytes } = learner.program.memory;
    const record = {
      bestEpoch: standing.best.epoch,
      steps: standing.step,
      seconds: standing.seconds,
      firstStepSeconds: this.firstStepSeconds,
      hostMsPerStep: median(this.hostMs),
      memory: { stepPeakBytes: peakBytes, stepBoundBytes: boundBytes, totalPeakBytes: gpu.counters.peakBytes },
      validation,
      test,
      testWithoutCopies,
    };
    evaluator?.destroy();
    learner.destroy();
    const {
      best: { epoch: bestEpoch },
      seconds,
    } = standing;
    return { folder, dataset, test, testWithoutCopies, validation, testProbabilities, bestEpoch, seconds, record: record as never };
  }

  private get totalEpochs(): number {
    return Math.ceil(this.totalSteps / this.stepsPerEpoch);
  }

  /** The steps of the current epoch that are still to do. */
  private async epoch(): Promise<void> {
    const { setup, standing, learner, stepsPerEpoch, totalSteps } = this;
    const { lesson, options } = setup;
    const { batch, seed } = options;
    const order = epochOrder(options.sampling, this.pluralities, stepsPerEpoch * batch, seed, standing.epoch);
    const firstOf = (step: number) => (step - standing.epoch * stepsPerEpoch) * batch;
    const rowsOf = (step: number) => order.slice(firstOf(step), firstOf(step) + batch);
    const facesOf = (step: number) => rowsOf(step).map((row) => lesson.faces[row]);
    const end = Math.min(totalSteps, (standing.epoch + 1) * stepsPerEpoch);
    for (let step = standing.step; step < end; step++) {
      const begun = performance.now();
      const rows = rowsOf(step);
      const progress = { epoch: step / stepsPerEpoch, epochs: totalSteps / stepsPerEpoch };
      const learningRate = this.schedule({ step, epoch: progress.epoch, totalSteps, totalEpochs: progress.epochs });
      const pixels = await this.stream?.take(facesOf(step), step + 1 < end ? facesOf(step + 1) : undefined);
      const next: Batch = { step, epoch: standing.epoch, learningRate, progress, rows, pixels };
      const result = learner.step(next);
      result.catch(() => {}); // met in take(), unless the run fails before
      this.pending.push({ batch: next, result });
      this.hostMs.push(performance.now() - begun);
      if (this.pending.length === STEPS_IN_FLIGHT) await this.take();
      const every = options.checkpointEvery;
      if (every > 0 && (step + 1) % every === 0 && step + 1 < end) {
        while (this.pending.length > 0) await this.take();
        this.clock();
        await this.save(setup.folder.checkpointPath);
      }
    }
    while (this.pending.length > 0) await this.take();
  }

  /** Waits for the oldest step under way and books its result. */
  private async take(): Promise<void> {
    const { setup, standing, totalSteps, stepsPerEpoch } = this;
    const { batch, result } = this.pending.shift()!;
    const { step, learningRate } = batch;
    const { loss, gradientNorm } = await setup.gpu.wait(result);
    setup.gpu.check();
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
      await Promise.all(this.pending.map((other) => setup.gpu.wait(other.result)));
      const launch = await this.learner.firstNonFinite(batch);
      const what = Number.isFinite(loss) ? `the gradient norm is ${gradientNorm}` : `the loss is ${loss}`;
      const { ids } = setup.dataset.train;
      const where = `step ${step + 1}, epoch ${standing.epoch + 1}; first in ${launch ?? 'none of its launches when repeated'}; on the faces ${Array.from(batch.rows.subarray(0, 4), (row) => ids[setup.lesson.faces[row]]).join(', ')}, …`;
      throw new NumericError(
        `${what} at ${where}`,
        `Lower --learning-rate or set --clip-norm, and go on from the last checkpoint with --resume${setup.options.precision === 'f16' ? '; or start anew with --precision f32, for numbers beyond 65504' : ''}.`,
      );
    }
    if (this.firstStepSeconds === undefined) {
      this.firstStepSeconds = (performance.now() - setup.begunMs) / 1000;
      setup.line.print(`first step done ${this.firstStepSeconds.toFixed(1)} s after the start`);
    }
    standing.step = step + 1;
    standing.lossSum += loss;
    const { perSecond, remainingSeconds } = this.pace.mark(standing.step, totalSteps);
    const facesPerSecond = perSecond && perSecond * setup.options.batch;
    if (standing.step % LOG_EVERY === 0 || standing.step === 1) {
      setup.folder.log({
        type: 'step',
        step: standing.step,
        epoch: step / stepsPerEpoch,
        loss,
        learningRate,
        facesPerSecond,
        gradientNorm,
      });
    }
    setup.line.update({
      what: `epoch ${standing.epoch + 1}/${this.totalEpochs}`,
      done: standing.step,
      total: totalSteps,
      loss,
      learningRate,
      facesPerSecond,
      remainingSeconds,
    });
  }

  /** Adds the time since the last call to that of the run. */
  private clock(): void {
    const now = performance.now();
    this.standing.seconds += (now - this.startedMs) / 1000;
    this.startedMs = now;
  }

  private async save(path: string): Promise<void> {
    const { setup, standing, learner } = this;
    const { options, dataset, model } = setup;
    const state: CheckpointState = {
      model,
      modelOptions: { ...(modelOptions(options, dataset.classes.length) as object), size: options.size, channels: options.channels },
      classes: [...dataset.classes],
      seed: options.seed,
      epoch: standing.epoch,
      step: standing.step,
      bestMetric: standing.best.accuracy,
      standing: { ...standing, best: { ...standing.best } },
    };
    await saveCheckpoint(path, { ...(await learner.read()), state });
  }
}

function epochLine(epoch: number, epochs: number, trainLoss: number, validation: Evaluation, improved: boolean): string {
  const { accuracy, meanClassAccuracy, klToVotes, ece } = validation;
  const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
  return `epoch ${String(epoch).padStart(String(epochs).length)}/${epochs}  loss ${trainLoss.toFixed(4)}  validation: accuracy ${percent(accuracy)}, mean per class ${percent(meanClassAccuracy)}, KL to votes ${klToVotes.toFixed(3)}, ECE ${ece.toFixed(3)}${improved ? '  best' : ''}`;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}
