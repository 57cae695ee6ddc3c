import { availableParallelism, homedir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../errors.js';
import type { Evaluation } from '../evaluation/metrics.js';
import { openDataset } from '../faces/dataset.js';
import { EXPRESSIONS } from '../faces/expressions.js';
import { type Dataset, type FaceSet, limitTraining } from '../faces/face-set.js';
import { openGpu } from '../gpu/dawn.js';
import type { Gpu } from '../gpu/gpu.js';
import { warmUp } from '../gpu/warm-up.js';
import { drawnPluralities } from '../labels/votes.js';
import type { ModelName } from '../nn/models.js';
import { OPTIMIZER_DEFAULTS, type OptimizerOptions } from '../optim/optimizer.js';
import { parseSchedule, type Schedule } from '../optim/schedule.js';
import { formatConstants } from '../paradigms/constants.js';
import { type Constants, constantsOf, type Findings, type Lesson, paradigms } from '../paradigms/index.js';
import { AUGMENTATIONS, type FaceExtent, mostResidentBytes } from '../tensor/ops/augment.js';
import { evaluatedWeights, loadCheckpoint } from './checkpoint.js';
import { judge, judgeWithoutCopies } from './judge.js';
import { Learner, type LearnerOptions } from './learner.js';
import { datasetOptions, modelOptions, requireOptionsOf, type TrainOptions, trainConfig } from './options.js';
import { Predictor } from './predictor.js';
import { firstWeights, readPretrained } from './pretrained.js';
import { type ProgressLine, showReading } from './progress.js';
import { type JsonObject, RunFolder } from './run-folder.js';
import { epochOrder } from './sampling.js';
import { taughtFaces } from './taught-faces.js';
import { loadTrainedModel } from './trained-model.js';
import { TrainingLoop } from './training-loop.js';

/** Where faces once read are kept as bytes. */
export const KEPT_FACES = join(homedir(), '.cache', 'moue', 'faces');
/** Devices that compile shaders at the same time, at most. */
const MOST_COMPILING = 4;
/** A start that takes longer shows what it is doing. */
const QUICK_START_MS = 1000;

export interface TrainingResult {
  folder: RunFolder;
  dataset: Dataset;
  /** Of the epoch that was best on validation. */
  test: Evaluation;
  /** The same without the test faces that have an exact copy among the training faces, where there are any. */
  testWithoutCopies: Evaluation | undefined;
  validation: Evaluation;
  /** What the paradigm tells of the weights that are tested. */
  findings: Findings | undefined;
  /** [test faces, classes] */
  testProbabilities: Float32Array;
  bestEpoch: number;
  seconds: number;
  /** The content of result.json: mark the run as done with it once its pictures are drawn. */
  record: JsonObject;
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
    const placeholder = paradigms[options.paradigm].lesson(taughtFaces(placeholderFaces(options), options), {
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
  const pretrained = options.from && !resumed ? await readPretrained(options.from) : undefined; // before the faces, which may take long
  const opened = await openDataset(options.data, {
    ...datasetOptions(options, showReading(line)),
    keepIn: KEPT_FACES,
  });
  line.end();
  const dataset = limitTraining(opened, options.limit);
  const paradigm = paradigms[options.paradigm];
  const teacher = options.teacher ? await distributionsOf(gpu, options.teacher.split(','), dataset, options.batch, line) : undefined;
  const taught = taughtFaces(dataset.train, options);
  const lesson = paradigm.lesson(taught, { constants, seed: options.seed, teacher });
  for (const note of dataset.notes) line.print(`  ${note}`);
  line.print(
    `${dataset.train.name}: learning from ${lesson.faces.length.toLocaleString('en-US')} of ${dataset.train.count.toLocaleString('en-US')} faces; ${model} on ${gpu.adapter.description || gpu.adapter.device}`,
  );
  // Side by side, because disks may take long.
  const [folder, learner] = await Promise.all([
    resumed ??
      RunFolder.create({
        out: options.out,
        paradigm: options.paradigm,
        model,
        seed: options.seed,
        // With all constants: defaults may be others by the time that the run is resumed or repeated.
        config: trainConfig({ ...options, model, set: formatConstants(constants) || undefined }),
        adapter: gpu.adapter,
      }),
    Learner.create(gpu, dataset.train.pixels, {
      ...learnerOptions(options, { model, constants, lesson }),
      streamed: isStreamed(gpu, options, dataset.train),
    }),
  ]);
  if (resumed && checkpoint) await resumed.resume(checkpoint.state.step);
  const setup: Setup = { gpu, dataset, taught, lesson, constants, model, options, folder, line, begunMs };
  await compiling.finish();
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
  if (pretrained) {
    const shapes = new Map([...learner.parameters.entries].map(([name, { tensor }]) => [name, tensor]));
    const { values, notes } = firstWeights(pretrained, model, shapes, dataset.classes);
    learner.begin(values);
    for (const note of notes) line.print(note);
  }
  const most = drawnPluralities(taught.votes, taught.voteNames.length, taught.classes.length, options.seed);
  const classes = Int32Array.from(lesson.faces, (face) => most[face]);
  const loop = new TrainingLoop({
    ...{ gpu, learner, options, folder, line, begunMs },
    schedule: scheduleOf(options),
    faces: dataset.train,
    lessonFaces: lesson.faces,
    isStreamed: isStreamed(gpu, options, dataset.train),
    orderOf: (epoch, visits) => epochOrder(options.sampling, classes, visits, options.seed, epoch),
    state: {
      model,
      modelOptions: { ...modelOptions(options, dataset.classes.length), size: options.size, channels: options.channels },
      classes: [...dataset.classes],
      seed: options.seed,
    },
  });
  if (checkpoint) await loop.resume(checkpoint);
  const result = await learnAndTest(setup, learner, loop);
  gpu.check();
  return result;
}

/** Does the steps of a run, then tests what was best on validation. */
async function learnAndTest(
  { gpu, dataset, folder, options, line, model, constants }: Setup,
  learner: Learner,
  loop: TrainingLoop,
): Promise<TrainingResult> {
  let evaluator: Predictor | undefined;
  const evaluate = async (faces: FaceSet, what: string) => {
    evaluator ??= await Predictor.create(gpu, learner.average ?? learner.parameters, {
      model,
      modelOptions: modelOptions(options, dataset.classes.length),
      paradigm: paradigms[options.paradigm],
      constants,
      batch: options.batch,
      source: extentOf(faces),
      input: { height: options.size, width: options.size, channels: options.channels },
    });
    const probabilities = await evaluator.predict(faces, (done) => line.update({ what, done, total: faces.count }));
    return { probabilities, evaluation: judge(faces, probabilities) };
  };
  await loop.run(async () => {
    const { evaluation } = await evaluate(dataset.validation, 'validation');
    return { score: evaluation.accuracy, record: evaluation as never, text: inWords(evaluation) };
  });

  const best = await loadCheckpoint(folder.existingCheckpoint('best'));
  learner.write(best);
  const { evaluation: validation } = await evaluate(dataset.validation, 'validation');
  const { evaluation: test, probabilities: testProbabilities } = await evaluate(dataset.test, 'test');
  const { withoutCopies: testWithoutCopies } = judgeWithoutCopies(dataset.test, testProbabilities, dataset.train);
  line.end();
  const { bestEpoch, steps, seconds } = loop;
  folder.log({ type: 'test', step: steps + 1, evaluation: test as never });
  const findings = paradigms[options.paradigm].findings?.(evaluatedWeights(best));
  const { peakBytes, boundBytes } = learner.program.memory;
  const record = {
    bestEpoch,
    steps,
    seconds,
    firstStepSeconds: loop.firstStepSeconds,
    hostMsPerStep: loop.hostMsPerStep,
    memory: { stepPeakBytes: peakBytes, stepBoundBytes: boundBytes, totalPeakBytes: gpu.counters.peakBytes },
    validation,
    test,
    testWithoutCopies,
    findings,
  };
  evaluator?.destroy();
  learner.destroy();
  return { folder, dataset, test, testWithoutCopies, validation, findings, testProbabilities, bestEpoch, seconds, record: record as never };
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
export function defaultModel(gpu: Gpu): ModelName {
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

export interface Compiling {
  finish(): Promise<void>;
}

/** Begins to compile the shaders of a step, which takes seconds where the driver has not kept them, while the faces are read. */
export function compileAhead(
  gpu: Gpu,
  learner: LearnerOptions,
  { adapter, unsafe }: Pick<TrainOptions, 'adapter' | 'unsafe'>,
  line: ProgressLine,
): Compiling {
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
export function isStreamed(gpu: Gpu, { facesMemory }: Pick<TrainOptions, 'facesMemory'>, faces: FaceSet): boolean {
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

/** What an epoch's line says of the validation faces. */
function inWords({ accuracy, meanClassAccuracy, klToVotes, ece }: Evaluation): string {
  const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
  return `accuracy ${percent(accuracy)}, mean per class ${percent(meanClassAccuracy)}, KL to votes ${klToVotes.toFixed(3)}, ECE ${ece.toFixed(3)}`;
}
