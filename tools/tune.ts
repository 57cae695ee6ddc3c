/** Finds the fastest kernels for a model's products on the present adapter: `node dist/tools/tune.js --help`. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { DeviceError, UsageError } from '#src/errors.js';
import { openGpu, readTuning, tuningPath } from '#src/gpu/dawn.js';
import type { Gpu, Tuning } from '#src/gpu/gpu.js';
import { type ModelName, models } from '#src/nn/models.js';
import { uniform } from '#src/random.js';
import { replaceFile } from '#src/run/atomic-file.js';
import { runCommand } from '#src/run/command.js';
import { completeOptions, grouped, type OptionsOf, parseArguments } from '#src/run/option-table.js';
import { CANDIDATES, type Choice, PRODUCTS } from '#src/tensor/ops/families.js';
import { Program } from '#src/tensor/program.js';
import { Tape, type Work } from '#src/tensor/tape.js';
import type { Tensor } from '#src/tensor/tensor.js';
import { type BenchModel, benchStep } from './bench-step.js';
import { median } from './limits.js';

const OPTIONS = {
  ...grouped('What to tune for:', {
    model: {
      type: 'string',
      description: 'A training step of this network',
      choices: Object.keys(models) as ModelName[],
      default: 'small',
    },
    batch: { type: 'number', description: 'Faces per step', default: 64, range: { integer: true, min: 1, max: 8192 } },
  }),
  ...grouped('How:', {
    runs: { type: 'number', description: 'Runs of which the medians are taken', default: 5, range: { integer: true, min: 1, max: 1000 } },
    adapter: { type: 'string', description: "Part of the adapter's name, or 'software'", defaultText: 'the fastest found' },
  }),
} as const;
export type TuneOptions = OptionsOf<typeof OPTIONS>;

/** Rounding grows with the terms of a sum, and its order differs: relative to the root mean square of the results. */
const TOLERANCE = 1e-3;
/** A gain below this is noise: the default stays. */
const WORTHWHILE = 0.97;

/** One kernel tried for one kind of work. */
export interface Trial {
  kernel: string;
  choice: Choice | undefined;
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

interface Attempt {
  kernel: string;
  timeMs: number;
  values: Float32Array;
}

/**
 * Runs one product alone on made-up numbers, with the kernel that `tuning` asks for; not where that comes down to one in `tried`, as choices that do not
 * fit the sizes or the adapter do. The time is that of all its launches, sums of splits included.
 */
async function attempt(gpu: Gpu, work: Work, tuning: Tuning, runs: number, tried: readonly string[] = []): Promise<Attempt | undefined> {
  const tape = new Tape(Object.create(gpu, { tuning: { value: tuning } }) as Gpu);
  const standIns = new Map<Tensor, Tensor>();
  const standIn = (tensor: Tensor) => {
    const known = standIns.get(tensor);
    if (known) return known;
    const made = tensor === work.output ? tape.tensor('output', tensor.shape) : tape.input(tensor.label, tensor.shape);
    standIns.set(tensor, made);
    return made;
  };
  work.again(tape, standIn);
  const kernel = tape.launches[0].shader.label;
  if (tried.includes(kernel)) return undefined;
  const output = standIn(work.output);
  const program = await Program.compile(gpu, tape, { keep: [output] });
  try {
    for (const [stream, tensor] of [...standIns.values()].entries()) {
      if (tensor === output) continue;
      program.write(
        tensor,
        Float32Array.from({ length: tensor.size }, (_, i) => 2 * uniform(0, stream, i) - 1),
      );
    }
    program.run();
    const values = (await program.read(output)) as Float32Array;
    const times: number[] = [];
    for (let run = 0; run < runs; run++) times.push((await program.profile()).reduce((sum, { timeMs }) => sum + timeMs, 0));
    return { kernel, timeMs: median(times), values };
  } finally {
    program.destroy();
  }
}

/** Tries every kernel that the adapter can run. @throws DeviceError where one computes something else. */
export async function tuneWork(gpu: Gpu, work: Work, candidates: readonly Choice[] = CANDIDATES, runs = 5): Promise<Tuned> {
  const usual = (await attempt(gpu, work, {}, runs))!;
  const trials: Trial[] = [{ kernel: usual.kernel, choice: undefined, timeMs: usual.timeMs, error: 0 }];
  const scale = Math.sqrt(usual.values.reduce((sum, value) => sum + value * value, 0) / usual.values.length) || 1;
  for (const choice of candidates) {
    const tried = trials.map((trial) => trial.kernel);
    const other = await attempt(gpu, work, { [work.name]: choice }, runs, tried);
    if (!other) continue;
    const { kernel, timeMs, values } = other;
    const error = values.reduce((worst, value, i) => Math.max(worst, Math.abs(value - usual.values[i]) / scale), 0);
    if (!(error <= TOLERANCE)) {
      throw new DeviceError(
        `${kernel} differs from ${usual.kernel} by ${error.toPrecision(2)} of the results' size, for ${work.name}`,
        'A driver or a kernel is wrong: please report it with the name of the adapter.',
      );
    }
    trials.push({ kernel, choice, timeMs, error });
  }
  const fastest = trials.reduce((best, trial) => (trial.timeMs < best.timeMs ? trial : best));
  return { name: work.name, trials, best: fastest.timeMs < WORTHWHILE * usual.timeMs ? fastest : trials[0] };
}

/** The different kinds of work of a training step. */
export async function worksOf(gpu: Gpu, model: BenchModel, batch: number): Promise<Work[]> {
  const step = await benchStep(gpu, model, batch);
  const works = new Map<string, Work>();
  for (const { work } of step.launches) if (work && !works.has(work.name)) works.set(work.name, work);
  step.destroy();
  return [...works.values()];
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
    return `  ${trial === best ? '*' : ' '} ${trial.timeMs.toFixed(3).padStart(10)} ms ${gain.toFixed(2).padStart(6)}×  ${trial.kernel}`;
  });
  return `${name}\n${lines.join('\n')}\n`;
}

async function main(args: string[]): Promise<void> {
  const commandLine = {
    command: 'tools/tune',
    usage: `Tries the kernels of ${PRODUCTS.join(', ')} on the sizes of a training step, and keeps the fastest for this user and adapter.`,
    positionals: '',
    table: OPTIONS,
  };
  const { given, positionals } = parseArguments(commandLine, args);
  if (positionals.length > 0)
    throw new UsageError('tune takes options only', 'Leave it out, or write it as an option.', { field: positionals[0] });
  const options = completeOptions(OPTIONS, given);
  const gpu = await openGpu({ adapter: options.adapter });
  const path = tuningPath(gpu.adapter);
  const results: Tuned[] = [];
  for (const work of await worksOf(gpu, options.model, options.batch)) {
    const tuned = await tuneWork(gpu, work, CANDIDATES, options.runs);
    process.stdout.write(formatTuned(tuned));
    results.push(tuned);
  }
  mkdirSync(dirname(path), { recursive: true });
  await replaceFile(path, [`${JSON.stringify(merge(readTuning(path), results), null, 2)}\n`]);
  process.stdout.write(`\n* fastest, kept in ${path}\n`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await runCommand(main);
