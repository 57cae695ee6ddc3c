/** Other engines, each case in a process of its own, because their devices must not share ours. */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { PeerOperator } from './bench-operators.js';
import { type Contestant, ENOUGH_MS } from './bench-rounds.js';
import type { BenchModel } from './bench-step.js';

/** Engines on WebGPU, which npm installs, and PyTorch, which is used where it is. */
const NPM_PEERS = ['jax-js', 'tfjs'] as const;
const TORCH_PEERS = ['torch', 'torch-tf32', 'torch-compile'] as const;
export const PEERS = [...NPM_PEERS, ...TORCH_PEERS] as const;
export type PeerName = (typeof PEERS)[number];

const SOURCES = fileURLToPath(new URL('../../tools/peers/', import.meta.url));
export const PEER_FOLDER = join(homedir(), '.cache', 'moue', 'peers');
/** The interpreter that has PyTorch. */
const PYTHON = process.env.PYTHON ?? (process.platform === 'win32' ? 'python' : 'python3');

/** The peers that run on the kind of adapter that we run on: native code on a processor is no peer of shaders on one. */
export function usualPeers(isFallback: boolean): PeerName[] {
  return isFallback ? [...NPM_PEERS] : [...PEERS];
}

/** Makes the peers ready that are wanted. @returns those that are, and why others are not, in a sentence each. */
export function preparePeers(wanted: readonly PeerName[], python = PYTHON): { ready: PeerName[]; problems: string[] } {
  const npm = wanted.every(isOfTorch) ? undefined : installPeers();
  const torch = wanted.some(isOfTorch) ? findTorch(python) : undefined;
  return {
    ready: wanted.filter((peer) => (isOfTorch(peer) ? !torch : !npm)),
    problems: [npm, torch].filter((problem) => problem !== undefined),
  };
}

export function isOfTorch(peer: PeerName): boolean {
  return (TORCH_PEERS as readonly string[]).includes(peer);
}

/** Why there is no PyTorch, in a sentence. */
function findTorch(python: string): string | undefined {
  const { status, stderr, error } = spawnSync(python, ['-c', 'import torch'], { encoding: 'utf8' });
  if (status === 0) return undefined;
  const why = error?.message ?? stderr.trim().split('\n').at(-1) ?? `it ended with ${status}`;
  return `PyTorch is left out, because ${python} cannot import it (${why}); the environment variable PYTHON may name another interpreter.`;
}

/** Copies the peers' side of the benchmark into `folder` and installs the engines there, unless they are. @returns why that failed, in a sentence. */
export function installPeers(folder = PEER_FOLDER): string | undefined {
  mkdirSync(folder, { recursive: true });
  cpSync(SOURCES, folder, { recursive: true });
  const wanted = readPackage(folder)?.dependencies ?? {};
  const isThere = ([name, version]: [string, string]) => readPackage(join(folder, 'node_modules', name))?.version === version;
  if (Object.entries(wanted).every(isThere)) return undefined;
  process.stderr.write(`installing the peers into ${folder}\n`);
  const { status, stderr, error } = spawnSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: folder,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  if (status === 0) return undefined;
  const why = error?.message ?? stderr.trim().split('\n').at(-1) ?? `npm ended with ${status}`;
  return `${NPM_PEERS.join(' and ')} are left out, because npm cannot install them into ${folder}: ${why}`;
}

function readPackage(folder: string): { version?: string; dependencies?: Record<string, string> } | undefined {
  const path = join(folder, 'package.json');
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
}

/** What a peer is asked to time. */
export type PeerCase = PeerOperator | { model: BenchModel; batch: number };

/** What serve.mjs and pytorch.py answer. */
interface Answer {
  error?: string;
  /** What the engine calls itself, where its name does not say where it runs. */
  engine?: string;
  stepMs?: number[];
  losses?: number[];
}

/**
 * Starts an engine on a case and waits until it is warm.
 * @param adapter what --adapter says, so that it runs on the adapter that we run on
 * @throws Error where the engine cannot do the case, with its reason
 */
export async function startPeer(
  engine: PeerName,
  wanted: PeerCase,
  adapter: string | undefined,
  folder = PEER_FOLDER,
): Promise<Contestant> {
  const [command, script] = isOfTorch(engine) ? [PYTHON, join(SOURCES, 'pytorch.py')] : [process.execPath, 'serve.mjs'];
  const child = spawn(command, [script, engine, JSON.stringify({ ...wanted, enoughMs: ENOUGH_MS })], {
    cwd: folder,
    env: { ...process.env, ...(adapter && { PEER_ADAPTER: adapter }) },
  });
  const answers = answersOf(child);
  const ask = async (): Promise<Answer> => {
    const { value } = await answers.next();
    if (value && !value.error) return value;
    child.kill();
    throw new Error(value?.error ?? 'it ended without an answer');
  };
  const { losses = [], engine: label = engine } = await ask();
  return {
    engine: label,
    losses,
    async time(steps, limitMs) {
      child.stdin.write(`${JSON.stringify({ steps, limitMs })}\n`);
      const answer = await ask();
      losses.push(...(answer.losses ?? []));
      return answer.stepMs ?? [];
    },
    close: () => child.stdin.end(),
  };
}

/** The lines that are JSON; engines print banners and warnings besides. */
async function* answersOf(child: ChildProcessWithoutNullStreams): AsyncGenerator<Answer, undefined> {
  child.on('error', () => {}); // the stream then ends without an answer
  child.stdin.on('error', () => {});
  child.stderr.resume();
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('{')) yield JSON.parse(line) as Answer;
  }
  return undefined;
}
