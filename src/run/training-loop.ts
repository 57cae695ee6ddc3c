import { NumericError, RunError } from '../errors.js';
import type { FaceSet } from '../faces/face-set.js';
import type { Gpu } from '../gpu/gpu.js';
import type { Schedule } from '../optim/schedule.js';
import type { Precision } from '../paradigms/student.js';
import { type Checkpoint, type CheckpointState, checkTensors, type Json, saveCheckpoint } from './checkpoint.js';
import { FaceStream } from './face-stream.js';
import { type Batch, type Learner, STEPS_IN_FLIGHT, type StepResult } from './learner.js';
import { Pace, type ProgressLine } from './progress.js';
import type { RunFolder } from './run-folder.js';

/** Steps between the lines of the log. */
const LOG_EVERY = 10;

/** How long a run is, and how often it is saved. */
export interface LoopOptions {
  batch: number;
  epochs: number;
  /** Stop after this many steps; 0: no limit. */
  steps: number;
  /** Steps between checkpoints; 0: at the end of each epoch. */
  checkpointEvery: number;
  precision?: Precision;
}

interface LoopParts {
  gpu: Gpu;
  learner: Learner;
  options: LoopOptions;
  schedule: Schedule;
  /** The training faces, and which of them the rows of the learner's lesson are. */
  faces: FaceSet;
  lessonFaces: Uint32Array;
  /** Whether they are read batch by batch. */
  isStreamed: boolean;
  /** The rows that an epoch visits, so many at least. */
  orderOf: (epoch: number, visits: number) => Uint32Array;
  folder: RunFolder;
  line: ProgressLine;
  /** When the start began whose time is told. */
  begunMs: number;
  /** What a checkpoint says of the run beside where it stands. */
  state: Pick<CheckpointState, 'model' | 'modelOptions' | 'classes' | 'seed'>;
}

/** What is found behind an epoch. */
export interface Validation {
  /** The more, the better. */
  score: number;
  /** For the log. */
  record: Json;
  /** For people, in a few words. */
  text: string;
}

/** What a run carries from step to step, and a checkpoint keeps; the rest follows from the options and the step. */
interface Standing {
  step: number;
  epoch: number;
  /** Sum of the losses of this epoch's steps so far. */
  lossSum: number;
  best: { score: number | null; epoch: number };
  seconds: number;
}

/** The steps of a run, in epochs with a validation behind each, with log, progress line and checkpoints. */
export class TrainingLoop {
  /** Seconds from the start to the end of the first step. */
  firstStepSeconds: number | undefined;
  private readonly standing: Standing = { step: 0, epoch: 0, lossSum: 0, best: { score: null, epoch: 0 }, seconds: 0 };
  private readonly pending: { batch: Batch; result: Promise<StepResult> }[] = [];
  private readonly stepsPerEpoch: number;
  private readonly totalSteps: number;
  private readonly pace = new Pace();
  private readonly hostMs: number[] = [];
  private readonly stream: FaceStream | undefined;
  private startedMs = performance.now();

  /** @throws RunError where the faces do not fill a batch */
  constructor(private readonly parts: LoopParts) {
    const { options, faces, lessonFaces, isStreamed } = parts;
    this.stream = isStreamed ? new FaceStream(faces, options.batch) : undefined;
    this.stepsPerEpoch = Math.floor(lessonFaces.length / options.batch);
    if (this.stepsPerEpoch === 0) {
      throw new RunError(`${lessonFaces.length} faces to learn from do not fill a batch of ${options.batch}`, 'Use a smaller --batch.', {
        field: '--batch',
      });
    }
    const planned = this.stepsPerEpoch * options.epochs;
    this.totalSteps = options.steps > 0 ? Math.min(options.steps, planned) : planned;
  }

  /** Goes on from a checkpoint. @throws RunError where it is that of another model */
  async resume(checkpoint: Checkpoint): Promise<void> {
    const { learner, folder } = this.parts;
    const found = await learner.read();
    for (const group of ['weights', 'optimizer', 'kept', 'average'] as const)
      checkTensors(folder.checkpointPath, checkpoint[group] ?? new Map(), found[group] ?? new Map());
    learner.write(checkpoint);
    const { standing, bestMetric } = checkpoint.state;
    const { best, ...rest } = standing as unknown as Standing;
    Object.assign(this.standing, rest, { best: { score: bestMetric ?? null, epoch: best.epoch } });
  }

  get steps(): number {
    return this.standing.step;
  }

  /** Of training and validation, also before a resumption. */
  get seconds(): number {
    return this.standing.seconds;
  }

  get bestEpoch(): number {
    return this.standing.best.epoch;
  }

  /** Median of the host's time for a step. */
  get hostMsPerStep(): number {
    return median(this.hostMs);
  }

  /**
   * Does the steps that are left.
   * @param validate is asked behind every epoch
   * @param follow is called then, before the checkpoint is saved
   * @throws NumericError where a loss or a gradient is not finite
   */
  async run(validate: () => Promise<Validation>, follow?: (epoch: number, improved: boolean) => Promise<void>): Promise<void> {
    const { standing } = this;
    const { folder, line } = this.parts;
    while (standing.step < this.totalSteps) {
      await this.epoch();
      const trainLoss = standing.lossSum / (standing.step - standing.epoch * this.stepsPerEpoch);
      const { score, record, text } = await validate();
      this.clock();
      const epoch = standing.epoch + 1;
      const improved = standing.best.score === null || score > standing.best.score;
      if (improved) standing.best = { score, epoch };
      if (standing.step === epoch * this.stepsPerEpoch) {
        standing.epoch = epoch;
        standing.lossSum = 0;
      }
      const { step, seconds } = standing;
      folder.log({ type: 'epoch', epoch, step, trainLoss, seconds, hostMs: median(this.hostMs), validation: record });
      line.end();
      const number = `${String(epoch).padStart(String(this.totalEpochs).length)}/${this.totalEpochs}`;
      line.print(`epoch ${number}  loss ${trainLoss.toFixed(4)}  validation: ${text}${improved ? '  best' : ''}`);
      await follow?.(epoch, improved);
      if (improved) await this.save(folder.bestPath);
      await this.save(folder.checkpointPath);
    }
  }

