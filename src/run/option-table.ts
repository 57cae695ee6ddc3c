import { Parser } from 'yargs/helpers';
import { UsageError } from '../errors.js';
import { Announcement } from './command.js';
import { formatHelp } from './help.js';
import { readJsonObject } from './json-file.js';
import { moueVersion } from './run-folder.js';

export type OptionValue = string | number | boolean;
/** Values by the names of the command line (`learning-rate`), with those that were not given left out. */
export type GivenOptions = Record<string, OptionValue>;

/** One option, as the command line, the config file and --help know it. */
export interface Option {
  type: 'string' | 'number' | 'boolean';
  group: string;
  description: string;
  /** Value when not given, perhaps computed from options that stand before it in the table; left out: none. */
  default?: OptionValue | ((before: Readonly<Record<string, OptionValue | undefined>>) => OptionValue);
  /** Lines of --help below the description. */
  notes?: readonly string[];
  /** What --help says in place of the default. */
  defaultText?: string;
  choices?: readonly (string | number)[];
  range?: Range;
  /** Part of what a run is: a resumed run keeps it. */
  fixed?: boolean;
  /** A text that may be given several times: the value has commas between them. Of other options the last counts. */
  list?: boolean;
}
export type OptionTable = Readonly<Record<string, Option>>;

/** Numbers that an option takes: from `min` to `max`, or excluding the ends as `above` and `below`. */
export interface Range {
  integer?: boolean;
  min?: number;
  max?: number;
  above?: number;
  below?: number;
}

/** Puts options under a heading of --help. */
export function grouped<const Options extends Readonly<Record<string, Omit<Option, 'group'>>>>(group: string, options: Options) {
  const entries = Object.entries(options).map(([name, option]) => [name, { ...option, group }]);
  return Object.fromEntries(entries) as { [Name in keyof Options]: Options[Name] & { group: string } };
}

type CamelCase<Name extends string> = Name extends `${infer Head}-${infer Tail}` ? `${Head}${Capitalize<CamelCase<Tail>>}` : Name;
type ValueOf<O extends Option> =
  | (O extends { choices: readonly (infer Choice)[] } ? Choice : { string: string; number: number; boolean: boolean }[O['type']])
  | (O extends { default: unknown } ? never : undefined);
/** The interface that a table describes: `{'learning-rate': {type: 'number', …}}` gives `{learningRate: number}`. */
export type OptionsOf<Table extends OptionTable> = { -readonly [Name in keyof Table & string as CamelCase<Name>]: ValueOf<Table[Name]> };

export interface CommandLine {
  command: string; // file name without ending
  usage: string; // one sentence about the command
  positionals: string; // as in "RUN face.png…"
  table: OptionTable;
}

/** Splits the arguments of a command into options and positionals. @throws UsageError for unknown or wrong options; Announcement for --help. */
export function parseArguments(commandLine: CommandLine, args: readonly string[]): { given: GivenOptions; positionals: string[] } {
  const { command, table } = commandLine;
  const namesOf = (...types: Option['type'][]) => Object.keys(table).filter((name) => types.includes(table[name].type));
  const { _: positionals, ...values } = Parser([...args], {
    boolean: ['help', 'version', ...namesOf('boolean')],
    string: namesOf('string', 'number'), // numbers are parsed here, so that a failure can show what was written
    configuration: {
      'camel-case-expansion': false,
      'dot-notation': false,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'short-option-groups': false,
    },
  });
  if (values.help) throw new Announcement(formatHelp(commandLine, Math.min(process.stdout.columns ?? 120, 120)));
  if (values.version) throw new Announcement(moueVersion());
  const options: Record<string, unknown> = {};
  for (const [name, given] of Object.entries(values)) {
    const value = Array.isArray(given) ? (table[name]?.list ? given.join(',') : given.at(-1)) : given;
    if (name !== 'help' && name !== 'version') options[name] = table[name]?.type === 'number' ? toNumber(value) : value;
  }
  for (const arg of args) {
    // The parser takes every text but "true" for false.
    const [, name, value] = /^--([^=]+)=(.*)$/s.exec(arg) ?? [];
    if (name && options[name] === false && value !== 'false') options[name] = value;
  }
  return {
    given: checkOptions(table, options, { remedy: `Run node dist/${command}.js --help for all options.` }),
    positionals: positionals.map(String),
  };
}

/** The number that a text spells, else the text. */
function toNumber(value: unknown): unknown {
  return typeof value !== 'string' || value.trim() === '' || Number.isNaN(Number(value)) ? value : Number(value);
}

