/** Other engines, each case in a process of its own, because their devices must not share ours. */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ComparedModel } from './bench-models.js';
import type { PeerOperator } from './bench-operators.js';
import type { Contestant } from './bench-rounds.js';

export const PEERS = ['jax-js', 'tfjs'] as const;
export type PeerName = (typeof PEERS)[number];

const SOURCES = fileURLToPath(new URL('../../tools/peers/', import.meta.url));
export const PEER_FOLDER = join(homedir(), '.cache', 'moue', 'peers');

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
  return `The peers are left out, because npm cannot install them into ${folder}: ${why}`;
}

function readPackage(folder: string): { version?: string; dependencies?: Record<string, string> } | undefined {
  const path = join(folder, 'package.json');
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
}

/** What serve.mjs answers. */
interface Answer {
  error?: string;
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
  wanted: PeerOperator | { model: ComparedModel },
  adapter: string | undefined,
  folder = PEER_FOLDER,
): Promise<Contestant> {
  const child = spawn(process.execPath, ['serve.mjs', engine, JSON.stringify(wanted)], {
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
  const losses = (await ask()).losses ?? [];
  return {
    engine,
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
