import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { MoueError, UsageError } from '../errors.js';
import type { RunEvaluation } from '../evaluation/run-evaluation.js';
import type { FaceSet } from '../faces/face-set.js';
import { openGpu } from '../gpu/dawn.js';
import { replaceFile, storageError } from './atomic-file.js';
import { evaluateRun, parseCorruptions, parseSeverities } from './evaluation.js';
import { readJsonObject } from './json-file.js';
import { type CompareOptions, evaluateDefaults, type TrainOptions, trainConfig, type Variation } from './options.js';
import { formatDuration, type ProgressLine } from './progress.js';
import { RunFolder } from './run-folder.js';
import { train } from './training.js';

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
  runs: GridRun[];
  /** The faces that the first was compared on; those of all, unless the seed decides on them. */
  faces: FaceSet;
  /** Names of the runs that failed; why was printed. */
  failed: string[];
}

const SETTINGS_FILE = 'comparison.json';
const EVALUATION_FILE = 'evaluation.json';

/**
 * Trains every paradigm with every seed, one after the other, and evaluates each on the same faces. What is finished in the folder is kept, what was
 * interrupted goes on, so that the same command completes an earlier one, and one with more paradigms or seeds adds to it. A run that fails does not keep
 * the others from theirs.
 * @throws UsageError for corruptions that do not exist, and where the folder holds runs with other training options; the first failure where all runs fail
 */
export async function runGrid(options: CompareOptions, line: ProgressLine): Promise<Grid> {
  if (options.corruptions) parseCorruptions(options.corruptions); // before anything is trained
  parseSeverities(options.severities);
  await claimFolder(options);
  const cells = options.variations.flatMap((variation) => Array.from({ length: options.seeds }, (_, seed) => ({ variation, seed })));
  const pathOf = ({ variation, seed }: Cell) => join(options.out, `${variation.label}-s${seed}`);
  const runs: GridRun[] = [];
  const failures: { name: string; error: MoueError }[] = [];
  const took: number[] = [];
  let faces: FaceSet | undefined;
  for (const [index, cell] of cells.entries()) {
    const { label } = cell.variation;
    const { seed } = cell;
    const path = pathOf(cell);
    const isNew = !isFinished(path);
    const toTrain = cells.slice(index).filter((other) => !isFinished(pathOf(other))).length;
    const left = took.length > 0 ? `, about ${formatDuration((mean(took) * toTrain) / 1000)} left` : '';
    line.print(`[${index + 1}/${cells.length}] ${label}, seed ${seed}${isNew ? left : ': there already'}`);
    const begun = performance.now();
    try {
      if (isNew) await trainCell(cellOptions(options, cell), path, line);
      const folder = RunFolder.open(path);
      const evaluated = await evaluateCell(options, folder, faces, line);
      faces ??= evaluated.faces;
      if (isNew) took.push(performance.now() - begun);
      const { seconds, bestEpoch } = folder.readResult() as { seconds: number; bestEpoch: number };
      runs.push({ label, seed, folder, seconds, bestEpoch, record: evaluated.record });
    } catch (error) {
      if (!(error instanceof MoueError)) throw error;
      failures.push({ name: basename(path), error });
      line.end();
      line.print(`failed: ${error.message}\n  → ${error.remedy}`);
    }
  }
  if (!faces) throw failures[0].error;
  return { runs, faces, failed: failures.map(({ name }) => name) };
}

interface Cell {
  variation: Variation;
  seed: number;
}

function isFinished(path: string): boolean {
  return existsSync(join(path, 'config.json')) && RunFolder.open(path).isDone;
}

function cellOptions({ training }: CompareOptions, { variation: { paradigm, set }, seed }: Cell): TrainOptions {
  return { ...training, paradigm, set, seed };
}

async function trainCell(options: TrainOptions, path: string, line: ProgressLine): Promise<void> {
  const isBegun = existsSync(join(path, 'checkpoint.safetensors'));
  if (!isBegun) rmSync(join(path, 'best.safetensors'), { force: true }); // of a run that ended before it could go on from anything
  const { folder, record } = await train(isBegun ? { ...options, resume: path } : { ...options, out: path }, line, performance.now());
  await folder.finish(record);
}

/** What was measured of a run, from its folder if it is there and has all that is asked for. */
async function evaluateCell(
  { split, corruptions, severities, training }: CompareOptions,
  folder: RunFolder,
  faces: FaceSet | undefined,
  line: ProgressLine,
): Promise<{ record: RunEvaluation; faces: FaceSet }> {
  const file = join(folder.path, EVALUATION_FILE);
  const asked = { split, corruptions, severities };
  if (faces && existsSync(file)) {
    const stored = readJsonObject(file, UsageError) as unknown as { asked: unknown; record: RunEvaluation };
    if (JSON.stringify(stored.asked) === JSON.stringify(asked)) return { record: stored.record, faces };
  }
  const gpu = await openGpu({ adapter: training.adapter, unsafe: training.unsafe, tuned: true });
  const evaluated = await evaluateRun(
    gpu,
    { ...evaluateDefaults(folder.path), ...asked, batch: training.batch, perFace: true },
    line,
  ).finally(() => gpu.close());
  await replaceFile(file, [`${JSON.stringify({ asked, record: evaluated.record })}\n`]);
  return evaluated;
}

/** Notes the training options in the folder, or sees that those there are the same. */
async function claimFolder({ out, training }: CompareOptions): Promise<void> {
  const { paradigm, seed, set, ...config } = trainConfig(training);
  const path = join(out, SETTINGS_FILE);
  if (existsSync(path)) {
    const earlier = readJsonObject(path, UsageError);
    const names = [...new Set([...Object.keys(earlier), ...Object.keys(config)])];
    const differing = names.find((name) => JSON.stringify(earlier[name]) !== JSON.stringify(config[name]));
    if (differing) {
      throw new UsageError(
        `the runs in ${out} have --${differing} ${earlier[differing] ?? 'left out'}, not ${config[differing] ?? 'left out'}`,
        'Compare under one set of options: give the earlier ones, or another --out.',
        { field: `--${differing}` },
      );
    }
    return;
  }
  try {
    mkdirSync(out, { recursive: true });
  } catch (cause) {
    throw storageError(cause, out);
  }
  await replaceFile(path, [`${JSON.stringify(config, null, 2)}\n`]);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
