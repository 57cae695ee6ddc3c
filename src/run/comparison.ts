import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { MoueError, UsageError } from '../errors.js';
import type { RunEvaluation } from '../evaluation/run-evaluation.js';
import type { FaceSet } from '../faces/face-set.js';
import { openGpu } from '../gpu/dawn.js';
import type { ModelName } from '../nn/models.js';
import { formatConstants } from '../paradigms/constants.js';
import { constantsOf, paradigms } from '../paradigms/index.js';
import { replaceFile, storageError } from './atomic-file.js';
import { evaluateRun, facesOfRun, parseCorruptions, parseSeverities } from './evaluation.js';
import { readJsonObject } from './json-file.js';
import type { GivenOptions } from './option-table.js';
import {
  type CompareOptions,
  evaluateDefaults,
  readTrainOptions,
  type TrainOptions,
  trainConfig,
  trainOptionsOf,
  type Variation,
} from './options.js';
import { formatDuration, type ProgressLine } from './progress.js';
import { RunFolder } from './run-folder.js';
import { defaultModel, train } from './training.js';

/** One finished run of the grid. */
export interface GridRun {
  label: string;
  seed: number;
  folder: RunFolder;
  seconds: number;
  bestEpoch: number;
  record: RunEvaluation;
}

export interface Grid {
  /** In the order of the paradigms, those of each by seed. */
  runs: GridRun[];
  /** Label of the paradigm named first, whether or not a run of it is among these. */
  baseline: string;
  /** Names of the runs that failed; why was printed. */
  failed: string[];
  /** Reads the faces that the first of the runs was compared on; those of all, unless the seed decides on them. */
  readFaces(): Promise<FaceSet>;
}

const SETTINGS_FILE = 'comparison.json';
/** How a run is computed, not what it learns: the runs of a comparison may differ in these. */
const OF_THE_MACHINE = ['adapter', 'recompute', 'faces-memory', 'unsafe'];

/**
 * Trains every paradigm with every seed, `jobs` runs at a time, and evaluates each on the same faces. All paradigms come with the first seed before any with the
 * second: whenever it is stopped, as much is known of each. What is finished in the folder is kept, what was interrupted goes on, so that the same command
 * completes an earlier one, and one with more paradigms or seeds adds to it. A run that fails does not keep the others from theirs.
 * @throws UsageError for corruptions that do not exist, and where the folder holds runs with other training options; the first failure where all runs fail
 */
export async function runGrid(given: CompareOptions, line: ProgressLine): Promise<Grid> {
  if (given.corruptions) parseCorruptions(given.corruptions); // before anything is trained
  parseSeverities(given.severities);
  const preferred = await adapterPreferences(given.training);
  const options = { ...given, training: await claimFolder(given, preferred.model) };
  const { variations, split } = options;
  const cells = Array.from({ length: options.seeds }, (_, seed) => variations.map((variation) => ({ variation, seed }))).flat();
  const pathOf = ({ variation, seed }: Cell) => join(options.out, `${variation.label}-s${seed}`);
  for (const cell of cells.filter((each) => isBegun(pathOf(each)))) {
    const { paradigm, set } = cell.variation;
    const earlier = trainOptionsOf(RunFolder.open(pathOf(cell)));
    const constantsIn = (settings = '') => formatConstants(constantsOf(paradigm, settings));
    refuseAnother(pathOf(cell), 'set', constantsIn(earlier.set), constantsIn(set));
    if (paradigms[paradigm].learnsFromRuns) refuseAnother(options.out, 'teacher', earlier.teacher, options.training.teacher);
  }
  const runs: GridRun[] = [];
  const failures: { name: string; error: MoueError }[] = [];
  const took: number[] = [];
  const jobs = Math.min(options.jobs ?? preferred.jobs, cells.length);
  const finishCell = async (index: number, cell: Cell) => {
    const { label } = cell.variation;
    const { seed } = cell;
    const path = pathOf(cell);
    const isNew = !isFinished(path);
    const toTrain = cells.slice(index).filter((other) => !isFinished(pathOf(other))).length;
    const left = took.length > 0 ? `, about ${formatDuration((mean(took) * toTrain) / jobs / 1000)} left` : '';
    line.print(`[${index + 1}/${cells.length}] ${label}, seed ${seed}${isNew ? left : ': there already'}`);
    const own = jobs === 1 ? line : line.part(basename(path));
    const begun = performance.now();
    try {
      if (isNew) await trainCell(cellOptions(options, cell), path, own);
      const folder = RunFolder.open(path);
      const record = await evaluateCell(options, folder, own);
      if (isNew) took.push(performance.now() - begun);
      const { seconds, bestEpoch } = folder.readResult() as { seconds: number; bestEpoch: number };
      runs.push({ label, seed, folder, seconds, bestEpoch, record });
    } catch (error) {
      if (!(error instanceof MoueError)) throw error;
      failures.push({ name: basename(path), error });
      own.end();
      own.print(`failed: ${error.message}\n  → ${error.remedy}`);
    }
  };
  const waiting = cells.entries();
  const work = async () => {
    for (const [index, cell] of waiting) await finishCell(index, cell);
  };
  await Promise.all(Array.from({ length: jobs }, work));
  if (runs.length === 0) throw failures[0].error;
  const labels = variations.map(({ label }) => label);
  runs.sort((a, b) => labels.indexOf(a.label) - labels.indexOf(b.label) || a.seed - b.seed);
  return {
    runs,
    baseline: labels[0],
    failed: failures.map(({ name }) => name),
    readFaces: () => facesOfRun(trainOptionsOf(runs[0].folder), split, line),
  };
}

