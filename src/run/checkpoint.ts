/**
 * A checkpoint is one .safetensors file. Weights are kept under their own names, so that other tools find them; what else a run needs to
 * continue lies beside them as `optimizer/<name>`, `kept/<name>` and `average/<name>`, and as JSON in the file's metadata. Activations are NHWC,
 * convolution weights HWIO, dense weights [in, out].
 */
import { RunError } from '../errors.js';
import type { Disk } from './atomic-file.js';
import { readSafetensors, type StoredTensor, writeSafetensors } from './safetensors.js';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export interface NamedTensor {
  shape: readonly number[];
  data: Float32Array | Uint32Array;
}

/** Where the run stood. Random numbers are functions of (seed, step, element), so seed and step are the whole state of the generator. */
export interface CheckpointState {
  model: string;
  modelOptions: Readonly<Record<string, Json>>;
  classes: readonly string[]; // none for an encoder
  seed: number;
  epoch: number; // epochs begun, counted from 0
  step: number; // optimiser steps done since the run began
  bestMetric?: number;
  readonly [further: string]: Json | undefined;
}

export interface Checkpoint {
  weights: ReadonlyMap<string, NamedTensor>;
  optimizer: ReadonlyMap<string, NamedTensor>;
  kept: ReadonlyMap<string, NamedTensor>; // by the paradigm from step to step
  average?: ReadonlyMap<string, NamedTensor>; // exponential moving average of the weights
  state: CheckpointState;
}

const FORMAT = 'moue checkpoint 1';
const LAYOUT = 'NHWC activations, HWIO convolution weights, [in, out] dense weights';

/** Writes a checkpoint, all or nothing. @throws RunError (full disk, read-only folder), with the earlier checkpoint intact. */
export async function saveCheckpoint(path: string, { weights, optimizer, kept, average, state }: Checkpoint, disk?: Disk): Promise<void> {
  const stateText = JSON.stringify(state);
  parseState(stateText, path); // what could not be read back is not written
  const tensors = new Map<string, StoredTensor>();
  const add = (prefix: string, group: ReadonlyMap<string, NamedTensor>) => {
    for (const [name, { shape, data }] of group) {
      if (name.includes('/'))
        throw new RunError('the name of a tensor may not contain "/"', 'Separate the parts of the name by dots.', {
          file: path,
          field: name,
        });
      tensors.set(prefix + name, { dtype: data instanceof Float32Array ? 'F32' : 'U32', shape, data });
    }
  };
  add('', weights);
  add('optimizer/', optimizer);
  add('kept/', kept);
  if (average) add('average/', average);
  await writeSafetensors(path, tensors, { format: FORMAT, layout: LAYOUT, state: stateText }, disk);
}

/** Reads a checkpoint back. @throws RunError when the file is missing, damaged, or not a checkpoint of this program. */
export async function loadCheckpoint(path: string): Promise<Checkpoint> {
  const { tensors, metadata } = await readSafetensors(path);
  if (metadata.format !== FORMAT) {
    throw new RunError(
      `not a checkpoint of this version: format is ${JSON.stringify(metadata.format)}, expected "${FORMAT}"`,
      'Use a checkpoint that this version of moue has written.',
      { file: path, field: 'format' },
    );
  }
  const weights = new Map<string, NamedTensor>();
  const optimizer = new Map<string, NamedTensor>();
  const kept = new Map<string, NamedTensor>();
  const average = new Map<string, NamedTensor>();
  const groups = { optimizer, kept, average };
  for (const [name, { shape, data }] of tensors) {
    if (!(data instanceof Float32Array || data instanceof Uint32Array)) {
      throw new RunError('tensors of a checkpoint are F32 or U32', 'Use a checkpoint that moue has written.', { file: path, field: name });
    }
    const [prefix, key] = name.split('/', 2);
    if (key === undefined) weights.set(name, { shape, data });
    else if (prefix in groups) groups[prefix as keyof typeof groups].set(key, { shape, data });
    else
      throw new RunError('a tensor of an unknown group', 'Use a checkpoint that this version of moue has written.', {
        file: path,
        field: name,
      });
  }
  return { weights, optimizer, kept, average: average.size > 0 ? average : undefined, state: parseState(metadata.state, path) };
}

/** The averaged weights, with the buffers that both sets share, or else the weights. */
export function evaluatedWeights({ weights, average }: Checkpoint): Checkpoint['weights'] {
  return average ?? weights;
}

/**
 * Compares the tensors of a checkpoint (`found`) with those of the model about to take them. @throws RunError that lists what is
 * missing, what is unknown, and what has another shape.
 */
export function checkTensors(
  path: string,
  found: ReadonlyMap<string, { shape: readonly number[] }>,
  expected: ReadonlyMap<string, { shape: readonly number[] }>,
): void {
  const missing = [...expected.keys()].filter((name) => !found.has(name));
  const unknown = [...found.keys()].filter((name) => !expected.has(name));
  const reshaped: string[] = [];
  for (const [name, { shape }] of expected) {
    const other = found.get(name)?.shape;
    if (other && other.join() !== shape.join()) reshaped.push(`${name} is [${other.join(', ')}], expected [${shape.join(', ')}]`);
  }
  const problems = [listed('missing', missing), listed('not in the model', unknown), listed('of another shape', reshaped)].filter(Boolean);
  if (problems.length > 0) {
    throw new RunError(
      `checkpoint of another model: ${problems.join('; ')}`,
      'Use the checkpoint with the model, size, channels and width it was trained with (config.json of its run).',
      { file: path },
    );
  }
}

/** 'what: some, names, … (12 in all)'; undefined where there are none. */
export function listed(what: string, names: readonly string[]): string | undefined {
  const SHOWN = 5;
  if (names.length === 0) return undefined;
  const rest = names.length > SHOWN ? `, … (${names.length} in all)` : '';
  return `${what}: ${names.slice(0, SHOWN).join(', ')}${rest}`;
}

/** The fields that every reader of a checkpoint relies on, with a test of each. */
const STATE_FIELDS: Record<string, (value: unknown) => boolean> = {
  model: (value) => typeof value === 'string',
  modelOptions: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  classes: (value) => Array.isArray(value) && value.every((name) => typeof name === 'string'),
  seed: isCount,
  epoch: isCount,
  step: isCount,
  bestMetric: (value) => value === undefined || typeof value === 'number',
};

function parseState(text: string | undefined, path: string): CheckpointState {
  let state: unknown;
  try {
    state = JSON.parse(text ?? '');
  } catch {
    state = undefined;
  }
  const remedy = 'Use the other checkpoint of the run, or one that this version of moue has written.';
  if (typeof state !== 'object' || state === null) throw new RunError('is not a JSON object', remedy, { file: path, field: 'state' });
  for (const [field, isValid] of Object.entries(STATE_FIELDS)) {
    const value = (state as Record<string, unknown>)[field];
    if (!isValid(value)) throw new RunError(`missing or wrong: ${JSON.stringify(value)}`, remedy, { file: path, field: `state.${field}` });
  }
  return state as CheckpointState;
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
