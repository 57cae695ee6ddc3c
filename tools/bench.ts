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
import yargs from 'yargs';
import { UsageError } from '#src/errors.js';
import { openGpu } from '#src/gpu/dawn.js';
import type { Gpu } from '#src/gpu/gpu.js';
import { runCommand } from '#src/run/command.js';
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

await runCommand(async (args) => {
  const options = await yargs(args)
    .scriptName('node dist/tools/bench.js')
    .usage('Times training steps on made-up batches of 48×48 grey faces.')
    .option('models', { type: 'string', default: BENCH_MODELS.join(), describe: 'Which, separated by commas' })
    .option('batch', { type: 'number', describe: 'Faces per step [default: m1, small 64; vgg13, resnet18 32]' })
    .option('steps', { type: 'number', default: 5, describe: 'Timed steps per round, after two that are not' })
    .option('rounds', { type: 'number', default: 2, describe: 'Rounds over all engines' })
    .option('peer', {
      type: 'boolean',
      default: false,
      describe: 'Time jax-js beside us on m1; installed on demand into ~/.cache/moue/peers',
    })
    .option('adapter', { type: 'string', describe: "Part of the adapter's name, or 'software'" })
    .option('unsafe', { type: 'boolean', default: false, describe: "Leave out the driver's bounds checks" })
    .option('json', { type: 'boolean', default: false, describe: 'Print one JSON object' })
    .strict()
    .fail((message) => {
      throw new UsageError(message, 'See node dist/tools/bench.js --help.');
    })
    .parseAsync();
  const names = options.models.split(',') as BenchModel[];
  for (const name of names)
    if (!BENCH_MODELS.includes(name))
      throw new UsageError(`no model ${name}`, `Choose from ${BENCH_MODELS.join(', ')}.`, { field: '--models' });

  const gpu = await openGpu({ adapter: options.adapter, unsafe: options.unsafe });
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
