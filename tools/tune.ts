/** Finds the fastest kernels for a model's products on the present adapter: `node dist/tools/tune.js --help`. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { DeviceError, UsageError } from '#src/errors.js';
import { openGpu, readTuning, tuningPath } from '#src/gpu/dawn.js';
import type { Gpu, Tuning } from '#src/gpu/gpu.js';
import { replaceFile } from '#src/run/atomic-file.js';
import { runCommand } from '#src/run/command.js';
import { completeOptions, grouped, type OptionsOf, parseArguments } from '#src/run/option-table.js';
import { ProgressLine } from '#src/run/progress.js';
import { CANDIDATES, type Choice, PRODUCTS } from '#src/tensor/ops/families.js';
import { Program } from '#src/tensor/program.js';
import { Tape, type Work } from '#src/tensor/tape.js';
import { persistentTensor, type Tensor, writeTensor } from '#src/tensor/tensor.js';
import { chosen } from './bench.js';
import { uniformNumbers } from './bench-models.js';
import { BENCH_MODELS, type BenchModel, recordBenchStep, USUAL_BATCHES, usualBatch } from './bench-step.js';
import { median } from './limits.js';

const OPTIONS = {
  ...grouped('What to tune for:', {
    model: {
      type: 'string',
      description: `Training steps, of ${BENCH_MODELS.join(', ')}, separated by commas`,
      default: 'small',
    },
    batch: { type: 'number', description: 'Faces per step', defaultText: USUAL_BATCHES, range: { integer: true, min: 1, max: 8192 } },
  }),
  ...grouped('How:', {
    budget: {
      type: 'number',
      description: 'Seconds after which no further kernel is tried; what takes most of the steps is tuned first',
      defaultText: 'none',
      range: { above: 0, max: 86_400 },
    },
    runs: { type: 'number', description: 'Runs of which the medians are taken', default: 5, range: { integer: true, min: 1, max: 1000 } },
    adapter: { type: 'string', description: "Part of the adapter's name, or 'software'", defaultText: 'the fastest found' },
  }),
} as const;
export type TuneOptions = OptionsOf<typeof OPTIONS>;

/** Rounding grows with the terms of a sum, and its order differs: relative to the root mean square of the results. */
const TOLERANCE = 1e-3;
/** A gain below this is noise: the default stays. */
const WORTHWHILE = 0.97;
/** A kernel that once took so many times as long as the best is not run again. */
const HOPELESS = 1.5;
/** A timing of less than this is repeated within one command buffer. */
const ENOUGH_MS = 5;
const MOST_REPEATS = 500;

/** One kernel tried for one kind of work. */
export interface Trial {
  kernel: string;
  choice: Choice | undefined;
  /** The median, or where it was so slow that it was not run again, the only time. */
  timeMs: number;
  /** Greatest difference from the default kernel's results, in their root mean squares. */
  error: number;
}

/** A kind of work and what was tried for it, the default first. */
export interface Tuned {
  name: string;
  trials: Trial[];
  best: Trial;
}

/** One product alone on made-up numbers, which every kernel gets alike. */
class Bench {
  private readonly gpu: Gpu;
  private readonly work: Work;
  /** The tensors that stand for those of the work. */
  private readonly standIns = new Map<Tensor, Tensor>();

  constructor(gpu: Gpu, work: Work) {
    this.gpu = gpu;
    this.work = work;
  }

  /** Records the product with the kernel that `tuning` asks for. */
  record(tuning: Tuning): Tape {
    const tape = new Tape(Object.create(this.gpu, { tuning: { value: tuning } }) as Gpu);
    this.work.again(tape, (tensor) => this.standIn(tensor));
    return tape;
  }

  private standIn(tensor: Tensor): Tensor {
    let made = this.standIns.get(tensor);
    if (!made) {
      made = persistentTensor(tensor.label, tensor.shape);
      if (tensor !== this.work.output) writeTensor(this.gpu, made, uniformNumbers(made.size, 1, this.standIns.size));
      this.standIns.set(tensor, made);
    }
    return made;
  }

  get output(): Tensor {
    return this.standIn(this.work.output);
  }

