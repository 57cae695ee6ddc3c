import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { InputError } from '../errors.js';

/** No dataset has longer lines; without a bound a file of another kind would be gathered in memory as one line. */
const LONGEST_LINE_BYTES = 1 << 22;
const CHUNK_BYTES = 1 << 18;

const NEWLINE = 10;
const CARRIAGE_RETURN = 13;

/**
 * The bytes of a plain or gzipped file as a stream; which of the two is told by the first bytes, not by the name.
 * Errors of the stream are InputErrors: a missing or unreadable file, a truncated or damaged gzip.
 */
export async function openBytes(file: string): Promise<Readable> {
  const zipped = await isGzip(file); // also meets what is wrong with the file, before a stream could emit it to nobody
  const source = createReadStream(file, { highWaterMark: CHUNK_BYTES });
  if (!zipped) return source;
  const gunzip = createGunzip({ chunkSize: CHUNK_BYTES });
  return pipeline(source, gunzip, () => {}); // the reader of the stream meets the error
}

/** The lines of a plain or gzipped text file, without their ends; a line is valid until the next one is asked for. */
export async function* readLines(file: string): AsyncGenerator<Buffer> {
  const bytes = await openBytes(file);
  let rest: Buffer = Buffer.alloc(0);
  let lines = 0;
  try {
    for await (const chunk of bytes as AsyncIterable<Buffer>) {
      let start = 0;
      for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
        const head = chunk.subarray(start, end);
        yield withoutReturn(rest.length > 0 ? Buffer.concat([rest, head]) : head);
        lines++;
        rest = rest.subarray(0, 0);
        start = end + 1;
      }
      rest = Buffer.concat([rest, chunk.subarray(start)]);
      if (rest.length > LONGEST_LINE_BYTES) {
        throw new InputError(`no end within ${LONGEST_LINE_BYTES} bytes`, 'This is no text file of rows; give the dataset file itself.', {
          file,
          line: lines + 1,
        });
      }
    }
  } catch (error) {
    throw readingError(error, file, lines);
  }
  if (rest.length > 0) yield withoutReturn(rest);
}

/** What the system or zlib says about a file, as an InputError; `lines` were read before. Other errors are returned unchanged. */
export function readingError(error: unknown, file: string, lines?: number): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  const remedy = typeof code === 'string' ? REMEDIES[code] : undefined;
  if (error instanceof InputError || remedy === undefined) return error;
  const [message, advice] = remedy;
  return new InputError(lines ? `${message} after ${lines} lines` : message, advice, { file }, { cause: error });
}

const REMEDIES: Record<string, [message: string, advice: string]> = {
  ENOENT: ['there is no such file', 'Check the path.'],
  ENOTDIR: ['there is no such file', 'Check the path.'],
  EISDIR: ['is a folder, not a file', 'Give the file itself.'],
  EACCES: ['may not be read', 'Give yourself permission to read it.'],
  EPERM: ['may not be read', 'Give yourself permission to read it.'],
  EIO: ['cannot be read from its disk', 'Copy the file anew.'],
  Z_BUF_ERROR: ['the gzip file ends too early', 'It was cut off; download or copy it again.'],
  Z_DATA_ERROR: ['the gzip file is damaged', 'Download or copy it again.'],
};

async function isGzip(file: string): Promise<boolean> {
  try {
    const handle = await open(file);
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(2), 0, 2, 0).finally(() => handle.close());
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } catch (error) {
    throw readingError(error, file);
  }
}

function withoutReturn(line: Buffer): Buffer {
  return line.at(-1) === CARRIAGE_RETURN ? line.subarray(0, -1) : line;
}