interface Cell {
  variation: Variation;
  seed: number;
}

function isBegun(path: string): boolean {
  return existsSync(join(path, 'config.json'));
}

function isFinished(path: string): boolean {
  return isBegun(path) && RunFolder.open(path).isDone;
}

function cellOptions({ training }: CompareOptions, { variation: { paradigm, set }, seed }: Cell): TrainOptions {
  const teacher = paradigms[paradigm].learnsFromRuns && training.teacher;
  return { ...training, paradigm, set, seed, teacher };
}

async function trainCell(options: TrainOptions, path: string, line: ProgressLine): Promise<void> {
  const hasCheckpoint = existsSync(join(path, 'checkpoint.safetensors'));
  if (!hasCheckpoint) rmSync(join(path, 'best.safetensors'), { force: true }); // of a run that ended before it could go on from anything
  const { folder, record } = await train(hasCheckpoint ? { ...options, resume: path } : { ...options, out: path }, line, performance.now());
  await folder.finish(record);
}

/** What was measured of a run, from its folder if it is there and has all that is asked for. What was measured on another split stays beside it. */
async function evaluateCell(
  { split, corruptions, severities, training }: CompareOptions,
  folder: RunFolder,
  line: ProgressLine,
): Promise<RunEvaluation> {
  const file = join(folder.path, `evaluation-${split}.json`);
  const asked = { corruptions, severities };
  if (existsSync(file)) {
    const stored = readJsonObject(file, UsageError) as unknown as { asked: unknown; record: RunEvaluation };
    if (JSON.stringify(stored.asked) === JSON.stringify(asked)) return stored.record;
  }
  const gpu = await openGpu({ adapter: training.adapter, unsafe: training.unsafe, tuned: true });
  const { record } = await evaluateRun(
    gpu,
    { ...evaluateDefaults(folder.path), ...asked, split, batch: training.batch, perFace: true },
    line,
  ).finally(() => gpu.close());
  await replaceFile(file, [`${JSON.stringify({ asked, record })}\n`]);
  return record;
}

/**
 * Notes the training options in the folder, or sees that those there are the same, and returns them with the model chosen: once for all runs, for 'auto' would
 * choose another on another adapter.
 */
async function claimFolder({ out, training }: CompareOptions, preferred: ModelName): Promise<TrainOptions> {
  const path = join(out, SETTINGS_FILE);
  const earlier = existsSync(path) ? sharedConfig(readTrainOptions(path)) : undefined;
  const model = training.model === 'auto' ? ((earlier?.model as ModelName | undefined) ?? preferred) : training.model;
  const chosen = { ...training, model };
  const config = sharedConfig(chosen);
  if (earlier) {
    const names = [...new Set([...Object.keys(earlier), ...Object.keys(config)])];
    for (const name of names) refuseAnother(out, name, earlier[name], config[name]);
    return chosen;
  }
  try {
    mkdirSync(out, { recursive: true });
  } catch (cause) {
    throw storageError(cause, out);
  }
  await replaceFile(path, [`${JSON.stringify(config, null, 2)}\n`]);
  return chosen;
}

/** @throws UsageError where an option differs from that of the runs in a folder. */
function refuseAnother(path: string, name: string, earlier: unknown, asked: unknown): void {
  if (earlier === asked) return;
  throw new UsageError(
    `the runs in ${path} have --${name} ${earlier ?? 'left out'}, not ${asked ?? 'left out'}`,
    'Compare under one set of options: give the earlier ones, or another --out.',
    { field: `--${name}` },
  );
}

/** What all runs of a comparison have in common, and what decides on what they learn. Only some learn from a teacher. */
function sharedConfig(options: TrainOptions): GivenOptions {
  const { paradigm, seed, set, teacher, ...config } = trainConfig(options);
  return Object.fromEntries(Object.entries(config).filter(([name]) => !OF_THE_MACHINE.includes(name)));
}

/** Two runs at a time keep all cores at work on a software adapter, where one alone waits for its slowest thread at every launch. */
const JOBS_ON_SOFTWARE = 2;

async function adapterPreferences({ adapter, unsafe }: TrainOptions): Promise<{ model: ModelName; jobs: number }> {
  const gpu = await openGpu({ adapter, unsafe });
  try {
    return { model: defaultModel(gpu), jobs: gpu.adapter.isFallback ? JOBS_ON_SOFTWARE : 1 };
  } finally {
    gpu.close();
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
