/** Rounds over several engines, and what they come to. */
import type { Limits } from './limits.js';
import { median } from './limits.js';

/** An engine that is ready to run a case. */
export interface Contestant {
  engine: string;
  /** Losses of the steps so far, the first ones first; none for an operator. */
  losses: number[];
  /** So many times of a step in ms, each the mean over as many in a row as fill ENOUGH_MS; fewer where `limitMs` is reached, but at least one. */
  time(steps: number, limitMs: number): Promise<number[]>;
  close(): void;
}

export interface Timing {
  engine: string;
  /** Times of a step. */
  stepMs: number[];
  losses: number[];
}

/** One case: our engine first, then the peers that can do it. */
export interface Row {
  name: string;
  timings: Timing[];
  /** Multiply-adds counted twice. */
  gflop: number;
  /** Traffic at least, for an operator. */
  gigabytes?: number;
  /** Time that our JavaScript takes per step. */
  hostMs?: number;
  /** Our planned memory. */
  stepBytes?: number;
  absent: Absence[];
}

/** A peer that could not do a case, and why. */
export interface Absence {
  engine: string;
  reason: string;
}

export function absenceOf(engine: string, error: unknown): Absence {
  return { engine, reason: error instanceof Error ? error.message : String(error) };
}

/** What is shorter is repeated: a step on a GPU may take less time than to wait for it. */
export const ENOUGH_MS = 100;
/** A round of one contestant ends after this time, so that a slow peer does not take the day. */
const ROUND_MS = 20_000;
const LOSSES_SHOWN = 4;

/**
 * Lets all engines run their steps in turn, round after round: a machine that speeds up or slows down treats them alike. A peer that fails on the way
 * is left out.
 */
export async function playRounds(
  ours: Contestant,
  peers: readonly Contestant[],
  rounds: number,
  steps: number,
): Promise<{ timings: Timing[]; failures: Absence[] }> {
  const times = new Map<Contestant, number[]>([ours, ...peers].map((contestant) => [contestant, []]));
  const failures: Absence[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const [contestant, stepMs] of times) {
      try {
        stepMs.push(...(await contestant.time(steps, ROUND_MS)));
      } catch (error) {
        if (contestant === ours) throw error;
        failures.push(absenceOf(contestant.engine, error));
        times.delete(contestant);
      }
    }
  }
  const timings = [...times].map(([{ engine, losses }, stepMs]) => ({ engine, stepMs, losses: losses.slice(0, LOSSES_SHOWN) }));
  return { timings, failures };
}

/** How a row stands against the adapter and the peers. */
export interface Standing {
  ms: number;
  gflops: number;
  GBps: number;
  /** Share of the limit that binds it: multiply-adds, or the traffic of a copying shader. */
  share: number;
  bound: 'arithmetic' | 'traffic';
  /** Median of the fastest peer over our own; absent without peers. */
  ratio?: number;
}

export function standingOf({ timings, gflop, gigabytes = 0 }: Row, limits: Limits): Standing {
  const [own, ...peers] = timings.map(({ stepMs }) => median(stepMs));
  const gflops = (gflop / own) * 1000;
  const GBps = (gigabytes / own) * 1000;
  const arithmetic = gflops / limits.multiplyAddGflops;
  const traffic = GBps / limits.shaderCopyGBps;
  return {
    ms: own,
    gflops,
    GBps,
    share: Math.max(arithmetic, traffic),
    bound: traffic > arithmetic ? 'traffic' : 'arithmetic',
    ...(peers.length > 0 && { ratio: Math.min(...peers) / own }),
  };
}

/** The largest relative difference between the losses of two engines, over the steps that both show. */
export function lossDifference(ours: readonly number[], theirs: readonly number[]): number {
  const shared = ours.slice(0, theirs.length);
  return Math.max(0, ...shared.map((loss, i) => (Number.isFinite(theirs[i]) ? Math.abs(loss - theirs[i]) / Math.abs(loss) : Infinity)));
}

/** All rows under one another, then the losses of the steps, and what no peer could do. */
export function formatTable(rows: readonly Row[], limits: Limits): string {
  const peers = [...new Set(rows.flatMap(({ timings }) => timings.slice(1).map(({ engine }) => engine)))];
  const peerHeadings = peers.length > 0 ? [...peers.map((peer) => `${peer} ms`), 'best peer / ours'] : [];
  const lines = [['', 'ms (least, most)', 'rate', 'of limit', 'JavaScript ms', 'step MiB', ...peerHeadings]];
  for (const row of rows) {
    const { ms, gflops, GBps, share, bound, ratio } = standingOf(row, limits);
    const [{ stepMs }] = row.timings;
    const timeOf = (peer: string) => row.timings.find(({ engine }) => engine === peer)?.stepMs;
    lines.push([
      row.name,
      `${figure(ms)} (${figure(Math.min(...stepMs))}, ${figure(Math.max(...stepMs))})`,
      bound === 'traffic' ? `${figure(GBps)} GB/s` : `${figure(gflops)} GFLOP/s`,
      `${(100 * share).toFixed(0)} %`,
      row.hostMs === undefined ? '' : row.hostMs.toFixed(2),
      row.stepBytes === undefined ? '' : mebibytes(row.stepBytes),
      ...peers.map((peer) => (timeOf(peer) ? figure(median(timeOf(peer)!)) : '')),
      ...(peers.length > 0 ? [ratio === undefined ? '' : `${ratio.toFixed(1)}×`] : []),
    ]);
  }
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const table = lines.map((line) =>
    line
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])))
      .join('  ')
      .trimEnd(),
  );
  return `${[...table, ...formatLosses(rows), ...formatAbsences(rows)].join('\n')}\n`;
}

/** Three digits that count. */
function figure(value: number): string {
  return value.toFixed(value >= 99.5 ? 0 : value >= 9.95 ? 1 : 2);
}

/** Whole, or of few two digits that count. */
function mebibytes(bytes: number): string {
  const value = bytes / 2 ** 20;
  return `${value < 10 ? Number(value.toPrecision(2)) : Math.round(value)}`;
}

function formatLosses(rows: readonly Row[]): string[] {
  const steps = rows.filter(({ timings }) => timings[0].losses.length > 0);
  if (steps.length === 0) return [];
  const lines = steps.map(({ name, timings: [own, ...peers] }) => {
    const drawn = peers.filter(({ losses }) => losses.length > 0);
    const peerTexts = drawn.map(({ engine, losses }) => `${engine} differs by ${(100 * lossDifference(own.losses, losses)).toFixed(3)} %`);
    return [`${name}: ${own.losses.map((loss) => loss.toFixed(5)).join(' ')}`, ...peerTexts].join(', ');
  });
  return ['', 'First losses:', ...lines];
}

function formatAbsences(rows: readonly Row[]): string[] {
  const lines = rows.flatMap(({ name, absent }) => absent.map(({ engine, reason }) => `${engine} is absent from '${name}': ${reason}`));
  return lines.length > 0 ? ['', ...lines] : [];
}
