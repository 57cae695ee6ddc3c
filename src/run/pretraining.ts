import { type Dataset, openDataset } from '../faces/dataset.js';
import { type FaceSet, limitTraining, selectFaces } from '../faces/face-set.js';
import { joinFaces } from '../faces/joined.js';
import { openGpu } from '../gpu/dawn.js';
import type { Gpu } from '../gpu/gpu.js';
import { placedPatches, reconstructionError } from '../nn/masked-autoencoder.js';
import type { ModelOptions } from '../nn/models.js';
import type { Parameters } from '../nn/parameters.js';
import { OPTIMIZER_DEFAULTS } from '../optim/optimizer.js';
import { parseSchedule } from '../optim/schedule.js';
import { hiddenPatchesOf, maskedImages } from '../paradigms/masked-images.js';
import { AUXILIARY, Student } from '../paradigms/student.js';
import { permutation } from '../random.js';
import { AUGMENTATIONS } from '../tensor/ops/augment.js';
import { type Checkpoint, loadCheckpoint, saveCheckpoint } from './checkpoint.js';
import { Learner, type LearnerOptions } from './learner.js';
import { datasetOptions, type PretrainOptions, pretrainConfig } from './options.js';
import { Predictor } from './predictor.js';
import { type ProgressLine, showReading } from './progress.js';
import { type Reconstruction, reconstructions } from './reconstruction.js';
import { type JsonObject, RunFolder } from './run-folder.js';
import { type Compiling, compileAhead, isStreamed, KEPT_FACES } from './training.js';
import { TrainingLoop } from './training-loop.js';

/** Faces of which a picture is drawn behind every epoch. */
const DRAWN = 8;

export interface PretrainingResult {
  folder: RunFolder;
  /** Mean squared error of the hidden patches of the validation faces, with the weights of `bestEpoch`. */
  loss: number;
  /** What it would be if each were told to be of one grey, wherever a patch has contrast. */
  blankLoss: number;
  bestEpoch: number;
  seconds: number;
  /** The content of result.json. */
  record: JsonObject;
}

/** Faces to draw: what was hidden of them, how they were completed, and what they are. */
export interface DrawnEpoch {
  folder: RunFolder;
  /** Of these faces. */
  extent: Pick<FaceSet, 'height' | 'width' | 'channels'>;
  faces: readonly Reconstruction[];
  epoch: number;
  loss: number;
  blankLoss: number;
}

interface Setup {
  gpu: Gpu;
  options: PretrainOptions;
  line: ProgressLine;
  draw: (epoch: DrawnEpoch) => Promise<void>;
  begunMs: number;
}

/**
 * Trains the encoder of a vision transformer as a masked autoencoder (He et al. 2022), and leaves log, checkpoints and the encoder's weights in a run folder.
 * @param draw is called behind every epoch
 * @param begunMs when the start began whose time is told
 */
export async function pretrain(
  options: PretrainOptions,
  line: ProgressLine,
  draw: (epoch: DrawnEpoch) => Promise<void>,
  begunMs = 0,
): Promise<PretrainingResult> {
  const resumed = options.resume ? RunFolder.open(options.resume) : undefined;
  const checkpoint = resumed && (await loadCheckpoint(resumed.existingCheckpoint('last')));
  const gpu = await openGpu({ adapter: options.adapter, unsafe: options.unsafe, tuned: true });
  try {
    const compiling = compileAhead(gpu, learnerOptions(options, options.batch), options, line);
    return await pretrainOn({ gpu, options, line, draw, begunMs }, compiling, resumed, checkpoint).finally(
      () => compiling.finish().catch(() => {}), // a process that ends while its driver compiles may crash on the way out
    );
  } finally {
    gpu.close();
  }
}

