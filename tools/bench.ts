#!/usr/bin/env node
/**
 * The whole benchmark in one run: the adapter's limits, single operators and training steps, ours and the peers', `node dist/tools/bench.js --help`.
 * Rounds alternate between the engines, so that a machine that speeds up or slows down treats them alike; medians are printed with their extremes.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { MoueError, UsageError } from '#src/errors.js';
import { openGpu } from '#src/gpu/dawn.js';
import type { Gpu } from '#src/gpu/gpu.js';
import { runCommand } from '#src/run/command.js';
import { completeOptions, grouped, type OptionsOf, parseArguments } from '#src/run/option-table.js';
import { OPERATOR_CASES, type OperatorCase, operatorRun } from './bench-operators.js';
import { isOfTorch, PEERS, type PeerCase, type PeerName, preparePeers, startPeer, usualPeers } from './bench-peers.js';
import { absenceOf, type Contestant, ENOUGH_MS, formatTable, playRounds, type Row } from './bench-rounds.js';
import { BENCH_MODELS, type BenchModel, benchStep, IN_FLIGHT, isCompared, USUAL_BATCHES, USUAL_MODELS, usualBatch } from './bench-step.js';
import { formatLimits, type Limits, measureLimits, median } from './limits.js';

const RESULTS = fileURLToPath(new URL('../../tools/results/', import.meta.url));
const WARM_STEPS = 2;

const OPTIONS = {
  ...grouped('What to time:', {
    quick: { type: 'boolean', description: 'For every day: few operators, one step, one round, no peers unless given', default: false },
    models: {
      type: 'string',
      description: `Training steps, of ${BENCH_MODELS.join(', ')}, separated by commas, or none`,
      default: ({ quick }) => (quick ? 'm1' : USUAL_MODELS.join()),
      defaultText: 'all; m1 with --quick',
    },
    operators: {
      type: 'string',
      description: 'Operators whose names have one of these parts, separated by commas, or all (large ones on a GPU only), or none',
      default: 'all',
    },
    peers: {
      type: 'string',
      description: `Other engines beside us, of ${PEERS.join(', ')}, separated by commas, or usual, or none; npm's are installed into ~/.cache/moue/peers, PyTorch is used where it is`,
      default: ({ quick }) => (quick ? 'none' : 'usual'),
      defaultText: `usual: all on a GPU, ${usualPeers(true).join(' and ')} on a processor; none with --quick`,
    },
    batch: {
      type: 'number',
      description: 'Faces per step',
      defaultText: USUAL_BATCHES,
      range: { integer: true, min: 2, max: 8192 },
    },
  }),
  ...grouped('How:', {
    precision: {
      type: 'string',
      description: 'How the activations of our training steps are stored',
      choices: ['f32', 'f16'],
      default: 'f32',
    },
    steps: {
      type: 'number',
      description: `Times taken per round, each of as many steps as fill ${ENOUGH_MS} ms; fewer where they take over 20 s`,
      default: 5,
      range: { integer: true, min: 1, max: 1000 },
    },
    rounds: {
      type: 'number',
      description: 'Rounds over all engines',
      default: ({ quick }) => (quick ? 1 : 3),
      defaultText: '3; 1 with --quick',
      range: { integer: true, min: 1, max: 100 },
    },
    json: { type: 'boolean', description: 'Print one JSON object', default: false },
    save: { type: 'boolean', description: 'Keep that object as tools/results/ADAPTER.json, or ADAPTER-tuned.json', default: false },
    tuned: { type: 'boolean', description: 'Take the kernels that tools/tune kept for this adapter; --no-tuned does not', default: true },
    adapter: { type: 'string', description: "Part of the adapter's name, or 'software'", defaultText: 'the fastest found' },
    unsafe: { type: 'boolean', description: "Leave out the driver's bounds checks", default: false },
  }),
} as const;
export type BenchOptions = OptionsOf<typeof OPTIONS>;

/** What was asked for. */
export interface Selection {
  models: BenchModel[];
  operators: OperatorCase[];
  peers: PeerName[];
}