  destroy(): void {
    for (const { storage } of this.standIns.values()) storage?.destroy(this.gpu);
  }
}

/** The time in ms of all launches together, sums of splits included. */
async function timeOnce(program: Program): Promise<number> {
  return (await program.profile()).reduce((sum, { timeMs }) => sum + timeMs, 0);
}

/** Median time of a product; the launches come several times in a row where they are too short to be timed alone. */
async function timeOf(gpu: Gpu, tape: Tape, onceMs: number, runs: number): Promise<number> {
  const repeats = Math.min(MOST_REPEATS, Math.ceil(Math.max(1, ENOUGH_MS / onceMs)));
  tape.launches.push(...Array.from({ length: repeats - 1 }, () => [...tape.launches]).flat());
  const program = await Program.compile(gpu, tape);
  try {
    const times: number[] = [];
    for (let run = 0; run < runs; run++) times.push((await timeOnce(program)) / repeats);
    return median(times);
  } finally {
    program.free();
  }
}

interface TuneWorkOptions {
  runs?: number;
  /** Asked before each kernel but the default whether there is time left. */
  isOver?: () => boolean;
}

/** The greatest difference in root mean squares of `wanted`, or NaN where there is one. */
function errorOf(values: Float32Array, wanted: Float32Array): number {
  let worst = 0;
  let squares = 0;
  for (let i = 0; i < wanted.length; i++) {
    const difference = Math.abs(values[i] - wanted[i]);
    if (!(difference <= worst)) worst = difference;
    if (Number.isNaN(difference)) return Number.NaN;
    squares += wanted[i] ** 2;
  }
  return worst / (Math.sqrt(squares / wanted.length) || 1);
}

/** Whether a kernel computed something else than the default one: that is a defect of a driver or a kernel, and no choice. */
export function isWrong({ error }: Trial): boolean {
  return !(error <= TOLERANCE);
}

/**
 * Tries every kernel that the adapter can run; the best is among those whose results are the default's. One that is hopelessly slow is run no further,
 * and those that come down to the same kernel on this adapter or for these sizes count once.
 */
export async function tuneWork(
  gpu: Gpu,
  work: Work,
  candidates: readonly Choice[] = CANDIDATES,
  { runs = 5, isOver = () => false }: TuneWorkOptions = {},
): Promise<Tuned> {
  const bench = new Bench(gpu, work);
  const trials: Trial[] = [];
  let wanted: Float32Array | undefined;
  let bestMs = Infinity;
  try {
    for (const choice of [undefined, ...candidates]) {
      if (choice && isOver()) break;
      const tape = bench.record(choice ? { [work.name]: choice } : {});
      const kernel = tape.launches[0].shader.label;
      if (trials.some((trial) => trial.kernel === kernel)) continue;
      const program = await Program.compile(gpu, tape);
      try {
        await timeOnce(program); // drivers compile at the first run
        const values = (await program.read(bench.output)) as Float32Array;
        wanted ??= values;
        const trial = { kernel, choice, timeMs: await timeOnce(program), error: errorOf(values, wanted) };
        if (trial.timeMs <= HOPELESS * bestMs && !isWrong(trial)) {
          trial.timeMs = await timeOf(gpu, tape, trial.timeMs, runs);
          bestMs = Math.min(bestMs, trial.timeMs);
        }
        trials.push(trial);
      } finally {
        program.free();
      }
    }
  } finally {
    bench.destroy();
  }
  const fastest = trials.filter((trial) => !isWrong(trial)).reduce((best, trial) => (trial.timeMs < best.timeMs ? trial : best), trials[0]);
  return { name: work.name, trials, best: fastest.timeMs < WORTHWHILE * trials[0].timeMs ? fastest : trials[0] };
}

/** A kind of work in the steps that are tuned for. */
export interface Share {
  work: Work;
  /** Operations of all launches of this kind. */
  flops: number;
}

