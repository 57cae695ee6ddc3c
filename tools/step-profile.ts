/** Where the time of a program goes: its launches timed one by one, summed by shader, and set against what the adapter can do. */
import type { Program } from '#src/tensor/program.js';
import { type Limits, median } from './limits.js';

/** One launch of a program, its time the median over several runs. */
export interface TimedLaunch {
  /** Shader with constants, and the shapes of its tensors. */
  label: string;
  /** Shader with constants. */
  shader: string;
  timeMs: number;
  /** Multiply-adds counted twice; 0 where the operator does not say. */
  flops: number;
  /** Bytes of the bound tensors, each once: a lower bound of the traffic. */
  bytes: number;
  groups: readonly [number, number, number];
}

export async function timeLaunches(program: Program, runs: number): Promise<TimedLaunch[]> {
  const times: number[][] = program.launches.map(() => []);
  await program.profile(); // compiles what has not run yet, and fills caches
  for (let run = 0; run < runs; run++) {
    for (const [i, { timeMs }] of (await program.profile()).entries()) times[i].push(timeMs);
  }
  return program.launches.map(({ label, shader, flops, bytes, groups }, i) => {
    return { label, shader: shader.label, timeMs: median(times[i]), flops, bytes, groups };
  });
}

/** Several launches taken together. Rates are 0 where there is nothing to count. */
export interface ProfileRow {
  name: string;
  launches: number;
  timeMs: number;
  /** Part of the time of all launches. */
  share: number;
  gflops: number;
  /** Part of the measured multiply-add limit. */
  gflopsShare: number;
  GBps: number;
  /** Part of what a copying shader moves. Above 1 where tensors stay in a cache. */
  GBpsShare: number;
}

/** Sums launches by shader or by label (shader and shapes); the slowest row first. */
export function tabulate(launches: readonly TimedLaunch[], limits: Limits, by: 'shader' | 'launch' = 'shader'): ProfileRow[] {
  const groups = new Map<string, TimedLaunch[]>();
  for (const launch of launches) {
    const name = by === 'shader' ? launch.shader : launch.label;
    groups.set(name, [...(groups.get(name) ?? []), launch]);
  }
  const allMs = sumOf(launches, (launch) => launch.timeMs);
  return [...groups].map(([name, members]) => toRow(name, members, allMs, limits)).sort((a, b) => b.timeMs - a.timeMs);
}

export function totalRow(launches: readonly TimedLaunch[], limits: Limits): ProfileRow {
  return toRow(
    'all',
    launches,
    sumOf(launches, (launch) => launch.timeMs),
    limits,
  );
}

function toRow(name: string, launches: readonly TimedLaunch[], allMs: number, limits: Limits): ProfileRow {
  const timeMs = sumOf(launches, (launch) => launch.timeMs);
  const perSecond = (amount: number) => (timeMs > 0 ? amount / timeMs / 1e6 : 0);
  const gflops = perSecond(sumOf(launches, (launch) => launch.flops));
  const GBps = perSecond(sumOf(launches, (launch) => launch.bytes));
  return {
    name,
    launches: launches.length,
    timeMs,
    share: allMs > 0 ? timeMs / allMs : 0,
    gflops,
    gflopsShare: gflops / limits.multiplyAddGflops,
    GBps,
    GBpsShare: GBps / limits.shaderCopyGBps,
  };
}

const HEADINGS = ['', 'launches', 'ms', 'share', 'GFLOP/s', 'of limit', 'GB/s', 'of limit'];

/** Columns aligned, the names to the left; what an operator does not count is left blank. */
export function formatRows(rows: readonly ProfileRow[], what: string): string {
  const percent = (value: number) => `${(100 * value).toFixed(value < 0.0995 ? 1 : 0)} %`;
  const blankIfZero = (value: number, text: string) => (value === 0 ? '' : text);
  const cells = rows.map((row) => [
    row.name,
    String(row.launches),
    row.timeMs.toFixed(3),
    percent(row.share),
    blankIfZero(row.gflops, row.gflops.toFixed(1)),
    blankIfZero(row.gflops, percent(row.gflopsShare)),
    blankIfZero(row.GBps, row.GBps.toFixed(2)),
    blankIfZero(row.GBps, percent(row.GBpsShare)),
  ]);
  const table = [[what, ...HEADINGS.slice(1)], ...cells];
  const widths = HEADINGS.map((_, column) => Math.max(...table.map((row) => row[column].length)));
  return table
    .map((row) =>
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function sumOf<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((sum, item) => sum + value(item), 0);
}