/** @param isFallback whether the adapter is a processor @throws UsageError for a name that is not known. */
export function selectionOf(
  { models, operators, peers, quick }: Pick<BenchOptions, 'models' | 'operators' | 'peers' | 'quick'>,
  isFallback: boolean,
): Selection {
  return {
    models: chosen('--models', models, BENCH_MODELS),
    operators: chosenOperators(operators, quick, isFallback),
    peers: peers === 'usual' ? usualPeers(isFallback) : chosen('--peers', peers, PEERS),
  };
}

/** The names in a text. @throws UsageError for one that is not known. */
export function chosen<Name extends string>(field: string, text: string, known: readonly Name[]): Name[] {
  if (text === 'none') return [];
  return text.split(',').map((name) => {
    const found = known.find((candidate) => candidate === name);
    if (found) return found;
    throw new UsageError(`'${name}' is not known`, `Choose from ${known.join(', ')}, or none.`, { field });
  });
}

function chosenOperators(text: string, quick: boolean, isFallback: boolean): OperatorCase[] {
  if (text === 'none') return [];
  if (text === 'all') return OPERATOR_CASES.filter(({ size }) => size === 'quick' || (!quick && (size === 'usual' || !isFallback)));
  const parts = text.split(',');
  for (const part of parts) {
    if (OPERATOR_CASES.some(({ name }) => name.includes(part))) continue;
    throw new UsageError(`no operator has '${part}' in its name`, `Names: ${OPERATOR_CASES.map(({ name }) => name).join('; ')}.`, {
      field: '--operators',
    });
  }
  return OPERATOR_CASES.filter(({ name }) => parts.some((part) => name.includes(part)));
}

export interface BenchResult {
  adapter: Gpu['adapter'];
  /** Whether kernels were chosen by tools/tune. */
  tuned: boolean;
  limits: Limits;
  rows: Row[];
  /** What this adapter could not do, and why. */
  failed: { name: string; reason: string }[];
}

type How = Pick<BenchOptions, 'batch' | 'precision' | 'steps' | 'rounds' | 'adapter'>;

/** @param say told what is being timed */
export async function bench(
  gpu: Gpu,
  { models, operators, peers }: Selection,
  how: How,
  say: (what: string) => void = () => {},
): Promise<BenchResult> {
  const limits = await measureLimits(gpu);
  const rows: Row[] = [];
  const failed: BenchResult['failed'] = [];
  const add = async (name: string, time: () => Promise<Row>) => {
    say(name);
    try {
      rows.push(await time());
    } catch (error) {
      if (!(error instanceof MoueError)) throw error;
      failed.push({ name, reason: error.message });
    }
  };
  for (const operator of operators) await add(operator.name, () => benchOperator(gpu, operator, operator.peer ? peers : [], how));
  for (const model of models) await add(model, () => benchModel(gpu, model, peers, how));
  return { adapter: gpu.adapter, tuned: isTuned(gpu), limits, rows, failed };
}

function isTuned({ tuning }: Gpu): boolean {
  return Object.keys(tuning).length > 0;
}

async function benchOperator(gpu: Gpu, operator: OperatorCase, peers: PeerName[], how: How): Promise<Row> {
  const { run, flops, bytes, plannedBytes, repeats, destroy } = await operatorRun(gpu, operator, ENOUGH_MS);
  const sample = async () => {
    run();
    await gpu.idle();
    return repeats;
  };
  const ours = { engine: 'moue', losses: [], time: timerOf(sample), close: destroy };
  const outcome = await compete(gpu, ours, peers, operator.peer!, how);
  return { name: operator.name, ...outcome, gflop: flops / 1e9, gigabytes: bytes / 1e9, stepBytes: plannedBytes };
}

