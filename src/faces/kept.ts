import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { deserialize, serialize } from 'node:v8';
import type { Dataset, DatasetOptions } from './face-set.js';

/** Datasets kept at a time; FER+ takes 85 MB. */
const MOST_KEPT = 4;

/** The modules that make faces of files and numbers. */
const CODE = ['..', '.', '../labels'].map((room) => fileURLToPath(new URL(`${room}/`, import.meta.url)));

/**
 * What `read` gives, from the folder `keepIn` where an earlier call left it there; read and kept otherwise. Kept under the path, size and time of
 * `files`, the options, and the text of the code that reads: a changed file or reader is read anew.
 */
export async function keptDataset(
  files: readonly string[],
  { keepIn, onProgress: _, ...options }: DatasetOptions,
  read: () => Promise<Dataset>,
): Promise<Dataset> {
  if (keepIn === undefined) return read();
  const hash = createHash('sha256').update(JSON.stringify(options));
  for (const file of files) {
    const { size, mtimeMs } = statSync(file);
    hash.update(JSON.stringify([path.resolve(file), size, mtimeMs]));
  }
  for (const folder of CODE)
    for (const name of readdirSync(folder).sort()) if (name.endsWith('.js')) hash.update(readFileSync(path.join(folder, name)));
  const kept = path.join(keepIn, `${hash.digest('hex').slice(0, 32)}.faces`);
  try {
    // At once: between the parts of an asynchronous read the host would parse shaders, though the device waits for the faces.
    return deserialize(readFileSync(kept)) as Dataset;
  } catch {
    // Not there, or cut off: read anew.
  }
  const dataset = await read();
  await keep(kept, serialize(dataset)).catch(() => {}); // a full or read-only disk makes the next start slower, nothing else
  return dataset;
}

/** Writes a file all or nothing, and removes the oldest of its kind beyond MOST_KEPT. */
async function keep(file: string, bytes: Uint8Array): Promise<void> {
  const folder = path.dirname(file);
  await mkdir(folder, { recursive: true });
  const partial = `${file}.${process.pid}`;
  await writeFile(partial, bytes);
  await rename(partial, file);
  const names = (await readdir(folder)).map((name) => path.join(folder, name));
  const times = await Promise.all(names.map(async (name) => ({ name, time: (await stat(name)).mtimeMs })));
  for (const { name } of times.sort((a, b) => b.time - a.time).slice(MOST_KEPT)) await rm(name, { force: true });
}