async function pretrainOn(
  setup: Setup,
  compiling: Compiling,
  resumed: RunFolder | undefined,
  checkpoint: Checkpoint | undefined,
): Promise<PretrainingResult> {
  const { gpu, options, line, begunMs } = setup;
  const { model, seed, size, channels } = options;
  const { train, validation, notes } = await openFaces(options, line);
  const folder =
    resumed ??
    (await RunFolder.create({
      out: options.out,
      paradigm: 'pretrain',
      model,
      seed,
      config: pretrainConfig(options),
      adapter: gpu.adapter,
    }));
  if (resumed && checkpoint) await resumed.resume(checkpoint.state.step);
  for (const note of notes) line.print(`  ${note}`);
  line.print(
    `${train.name}: learning from ${train.count.toLocaleString('en-US')} faces; ${model} on ${gpu.adapter.description || gpu.adapter.device}`,
  );
  await compiling.finish();
  const streamed = isStreamed(gpu, options, train);
  const learning = learnerOptions(options, train.count);
  const learner = await Learner.create(gpu, train.pixels, { ...learning, streamed });
  const encoderWeights = [...learner.parameters.entries].filter(([name]) => !name.startsWith(AUXILIARY));
  const inEncoder = encoderWeights.reduce((sum, [, { tensor }]) => sum + tensor.size, 0);
  const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
  line.print(
    `${learner.parameters.count().toLocaleString('en-US')} weights, ${inEncoder.toLocaleString('en-US')} of them in the encoder; ${learner.program.launches.length} launches a step in ${mebibytes(learner.program.memory.peakBytes)} MiB`,
  );
  if (streamed) line.print(`training faces of ${mebibytes(train.pixels.length)} MiB are streamed batch by batch`);
  const state = { model, modelOptions: { ...modelOptions(options), size, channels }, classes: [], seed };
  const loop = new TrainingLoop({
    ...{ gpu, learner, options, folder, line, begunMs, state },
    schedule: parseSchedule({ kind: 'cosine', rate: options.learningRate, warmupEpochs: options.warmupEpochs }),
    faces: train,
    lessonFaces: learning.lesson.faces,
    isStreamed: streamed,
    orderOf: (epoch) => permutation(seed, epoch, train.count),
  });
  if (checkpoint) await loop.resume(checkpoint);

  const judge = await Judge.create(gpu, learner.parameters, options, validation);
  const [patchPixels] = learner.parameters.entries.get('patches.weight')!.tensor.shape;
  const blankLoss = 1 - 1 / patchPixels;
  let loss = Number.NaN;
  await loop.run(
    async () => {
      loss = await judge.loss((done) => line.update({ what: 'validation', done, total: validation.count }));
      return { score: -loss, record: { loss }, text: `loss ${loss.toFixed(4)}` };
    },
    async (epoch, improved) => {
      const faces = await judge.reconstructions();
      await setup.draw({ folder, extent: { height: size, width: size, channels }, faces, epoch, loss, blankLoss });
      if (!improved) return;
      const weights = new Map([...(await learner.parameters.read(gpu))].filter(([name]) => !name.startsWith(AUXILIARY)));
      await saveCheckpoint(folder.encoderPath, {
        weights,
        optimizer: new Map(),
        kept: new Map(),
        state: { ...state, epoch, step: loop.steps, bestMetric: -loss },
      });
    },
  );

  learner.write(await loadCheckpoint(folder.existingCheckpoint('best')));
  loss = await judge.loss();
  const { bestEpoch, steps, seconds } = loop;
  const { peakBytes, boundBytes } = learner.program.memory;
  const record = {
    ...{ bestEpoch, steps, seconds, firstStepSeconds: loop.firstStepSeconds, hostMsPerStep: loop.hostMsPerStep },
    memory: { stepPeakBytes: peakBytes, stepBoundBytes: boundBytes, totalPeakBytes: gpu.counters.peakBytes },
    validation: { loss },
    blankLoss,
  };
  judge.destroy();
  learner.destroy();
  gpu.check();
  return { folder, loss, blankLoss, bestEpoch, seconds, record };
}

/** The training and validation faces of all datasets; those for testing stay unseen. */
async function openFaces(
  { data, limit, ...options }: PretrainOptions,
  line: ProgressLine,
): Promise<Pick<Dataset, 'train' | 'validation' | 'notes'>> {
  const opened: Dataset[] = [];
  for (const name of data.split(',')) {
    opened.push(await openDataset(name.trim(), { ...datasetOptions(options, showReading(line)), keepIn: KEPT_FACES }));
    line.end();
  }
  const joined = {
    train: joinFaces(opened.map(({ train }) => train)),
    validation: joinFaces(opened.map(({ validation }) => validation)),
    notes: opened.flatMap(({ notes }) => notes),
  };
  return limitTraining(joined, limit);
}

function modelOptions({ width, patch }: PretrainOptions): ModelOptions {
  return { classes: 1, width, dropout: 0, ...(patch > 0 && { patch }) };
}

function constantsOf({ mask, decoderDepth }: PretrainOptions): { hidden: number; decoderDepth: number } {
  return { hidden: mask, decoderDepth };
}

function learnerOptions(options: PretrainOptions, count: number): LearnerOptions {
  const { model, batch, seed, size, channels, weightDecay, clipNorm, recompute } = options;
  const extent = { height: size, width: size, channels };
  return {
    ...{ model, batch, seed, recompute, source: extent, input: extent },
    modelOptions: modelOptions(options),
    paradigm: maskedImages,
    constants: constantsOf(options),
    lesson: { faces: Uint32Array.from({ length: count }, (_, face) => face), targets: new Float32Array(count) },
    optimizer: { ...OPTIMIZER_DEFAULTS.adamw, beta2: 0.95, weightDecay, ...(clipNorm > 0 && { clipNorm }) },
    ema: 0,
    augment: AUGMENTATIONS.crop,
  };
}

/** What a masked autoencoder makes of faces that it does not learn from, of which it is the same patches that are hidden each time. */
class Judge {
  private constructor(
    private readonly error: Predictor,
    private readonly completing: Predictor,
    private readonly faces: FaceSet,
    private readonly drawn: FaceSet,
  ) {}

  static async create(gpu: Gpu, parameters: Parameters, options: PretrainOptions, faces: FaceSet): Promise<Judge> {
    const { size, channels, model } = options;
    const extent = { height: size, width: size, channels };
    const count = Math.min(DRAWN, faces.count);
    const drawn = selectFaces(
      faces,
      Array.from({ length: count }, (_, i) => Math.floor((i * faces.count) / count)),
    );
    const predictor = (batch: number, record: typeof placedPatches) =>
      Predictor.of(gpu, { batch, source: extent, input: extent }, (tape, x, numbers) => {
        const student = new Student({ tape, parameters, path: '' }, model, modelOptions(options));
        return record(tape, hiddenPatchesOf(student, x, numbers, constantsOf(options)));
      });
    return new Judge(await predictor(options.batch, reconstructionError), await predictor(count, placedPatches), faces, drawn);
  }

  /** Mean squared error of the hidden patches, all faces counting alike. */
  async loss(onProgress?: (done: number) => void): Promise<number> {
    const errors = await this.error.predict(this.faces, onProgress);
    return errors.reduce((sum, error) => sum + error, 0) / errors.length;
  }

  async reconstructions(): Promise<Reconstruction[]> {
    return reconstructions(this.drawn, await this.completing.predict(this.drawn));
  }

  destroy(): void {
    this.error.destroy();
    this.completing.destroy();
  }
}
