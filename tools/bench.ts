#!/usr/bin/env node
/**
 * Whole training steps, ours and a peer's, in one run: `node dist/tools/bench.js --help`. Rounds alternate between the engines, so that a machine
 * that speeds up or slows down treats them alike; medians are printed with their extremes.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UsageError } from '#src/errors.js';
import { openGpu } from '#src/gpu/dawn.js';
import type { Gpu } from '#src/gpu/gpu.js';
import { runCommand } from '#src/run/command.js';
import { completeOptions, grouped, parseArguments } from '#src/run/option-table.js';
import { BENCH_MODELS, type BenchModel, benchStep } from './bench-step.js';
import { formatLimits, measureLimits, median } from './limits.js';

const BATCHES: Record<BenchModel, number> = { m1: 64, small: 64, vgg13: 32, resnet18: 32 };
const peerSources = fileURLToPath(new URL('../../tools/peers/', import.meta.url));

interface Row {
  engine: string;
  model: string;
  batch: number;
  stepMs: number[];
  gflop: number;
  losses: number[];
  hostMs?: number;
  stepBytes?: number;
  parameters?: number;
}

const OPTIONS = {
  ...grouped('What to time:', {
    models: { type: 'string', description: 'Training steps, separated by commas', default: BENCH_MODELS.join() },
    batch: {
      type: 'number',
      description: 'Faces per step',
      defaultText: '64 for m1 and small, 32 for vgg13 and resnet18',
      range: { integer: true, min: 2, max: 8192 },
    },
    peer: { type: 'boolean', description: 'jax-js beside us on m1; installed on demand into ~/.cache/moue/peers', default: false },
  }),
  ...grouped('How:', {
    steps: {
      type: 'number',
      description: 'Timed steps per round, after two that are not',
      default: 5,
      range: { integer: true, min: 1, max: 1000 },
    },
    rounds: { type: 'number', description: 'Rounds over all engines', default: 2, range: { integer: true, min: 1, max: 100 } },
    json: { type: 'boolean', description: 'Print one JSON object', default: false },
    adapter: { type: 'string', description: "Part of the adapter's name, or 'software'", defaultText: 'the fastest found' },
    unsafe: { type: 'boolean', description: "Leave out the driver's bounds checks", default: false },
  }),
} as const;

await runCommand(async (args) => {
  const usage = 'Times training steps on made-up batches of 48×48 grey faces.';
  const { given, positionals } = parseArguments({ command: 'tools/bench', usage, positionals: '', table: OPTIONS }, args);
  if (positionals.length > 0)
    throw new UsageError('bench takes options only', 'Leave it out, or write it as an option.', { field: positionals[0] });
  const options = completeOptions(OPTIONS, given);
  const names = options.models.split(',') as BenchModel[];
  for (const name of names) {
    if (!BENCH_MODELS.includes(name))
      throw new UsageError(`no model '${name}'`, `Choose from ${BENCH_MODELS.join(', ')}.`, { field: '--models' });
  }
  const gpu = await openGpu({ adapter: options.adapter, unsafe: options.unsafe, tuned: true });
  const limits = await measureLimits(gpu);
  const rows: Row[] = [];
  for (const name of names) {
    const ours: Row[] = [];
    const peers: Row[] = [];
    for (let round = 0; round < options.rounds; round++) {
      ours.push(await timeOurs(gpu, name, options.batch ?? BATCHES[name], options.steps));
      if (options.peer && name === 'm1') peers.push(timeJaxJs(options.steps));
    }
    rows.push(merged(ours));
    if (peers.length > 0) rows.push(merged(peers));
  }
  if (options.json) process.stdout.write(`${JSON.stringify({ adapter: gpu.adapter, limits, rows })}\n`);
  else process.stdout.write(`${gpu.adapter.description}\n${formatLimits(limits)}\n\n${table(rows, limits.multiplyAddGflops)}`);
});

async function timeOurs(gpu: Gpu, model: BenchModel, batch: number, steps: number): Promise<Row> {
  const step = await benchStep(gpu, model, batch);
  const stepMs: number[] = [];
  const hostMs: number[] = [];
  const losses: number[] = [];
  for (let i = 0; i < steps + 2; i++) {
    const begun = performance.now();
    const result = step.run();
    const encoded = performance.now();
    losses.push(await gpu.wait(result));
    if (i < 2) continue;
    hostMs.push(encoded - begun);
    stepMs.push(performance.now() - begun);
  }
  const row = {
    engine: 'moue',
    model,
    batch,
    stepMs,
    gflop: step.flops / 1e9,
    losses: losses.slice(0, 4),
    hostMs: median(hostMs),
    stepBytes: step.program.memory.peakBytes,
    parameters: step.parameters,
  };
  step.destroy();
  gpu.check();
  return row;
}

/** Runs the peer in a process of its own, as its device must not share ours. */
function timeJaxJs(steps: number): Row {
  const folder = join(homedir(), '.cache', 'moue', 'peers');
  mkdirSync(folder, { recursive: true });
  cpSync(peerSources, folder, { recursive: true });
  if (!existsSync(join(folder, 'node_modules', '@jax-js'))) {
    process.stderr.write(`installing jax-js into ${folder}\n`);
    const install = spawnSync('npm', ['install', '--no-audit', '--no-fund'], {
      cwd: folder,
      encoding: 'utf8',
      shell: process.platform === 'win32',
    });
    if (install.status !== 0)
      throw new UsageError(`jax-js cannot be installed: ${install.stderr}`, 'Connect to the npm registry, or leave out --peer.', {
        field: '--peer',
      });
  }
  const run = spawnSync(process.execPath, ['jax-js.mjs', String(steps)], { cwd: folder, encoding: 'utf8' });
  const line = run.stdout.trim().split('\n').at(-1) ?? '';
  if (run.status !== 0 || !line.startsWith('{'))
    throw new UsageError(`jax-js failed: ${run.stderr}`, 'Leave out --peer.', { field: '--peer' });
  return JSON.parse(line) as Row;
}

function merged(rounds: readonly Row[]): Row {
  return { ...rounds[0], stepMs: rounds.flatMap((round) => round.stepMs) };
}

function table(rows: readonly Row[], limitGflops: number): string {
  const lines = [
    ['engine', 'model', 'batch', 'ms a step (least, most)', 'GFLOP/s', 'of limit', 'JavaScript ms', 'step MiB', 'first losses'],
  ];
  for (const { engine, model, batch, stepMs, gflop, losses, hostMs, stepBytes } of rows) {
    const ms = median(stepMs);
    const speed = (gflop / ms) * 1000;
    lines.push([
      engine,
      model,
      String(batch),
      `${ms.toFixed(0)} (${Math.min(...stepMs).toFixed(0)}, ${Math.max(...stepMs).toFixed(0)})`,
      speed.toFixed(1),
      `${((100 * speed) / limitGflops).toFixed(0)} %`,
      hostMs === undefined ? '–' : hostMs.toFixed(2),
      stepBytes === undefined ? '–' : (stepBytes / 2 ** 20).toFixed(0),
      losses.map((loss) => loss.toFixed(5)).join(' '),
    ]);
  }
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  return `${lines
    .map((line) =>
      line
        .map((cell, column) => (column < 2 || column === 8 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')}\n`;
}