/** Reads a config file: one JSON object with the names of the command line. @throws UsageError naming file and field. */
export function readConfigFile(table: OptionTable, path: string): GivenOptions {
  return checkConfig(table, readJsonObject(path, UsageError), path);
}

/** Checks what a config file held. */
export function checkConfig(table: OptionTable, content: Record<string, unknown>, file: string): GivenOptions {
  return checkOptions(table, content, { file, remedy: 'Use the names of the long options, without the dashes.' });
}

/** Fills in the defaults and changes names to camel case. */
export function completeOptions<Table extends OptionTable>(table: Table, given: GivenOptions): OptionsOf<Table> {
  const values: Record<string, OptionValue | undefined> = {};
  for (const [name, option] of Object.entries(table)) {
    values[name] = given[name] ?? (typeof option.default === 'function' ? option.default(values) : option.default);
  }
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [camelCase(name), value])) as OptionsOf<Table>;
}

/** The inverse of completeOptions(): values by the names of the command line, as a config file holds them. */
export function configOf<Table extends OptionTable>(
  table: Table,
  options: OptionsOf<Table>,
  without: readonly string[] = [],
): GivenOptions {
  const values = options as Record<string, OptionValue | undefined>;
  const names = Object.keys(table).filter((name) => !without.includes(name) && values[camelCase(name)] !== undefined);
  return Object.fromEntries(names.map((name) => [name, values[camelCase(name)] as OptionValue]));
}

function checkOptions(
  table: OptionTable,
  values: Record<string, unknown>,
  { file, remedy }: { file?: string; remedy: string },
): GivenOptions {
  for (const [name, value] of Object.entries(values)) {
    const field = file ? name : `--${name}`;
    if (!Object.hasOwn(table, name)) {
      const nearest = nearestName(name, Object.keys(table));
      throw new UsageError('unknown option', nearest ? `Did you mean ${file ? nearest : `--${nearest}`}? ${remedy}` : remedy, {
        file,
        field,
      });
    }
    const problem = findProblem(table[name], value);
    if (problem) throw new UsageError(problem.message, problem.remedy, { file, field });
  }
  return values as GivenOptions;
}

function findProblem({ type, choices, range }: Option, value: unknown): { message: string; remedy: string } | undefined {
  if (typeof value !== type) {
    const shown = value === '' ? 'an empty value' : JSON.stringify(value);
    return {
      message: `${shown} is not a ${type}`,
      remedy: `Give ${choices ? `one of ${choices.join(', ')}` : describeKind(type, range)}.`,
    };
  }
  if (value === '') return { message: 'the value is empty', remedy: 'Give a text, or leave the option out.' };
  if (choices && !choices.includes(value as string | number)) {
    const nearest = nearestName(String(value), choices.map(String));
    return {
      message: `${JSON.stringify(value)} is none of the choices`,
      remedy: `Give one of ${choices.join(', ')}.${nearest ? ` Did you mean ${nearest}?` : ''}`,
    };
  }
  if (range && !isWithin(value as number, range))
    return { message: `${value} is out of range`, remedy: `Give ${describeKind(type, range)}.` };
  return undefined;
}

function isWithin(value: number, { integer, min = -Infinity, max = Infinity, above = -Infinity, below = Infinity }: Range): boolean {
  return Number.isFinite(value) && (!integer || Number.isInteger(value)) && value >= min && value <= max && value > above && value < below;
}

function describeKind(type: Option['type'], { integer, min, max, above, below }: Range = {}): string {
  if (type === 'boolean') return 'true or false';
  if (type === 'string') return 'a text';
  const bounds = [
    min !== undefined && `from ${min}`,
    above !== undefined && `above ${above}`,
    max !== undefined && `up to ${max}`,
    below !== undefined && `below ${below}`,
  ].filter(Boolean);
  return [integer ? 'a whole number' : 'a number', ...bounds].join(' ');
}

/** The name that was probably meant: the fewest edits away, and not more than a third of its letters. */
export function nearestName(name: string, names: readonly string[]): string | undefined {
  const ranked = names.map((candidate) => ({ candidate, edits: editDistance(name, candidate) })).sort((a, b) => a.edits - b.edits);
  const [best] = ranked;
  return best && best.edits <= Math.max(1, Math.floor(best.candidate.length / 3)) ? best.candidate : undefined;
}

/** Levenshtein distance: insertions, deletions and substitutions that turn `a` into `b`. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length];
}

function camelCase(name: string): string {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}