async function benchModel(gpu: Gpu, model: BenchModel, peers: PeerName[], how: How): Promise<Row> {
  const batch = how.batch ?? usualBatch(model, gpu.adapter.isFallback);
  const { run, flops, bytes, destroy } = await benchStep(gpu, model, batch, { precision: how.precision });
  const hostMs: number[] = [];
  const losses: number[] = [];
  const queue = () => {
    const begun = performance.now();
    const result = run();
    hostMs.push(performance.now() - begun);
    return result;
  };
  for (let step = 1; step < WARM_STEPS; step++) losses.push(await gpu.wait(queue()));
  const begun = performance.now();
  losses.push(await gpu.wait(queue()));
  const repeats = Math.ceil(Math.max(1, ENOUGH_MS / (performance.now() - begun)));
  const sample = async () => {
    const pending: Promise<number>[] = [];
    for (let step = 0; step < repeats; step++) {
      if (pending.length === IN_FLIGHT) losses.push(await gpu.wait(pending.shift()!));
      pending.push(queue());
    }
    for (const result of pending) losses.push(await gpu.wait(result));
    return repeats;
  };
  const ours = { engine: 'moue', losses, time: timerOf(sample), close: destroy };
  // Our own models are told to PyTorch alone.
  const able = peers.filter((peer) => isCompared(model) || isOfTorch(peer));
  const outcome = await compete(gpu, ours, able, { model, batch }, how);
  return {
    name: `${model}, a step on ${batch} faces${how.precision === 'f16' ? ', f16' : ''}`,
    ...outcome,
    gflop: flops / 1e9,
    hostMs: median(hostMs.slice(WARM_STEPS)),
    stepBytes: bytes,
  };
}

/** Warms the peers up, one after the other, and plays the rounds; one that cannot do the case is absent with its reason. */
async function compete(
  gpu: Gpu,
  ours: Contestant,
  peers: readonly PeerName[],
  wanted: PeerCase,
  { rounds, steps, adapter }: How,
): Promise<Pick<Row, 'timings' | 'absent'>> {
  const ready: Contestant[] = [];
  const absent: Row['absent'] = [];
  for (const engine of peers) {
    try {
      ready.push(await startPeer(engine, wanted, adapter));
    } catch (error) {
      absent.push(absenceOf(engine, error));
    }
  }
  const { timings, failures } = await playRounds(ours, ready, rounds, steps);
  for (const contestant of [ours, ...ready]) contestant.close();
  gpu.check();
  return { timings, absent: [...absent, ...failures] };
}

/** @param sample runs some steps to their end, and says how many */
function timerOf(sample: () => Promise<number>): Contestant['time'] {
  return async (count, limitMs) => {
    const times: number[] = [];
    const begun = performance.now();
    while (times.length < count && (times.length === 0 || performance.now() - begun < limitMs)) {
      const start = performance.now();
      const steps = await sample();
      times.push((performance.now() - start) / steps);
    }
    return times;
  };
}

/** 'NVIDIA H100 (PCIe)' → 'nvidia-h100-pcie'; what was measured with tuned kernels stands beside what was not. */
export function fileNameOf(adapter: string, tuned: boolean): string {
  const name = adapter
    .toLowerCase()
    .replace(/[^a-z0-9.]+/g, '-')
    .replace(/^-|-$/g, '');
  return tuned ? `${name}-tuned` : name;
}

async function main(args: string[]): Promise<void> {
  const usage =
    'Times operators and training steps on made-up batches of 48×48 grey faces, beside other engines and the limits of the adapter.';
  const { given, positionals } = parseArguments({ command: 'tools/bench', usage, positionals: '', table: OPTIONS }, args);
  if (positionals.length > 0)
    throw new UsageError('bench takes options only', 'Leave it out, or write it as an option.', { field: positionals[0] });
  const options = completeOptions(OPTIONS, given);
  const gpu = await openGpu({ adapter: options.adapter, unsafe: options.unsafe, tuned: options.tuned });
  const selection = selectionOf(options, gpu.adapter.isFallback);
  const { ready, problems } = preparePeers(selection.peers);
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  const result = await bench(gpu, { ...selection, peers: ready }, options, (what) => process.stderr.write(`${what}\n`));
  for (const { name, reason } of result.failed) process.stderr.write(`${name} is left out: ${reason}\n`);
  const text = `${JSON.stringify(result)}\n`;
  if (options.save) {
    mkdirSync(RESULTS, { recursive: true });
    writeFileSync(join(RESULTS, `${fileNameOf(gpu.adapter.device, result.tuned)}.json`), text);
  }
  if (options.json) process.stdout.write(text);
  else
    process.stdout.write(
      `${gpu.adapter.description}${result.tuned ? ', tuned kernels' : ''}\n${formatLimits(result.limits)}\n\n${formatTable(result.rows, result.limits)}`,
    );
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await runCommand(main);