/** The different kinds of work of training steps, the one with most operations first: sizes of one class are tuned once, whatever the model. */
export function worksOf(gpu: Gpu, steps: readonly { model: BenchModel; batch: number }[]): Share[] {
  const shares = new Map<string, Share>();
  for (const { model, batch } of steps) {
    for (const { work, flops } of recordBenchStep(gpu, model, batch).tape.launches) {
      if (!work) continue;
      const share = shares.get(work.name);
      if (share) share.flops += flops;
      else shares.set(work.name, { work, flops });
    }
  }
  return [...shares.values()].sort((a, b) => b.flops - a.flops);
}

/** The entries that differ from the defaults; where the default is the fastest, an earlier entry goes. */
export function merge(earlier: Tuning, results: readonly Tuned[]): Tuning {
  const merged = { ...earlier };
  for (const { name, best } of results) {
    if (best.choice) merged[name] = { ...best.choice };
    else delete merged[name];
  }
  return merged;
}

function formatTuned({ name, trials, best }: Tuned): string {
  const lines = trials.map((trial) => {
    const gain = trials[0].timeMs / trial.timeMs;
    return `  ${trial === best ? '*' : isWrong(trial) ? '!' : ' '} ${trial.timeMs.toFixed(3).padStart(10)} ms ${gain.toFixed(2).padStart(6)}×  ${trial.kernel}`;
  });
  return [name, ...lines].join('\n');
}

async function main(args: string[]): Promise<void> {
  const commandLine = {
    command: 'tools/tune',
    usage: `Tries the kernels of ${PRODUCTS.join(', ')} on the sizes of training steps, and keeps the fastest for this user and adapter.`,
    positionals: '',
    table: OPTIONS,
  };
  const { given, positionals } = parseArguments(commandLine, args);
  if (positionals.length > 0)
    throw new UsageError('tune takes options only', 'Leave it out, or write it as an option.', { field: positionals[0] });
  const options = completeOptions(OPTIONS, given);
  const models = chosen('--model', options.model, BENCH_MODELS);
  const gpu = await openGpu({ adapter: options.adapter });
  const path = tuningPath(gpu.adapter);
  const earlier = readTuning(path);
  const steps = models.map((model) => ({ model, batch: options.batch ?? usualBatch(model, gpu.adapter.isFallback) }));
  const shares = worksOf(gpu, steps);
  const begun = performance.now();
  const isOver = () => options.budget !== undefined && performance.now() - begun > 1000 * options.budget;
  const progress = new ProgressLine();
  const results: Tuned[] = [];
  mkdirSync(dirname(path), { recursive: true });
  const total = shares.reduce((sum, { flops }) => sum + flops, 0);
  let done = 0;
  for (const [i, { work, flops }] of shares.entries()) {
    if (isOver()) break;
    const remainingSeconds = done > 0 ? ((performance.now() - begun) / 1000) * (total / done - 1) : undefined;
    progress.update({
      what: `${i + 1}/${shares.length} ${work.name}`,
      done,
      total,
      ...(remainingSeconds && {
        remainingSeconds: Math.min(remainingSeconds, (options.budget ?? Infinity) - (performance.now() - begun) / 1000),
      }),
    });
    const tuned = await tuneWork(gpu, work, CANDIDATES, { runs: options.runs, isOver });
    progress.print(formatTuned(tuned));
    results.push(tuned);
    done += flops;
    // Kept as it goes: what was found outlives an interruption.
    await replaceFile(path, [`${JSON.stringify(merge(earlier, results), null, 2)}\n`]);
  }
  progress.end();
  const rest = shares.length - results.length;
  const untried = rest > 0 ? `; ${rest} smaller kinds of work were not reached within the budget` : '';
  process.stdout.write(`* fastest, kept in ${path}${untried}\n`);
  const wrong = results.flatMap(({ name, trials }) =>
    trials.filter(isWrong).map(({ kernel, error }) => `${kernel} by ${error.toPrecision(2)} for ${name}`),
  );
  if (wrong.length === 0) return;
  throw new DeviceError(
    `kernels differ from the default ones, in root mean squares of the results: ${wrong.join('; ')}`,
    'A driver or a kernel is wrong, and these were left out: please report them with the name of the adapter.',
  );
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await runCommand(main);
