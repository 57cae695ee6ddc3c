import * as fs from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { RunError } from '../errors.js';

/** The calls through which a file is replaced; tests put a failing disk here. */
export type Disk = Pick<typeof fs, 'open' | 'rename' | 'rm'>;

/** Ending of a file that is being written. A killed process leaves one behind: nothing reads it, and the next write replaces it. */
const PARTIAL = '.partial';

/**
 * Replaces the file at `path` by `chunks`, all or nothing: whoever opens `path`, even after the process was killed or the power lost,
 * finds either the earlier content or the new one. @throws RunError (full disk, folder not writable), with the earlier file intact.
 */
export async function replaceFile(path: string, chunks: Iterable<Uint8Array | string>, disk: Disk = fs): Promise<void> {
  const partial = path + PARTIAL;
  try {
    const file = await disk.open(partial, 'w');
    try {
      for (const chunk of chunks) await file.writeFile(chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await disk.rename(partial, path);
    await syncFolder(dirname(path), disk);
  } catch (cause) {
    await disk.rm(partial, { force: true }).catch(() => {}); // the first failure is the one to report
    throw storageError(cause, path);
  }
}

/** Removes what killed processes left half-written in `folder`. */
export async function removePartialFiles(folder: string): Promise<void> {
  for (const name of await fs.readdir(folder)) {
    if (name.endsWith(PARTIAL)) await fs.rm(join(folder, name), { force: true });
  }
}

/**
 * Says what a failed write to `path`, which `option` names, means and what to do about it. Anything but an error of the file system is given back
 * unchanged.
 */
export function storageError(cause: unknown, path: string, option = '--out'): unknown {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  if (!(cause instanceof Error) || cause instanceof RunError || code === undefined) return cause;
  const [problem, remedy] = diagnose(code, dirname(path), option);
  return new RunError(`cannot be written: ${problem} (${code})`, remedy, { file: path }, { cause });
}

function diagnose(code: string, folder: string, option: string): [problem: string, remedy: string] {
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return [
        'the disk is full',
        `Make room on the disk of ${folder}; the files already there are intact, and --resume continues from the last checkpoint.`,
      ];
    case 'EFBIG':
      return ['the file would be larger than is allowed here', `Raise the limit (ulimit -f) or write to another disk with ${option}.`];
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return ['the folder is read-only', `Allow writing to ${folder}, or name another folder with ${option}.`];
    case 'ENOENT':
    case 'ENOTDIR':
      return ['its folder does not exist', `Create the folder ${folder}, or name another one with ${option}.`];
    case 'EISDIR':
    case 'EEXIST':
      return ['a folder or file of this name is in the way', `Move it away, or name another folder with ${option}.`];
    default:
      return ['the disk reported an error', `Check the disk of ${folder}, or name another folder with ${option}.`];
  }
}

/** Makes the renaming itself durable. Windows can neither open a folder nor needs to. */
async function syncFolder(folder: string, disk: Disk): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await disk.open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
