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
import { FACE_SIZE, uniformNumbers } from './bench-models.js';
import { BENCH_MODELS, type BenchModel, isCompared, recordBenchStep, type StepOptions, USUAL_BATCHES, usualBatch } from './bench-step.js';
import { median } from './limits.js';
import { type Element, sampleOf } from './oracle.js';

const OPTIONS = {
  ...grouped('What to tune for:', {
    model: {
      type: 'string',
      description: `Training steps, of ${BENCH_MODELS.join(', ')}, separated by commas`,
      default: 'small',
    },
    batch: { type: 'number', description: 'Faces per step', defaultText: USUAL_BATCHES, range: { integer: true, min: 1, max: 8192 } },
    size: { type: 'number', description: 'Side of the faces in pixels', default: FACE_SIZE, range: { integer: true, min: 16, max: 512 } },
    channels: { type: 'number', description: '1: grey, 3: RGB', choices: [1, 3], default: 1 },
    width: { type: 'number', description: 'Factor on the channels of every layer', default: 1, range: { above: 0, max: 16 } },
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

/**
 * Of the absolute values of a sum's terms: 64 roundings, in any order and for sums of any length, since the terms' signs are random. Outer products stay
 * below 4, the transforms of winograd.ts below 20; one term of average size left out of 100,000 comes to 168.
 */
const TOLERANCE = 2 ** -18;
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
  /** Greatest difference of a sampled element from its definition in float64, relative to the absolute values of its terms. NaN where one is. */
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
  /** The tensors that stand for those of the work, with their values but for the output. */
  private readonly standIns = new Map<Tensor, { tensor: Tensor; values: Float32Array }>();

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

  private standIn(original: Tensor): Tensor {
    return this.madeUp(original).tensor;
  }

  private madeUp(original: Tensor): { tensor: Tensor; values: Float32Array } {
    let made = this.standIns.get(original);
    if (!made) {
      const tensor = persistentTensor(original.label, original.shape);
      const isOutput = original === this.work.output;
      const values = isOutput ? new Float32Array(tensor.size).fill(Number.NaN) : uniformNumbers(tensor.size, 1, this.standIns.size);
      writeTensor(this.gpu, tensor, values);
      made = { tensor, values };
      this.standIns.set(original, made);
    }
    return made;
  }

  /** Elements of the output by definition. */
  sample(): Element[] {
    return sampleOf(this.work.definition, (tensor) => this.madeUp(tensor).values);
  }

  /** Forgets what the kernel before has written, which may have been right where the next writes nothing. */
  clearOutput(): void {
    const { tensor, values } = this.madeUp(this.work.output);
    writeTensor(this.gpu, tensor, values);
  }

  get output(): Tensor {
    return this.standIn(this.work.output);
  }

  destroy(): void {
    for (const { tensor } of this.standIns.values()) tensor.storage?.destroy(this.gpu);
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

function errorOf(values: ArrayLike<number>, sample: readonly Element[]): number {
  return Math.max(...sample.map(({ at, value, size }) => Math.abs(values[at] - value) / (size || 1)));
}

/** Whether a kernel computed something else than it should: that is a defect of a driver or a kernel, and no choice. */
export function isWrong({ error }: Trial): boolean {
  return !(error <= TOLERANCE);
}

/**
 * Tries every kernel that the adapter can run; the best is among those whose results are right, and the default where none are. One that is hopelessly
 * slow is run no further, and those that come down to the same kernel on this adapter or for these sizes count once.
 */
export async function tuneWork(
  gpu: Gpu,
  work: Work,
  candidates: readonly Choice[] = CANDIDATES,
  { runs = 5, isOver = () => false }: TuneWorkOptions = {},
): Promise<Tuned> {
  const bench = new Bench(gpu, work);
  const trials: Trial[] = [];
  let bestMs = Infinity;
  try {
    let sample: Element[] | undefined;
    for (const choice of [undefined, ...candidates]) {
      if (choice && isOver()) break;
      const tape = bench.record(choice ? { [work.name]: choice } : {});
      const kernel = tape.launches[0].shader.label;
      if (trials.some((trial) => trial.kernel === kernel)) continue;
      const program = await Program.compile(gpu, tape);
      try {
        bench.clearOutput();
        await timeOnce(program); // drivers compile at the first run
        sample ??= bench.sample();
        const error = errorOf(await program.read(bench.output), sample);
        const trial = { kernel, choice, timeMs: await timeOnce(program), error };
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
  const [usual] = trials;
  const right = trials.filter((trial) => !isWrong(trial));
  const fastest = right.reduce((best, trial) => (trial.timeMs < best.timeMs ? trial : best), right[0] ?? usual);
  return { name: work.name, trials, best: isWrong(usual) || fastest.timeMs < WORTHWHILE * usual.timeMs ? fastest : usual };
}

/** A kind of work in the steps that are tuned for. */
export interface Share {
  work: Work;
  /** Operations of all launches of this kind. */
  flops: number;
}

/** The different kinds of work of training steps, the one with most operations first: sizes of one class are tuned once, whatever the model. */
export function worksOf(gpu: Gpu, steps: readonly ({ model: BenchModel; batch: number } & StepOptions)[]): Share[] {
  const shares = new Map<string, Share>();
  for (const { model, batch, ...options } of steps) {
    for (const { work, flops } of recordBenchStep(gpu, model, batch, options).tape.launches) {
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
  const { size, channels, width } = options;
  const compared = models.find(isCompared);
  if (compared && (size !== FACE_SIZE || channels !== 1 || width !== 1))
    throw new UsageError(
      `${compared} is of grey faces of ${FACE_SIZE}×${FACE_SIZE} and one width, as its peers have it`,
      'Leave out --size, --channels and --width, or the model.',
      { field: '--model' },
    );
  const gpu = await openGpu({ adapter: options.adapter });
  const steps = models.map((model) => ({
    ...{ model, size, channels, width },
    batch: options.batch ?? usualBatch(model, gpu.adapter.isFallback),
  }));
  const path = tuningPath(gpu.adapter);
  const earlier = readTuning(path);
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
    `kernels differ from what they should compute, in absolute values of a sum's terms: ${wrong.join('; ')}`,
    'A driver or a kernel is wrong, and these were left out unless nothing else was tried: please report them with the name of the adapter.',
  );
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await runCommand(main);