  private get totalEpochs(): number {
    return Math.ceil(this.totalSteps / this.stepsPerEpoch);
  }

  /** The steps of the current epoch that are still to do. */
  private async epoch(): Promise<void> {
    const { standing, stepsPerEpoch, totalSteps } = this;
    const { learner, folder, schedule, lessonFaces, orderOf } = this.parts;
    const { batch, checkpointEvery: every } = this.parts.options;
    const order = orderOf(standing.epoch, stepsPerEpoch * batch);
    const firstOf = (step: number) => (step - standing.epoch * stepsPerEpoch) * batch;
    const rowsOf = (step: number) => order.slice(firstOf(step), firstOf(step) + batch);
    const facesOf = (step: number) => rowsOf(step).map((row) => lessonFaces[row]);
    const end = Math.min(totalSteps, (standing.epoch + 1) * stepsPerEpoch);
    for (let step = standing.step; step < end; step++) {
      const begun = performance.now();
      const rows = rowsOf(step);
      const progress = { epoch: step / stepsPerEpoch, epochs: totalSteps / stepsPerEpoch };
      const learningRate = schedule({ step, epoch: progress.epoch, totalSteps, totalEpochs: progress.epochs });
      const pixels = await this.stream?.take(facesOf(step), step + 1 < end ? facesOf(step + 1) : undefined);
      const next: Batch = { step, epoch: standing.epoch, learningRate, progress, rows, pixels };
      const result = learner.step(next);
      result.catch(() => {}); // met in take(), unless the run fails before
      this.pending.push({ batch: next, result });
      this.hostMs.push(performance.now() - begun);
      if (this.pending.length === STEPS_IN_FLIGHT) await this.take();
      if (every > 0 && (step + 1) % every === 0 && step + 1 < end) {
        while (this.pending.length > 0) await this.take();
        this.clock();
        await this.save(folder.checkpointPath);
      }
    }
    while (this.pending.length > 0) await this.take();
  }

  /** Waits for the oldest step under way and books its result. */
  private async take(): Promise<void> {
    const { standing, totalSteps, stepsPerEpoch } = this;
    const { gpu, folder, line, options, begunMs } = this.parts;
    const { batch, result } = this.pending.shift()!;
    const { step, learningRate } = batch;
    const { loss, gradientNorm } = await gpu.wait(result);
    gpu.check();
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) throw await this.notFinite(batch, loss, gradientNorm);
    if (this.firstStepSeconds === undefined) {
      this.firstStepSeconds = (performance.now() - begunMs) / 1000;
      line.print(`first step done ${this.firstStepSeconds.toFixed(1)} s after the start`);
    }
    standing.step = step + 1;
    standing.lossSum += loss;
    const { perSecond, remainingSeconds } = this.pace.mark(standing.step, totalSteps);
    const facesPerSecond = perSecond && perSecond * options.batch;
    if (standing.step % LOG_EVERY === 0 || standing.step === 1)
      folder.log({ type: 'step', step: standing.step, epoch: step / stepsPerEpoch, loss, learningRate, facesPerSecond, gradientNorm });
    line.update({
      what: `epoch ${standing.epoch + 1}/${this.totalEpochs}`,
      done: standing.step,
      total: totalSteps,
      loss,
      learningRate,
      facesPerSecond,
      remainingSeconds,
    });
  }

  private async notFinite(batch: Batch, loss: number, gradientNorm: number): Promise<NumericError> {
    const { gpu, learner, faces, lessonFaces, options } = this.parts;
    await Promise.all(this.pending.map((other) => gpu.wait(other.result)));
    const launch = await learner.firstNonFinite(batch);
    const what = Number.isFinite(loss) ? `the gradient norm is ${gradientNorm}` : `the loss is ${loss}`;
    const shown = Array.from(batch.rows.subarray(0, 4), (row) => faces.ids[lessonFaces[row]]);
    const where = `step ${batch.step + 1}, epoch ${this.standing.epoch + 1}; first in ${launch ?? 'none of its launches when repeated'}; on the faces ${shown.join(', ')}, …`;
    return new NumericError(
      `${what} at ${where}`,
      `Lower --learning-rate or set --clip-norm, and go on from the last checkpoint with --resume${options.precision === 'f16' ? '; or start anew with --precision f32, for numbers beyond 65504' : ''}.`,
    );
  }

  /** Adds the time since the last call to that of the run. */
  private clock(): void {
    const now = performance.now();
    this.standing.seconds += (now - this.startedMs) / 1000;
    this.startedMs = now;
  }

  private async save(path: string): Promise<void> {
    const { standing } = this;
    const { learner, state } = this.parts;
    const { step, epoch, best } = standing;
    await saveCheckpoint(path, {
      ...(await learner.read()),
      state: {
        ...state,
        epoch,
        step,
        ...(best.score !== null && { bestMetric: best.score }),
        standing: { ...standing, best: { ...best } },
      },
    });
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}
