import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { RunError } from '../errors.js';
import { removePartialFiles, replaceFile, storageError } from './atomic-file.js';
import type { Json } from './checkpoint.js';
import { readJsonObject } from './json-file.js';

/** A line of log.jsonl. Lines that belong to a step carry it: on resume, those after the checkpoint's step are cut off. */
export type LogRecord = Readonly<Record<string, Json | undefined>> & { readonly step?: number };
export type JsonObject = Readonly<Record<string, Json | undefined>>;

export interface NewRun {
  out?: string; // folder; otherwise a name is made of the time and the fields below
  paradigm: string;
  model: string;
  seed: number;
  config: JsonObject; // the options as given, by their names on the command line
  adapter: unknown; // summary of the adapter in use
}

/** Everything one training run leaves behind, in one folder. All write errors are RunErrors. */
export class RunFolder {
  private constructor(readonly path: string) {}

  /** Makes the folder of a new run. @throws RunError when a finished run, a checkpoint, or weights would be overwritten. */
  static async create({ out, paradigm, model, seed, config, adapter }: NewRun): Promise<RunFolder> {
    const run = new RunFolder(out ?? makeFreshFolder(`${timeStamp(new Date())}-${paradigm}-${model}-s${seed}`));
    const problem = run.whatIsThere();
    if (problem) {
      const goOn = run.isDone || existsSync(run.checkpointPath) ? `Continue it with --resume ${run.path}, name` : 'Name';
      throw new RunError(problem, `${goOn} another folder with --out, or delete it.`, { file: run.path });
    }
    attempt(run.path, () => {
      mkdirSync(run.path, { recursive: true });
      rmSync(run.logPath, { force: true }); // of a run that did not reach its first checkpoint
    });
    const environment = {
      moue: moueVersion(),
      node: process.version,
      platform: `${process.platform} ${process.arch}`,
      seed,
      started: new Date().toISOString(),
      adapter,
    };
    await removePartialFiles(run.path);
    await run.writeJson('environment.json', environment);
    await run.writeJson('config.json', config);
    return run;
  }

  /** Opens the folder of an earlier run to read from it. @throws RunError when `path` holds no run. */
  static open(path: string): RunFolder {
    const run = new RunFolder(path);
    if (!existsSync(join(path, 'config.json'))) {
      const problem = existsSync(path) ? 'holds no run (there is no config.json in it)' : 'does not exist';
      throw new RunError(problem, 'Give the folder of a run as train printed it, for example runs/<date-time>-….', { file: path });
    }
    return run;
  }

  /** Makes an interrupted or finished run ready to go on from its checkpoint, saved after optimiser step `step`. */
  async resume(step: number): Promise<void> {
    attempt(this.path, () => rmSync(join(this.path, 'done'), { force: true }));
    await removePartialFiles(this.path);
    this.cutLog(step);
  }

  get checkpointPath(): string {
    return join(this.path, 'checkpoint.safetensors');
  }
  get bestPath(): string {
    return join(this.path, 'best.safetensors');
  }
  /** Of a pretraining run: the weights of its encoder alone, under the names that the backbone gives them. */
  get encoderPath(): string {
    return join(this.path, 'encoder.safetensors');
  }
  get logPath(): string {
    return join(this.path, 'log.jsonl');
  }
  get isDone(): boolean {
    return existsSync(join(this.path, 'done'));
  }

  /** What would be lost if another run took the folder. */
  private whatIsThere(): string | undefined {
    if (this.isDone) return 'holds a finished run';
    if (existsSync(this.checkpointPath)) return 'holds a run that was interrupted';
    return existsSync(this.bestPath) ? 'holds weights of a run, and no checkpoint from which it could go on' : undefined;
  }

  /** Path of the wanted checkpoint. @throws RunError when the run has not saved one. */
  existingCheckpoint(which: 'best' | 'last'): string {
    const path = which === 'best' ? this.bestPath : this.checkpointPath;
    if (existsSync(path)) return path;
    const remedy =
      which === 'best' && existsSync(this.checkpointPath)
        ? 'Use --checkpoint last, or train until the first validation.'
        : 'Train until the first checkpoint (end of an epoch, or --checkpoint-every steps).';
    throw new RunError(`the run has no ${which} checkpoint`, remedy, { file: path });
  }

  readConfig(): Record<string, unknown> {
    return readJsonObject(join(this.path, 'config.json'), RunError);
  }

  readResult(): Record<string, unknown> {
    return readJsonObject(join(this.path, 'result.json'), RunError);
  }

  /** Appends one line to the log. Log a step before the checkpoint that contains it: a killed run then loses no line and doubles none. */
  log(record: LogRecord): void {
    attempt(this.logPath, () => appendFileSync(this.logPath, `${JSON.stringify(record)}\n`));
  }

  /** All lines of the log; a last line that a killed process left unfinished is not one. */
  readLog(): LogRecord[] {
    return this.logLines().map(({ record }) => record);
  }

  /** Writes result.json, then the mark that the run is complete. */
  async finish(result: JsonObject): Promise<void> {
    await this.writeJson('result.json', result);
    await replaceFile(join(this.path, 'done'), [`${new Date().toISOString()}\n`]);
  }

  async writeJson(name: string, content: unknown): Promise<void> {
    await replaceFile(join(this.path, name), [`${JSON.stringify(content, null, 2)}\n`]);
  }

  /** Cuts off the log from the first line after `step`, and an unfinished last line. */
  private cutLog(step: number): void {
    const kept = this.logLines();
    const after = kept.findIndex(({ record }) => record.step !== undefined && record.step > step);
    const end = after >= 0 ? kept[after].begin : (kept.at(-1)?.end ?? 0);
    if (existsSync(this.logPath)) attempt(this.logPath, () => truncateSync(this.logPath, end));
  }

  /** The complete lines of the log with their places in the file, in bytes. */
  private logLines(): { record: LogRecord; begin: number; end: number }[] {
    if (!existsSync(this.logPath)) return [];
    const lines = [];
    const content = readFileSync(this.logPath);
    for (let begin = 0, end: number; ; begin = end) {
      end = content.indexOf('\n', begin) + 1;
      if (end === 0) return lines;
      try {
        lines.push({ record: JSON.parse(content.toString('utf8', begin, end)) as LogRecord, begin, end });
      } catch (cause) {
        throw new RunError(
          `not JSON: ${(cause as Error).message}`,
          'Restore or delete this line of the log.',
          { file: this.logPath, line: lines.length + 1 },
          { cause },
        );
      }
    }
  }
}

/** Version of this program, from its package.json. */
export function moueVersion(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
}

/** Creates runs/<name>, or runs/<name>-2, … when runs begun in the same second have taken the name. */
function makeFreshFolder(name: string): string {
  return attempt('runs', () => {
    mkdirSync('runs', { recursive: true });
    for (let count = 1; ; count++) {
      const path = join('runs', count === 1 ? name : `${name}-${count}`);
      try {
        mkdirSync(path);
        return path;
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
      }
    }
  });
}

/** Local time as 20240229-180503. */
function timeStamp(time: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  return `${time.getFullYear()}${two(time.getMonth() + 1)}${two(time.getDate())}-${two(time.getHours())}${two(time.getMinutes())}${two(time.getSeconds())}`;
}

function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    throw storageError(cause, path);
  }
}
