import * as fs from 'node:fs/promises';
import type { Disk } from '#src/run/atomic-file.js';

/** A disk that takes `capacityBytes` of a file and then reports `code`, as the system does: what fits has been written by then. */
export function failingDisk(code: string, capacityBytes: number): Disk {
  const failure = () => Object.assign(new Error(`${code}: write`), { code });
  return {
    rename: fs.rename,
    rm: fs.rm,
    async open(path, flags) {
      if (capacityBytes === 0) throw failure();
      const file = await fs.open(path, flags);
      let room = capacityBytes;
      const writeFile = file.writeFile.bind(file);
      file.writeFile = async (chunk) => {
        const bytes = Buffer.from(chunk as Uint8Array);
        await writeFile(bytes.subarray(0, room));
        room -= bytes.length;
        if (room < 0) throw failure();
      };
      return file;
    },
  };
}
