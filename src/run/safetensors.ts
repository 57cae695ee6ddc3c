/**
 * The .safetensors file format (huggingface/safetensors, README "Format"): 8 bytes little-endian header length, a JSON header
 * `{name: {dtype, shape, data_offsets: [begin, end]}, __metadata__: {key: text}}`, then the bytes of all tensors without gaps, row-major,
 * little-endian. Typed arrays have the byte order of the processor, which is little-endian wherever this program runs.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { RunError } from '../errors.js';
import { type Disk, replaceFile } from './atomic-file.js';

/** How elements are kept in the file, with the typed array that has the same bytes. */
const STORAGE = {
  F64: Float64Array,
  I64: BigInt64Array,
  F32: Float32Array,
  I32: Int32Array,
  U32: Uint32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
} as const;
type StorageType = keyof typeof STORAGE;

/** Element types of tensors in memory: 16-bit floats are widened to F32 when read, and never written. */
export type ElementType = Exclude<StorageType, 'F16' | 'BF16'>;
export interface StoredTensor {
  dtype: ElementType;
  shape: readonly number[];
  data: Float64Array | BigInt64Array | Float32Array | Int32Array | Uint32Array | Uint8Array; // row-major, one element per product of `shape`
}
export interface Safetensors {
  tensors: Map<string, StoredTensor>;
  metadata: Record<string, string>;
}

const METADATA = '__metadata__';
const LENGTH_BYTES = 8;
/** The limit of the format's own reader: a longer header is an attack or a damaged file. */
const MAX_HEADER_BYTES = 100_000_000;

/** Writes all `tensors` and `metadata` to `path`, all or nothing. @throws RunError: full disk, read-only folder, data that do not fit their shape. */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: Readonly<Record<string, string>> = {},
  disk?: Disk,
): Promise<void> {
  // Wide elements first: every tensor then begins at a multiple of its element size, because the header's length is a multiple of 8.
  const ordered = [...tensors].sort(([, a], [, b]) => STORAGE[b.dtype].BYTES_PER_ELEMENT - STORAGE[a.dtype].BYTES_PER_ELEMENT);
  const entries: [string, unknown][] = Object.keys(metadata).length > 0 ? [[METADATA, metadata]] : [];
  let end = 0;
  for (const [name, { dtype, shape, data }] of ordered) {
    if (name === METADATA || !(data instanceof STORAGE[dtype]) || data.length !== elementCount(shape)) {
      throw new RunError(
        `not a ${dtype} tensor of shape [${shape}]`,
        'Give every tensor its own name, and data of the type and size it declares.',
        { file: path, field: name },
      );
    }
    const begin = end;
    end += data.byteLength;
    entries.push([name, { dtype, shape, data_offsets: [begin, end] }]);
  }
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const padding = Buffer.alloc((LENGTH_BYTES - (header.length % LENGTH_BYTES)) % LENGTH_BYTES, ' ');
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeBigUInt64LE(BigInt(header.length + padding.length));
  await replaceFile(
    path,
    [length, header, padding, ...ordered.map(([, { data }]) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength))],
    disk,
  );
}

/** Reads every tensor of the file at `path`. @throws RunError for a missing, truncated or inconsistent file, before any tensor is used. */
export async function readSafetensors(path: string): Promise<Safetensors> {
  const file = await open(path, 'r').catch((cause) => {
    const missing = cause.code === 'ENOENT';
    throw new RunError(
      missing ? 'does not exist' : `cannot be opened (${cause.code})`,
      'Check the path of the run folder or checkpoint.',
      { file: path },
      { cause },
    );
  });
  try {
    const status = await file.stat();
    if (!status.isFile()) throw damaged(path, 'is not a file');
    const { size } = status;
    const { entries, metadata, dataStart } = await readHeader(file, path, size);
    checkOffsets(entries, size - dataStart, path);
    const tensors = new Map<string, StoredTensor>();
    for (const { name, dtype, shape, begin } of entries) {
      const stored = new STORAGE[dtype](elementCount(shape));
      await readFully(file, new Uint8Array(stored.buffer), dataStart + begin, path);
      tensors.set(name, inMemory(dtype, shape, stored));
    }
    return { tensors, metadata };
  } finally {
    await file.close();
  }
}

interface Entry {
  name: string;
  dtype: StorageType;
  shape: number[];
  begin: number; // bytes from the start of the data
  end: number;
}

async function readHeader(
  file: FileHandle,
  path: string,
  size: number,
): Promise<{ entries: Entry[]; metadata: Record<string, string>; dataStart: number }> {
  if (size < LENGTH_BYTES) throw damaged(path, `truncated: ${size} bytes are too few for a header`);
  const prefix = Buffer.alloc(LENGTH_BYTES);
  await readFully(file, prefix, 0, path);
  const length = prefix.readBigUInt64LE();
  if (length > MAX_HEADER_BYTES)
    throw damaged(path, `header too large: ${length} bytes, at most ${MAX_HEADER_BYTES} are allowed`, 'header length');
  const dataStart = LENGTH_BYTES + Number(length);
  if (dataStart > size) throw damaged(path, `truncated: the header ends at byte ${dataStart}, the file at ${size}`, 'header length');
  const text = Buffer.alloc(Number(length));
  await readFully(file, text, LENGTH_BYTES, path);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch (cause) {
    throw damaged(path, `the header is not JSON: ${(cause as Error).message}`, 'header');
  }
  if (!isRecord(header)) throw damaged(path, 'the header is not a JSON object', 'header');
  const entries: Entry[] = [];
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(header)) {
    if (name === METADATA) metadata = checkMetadata(value, path);
    else entries.push(checkEntry(name, value, path));
  }
  return { entries, metadata, dataStart };
}

function checkMetadata(value: unknown, path: string): Record<string, string> {
  if (!isRecord(value) || !Object.values(value).every((text) => typeof text === 'string'))
    throw damaged(path, 'must map names to texts', METADATA);
  return value as Record<string, string>;
}

function checkEntry(name: string, value: unknown, path: string): Entry {
  if (!isRecord(value)) throw damaged(path, 'is not described by a JSON object', name);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(STORAGE, dtype)) {
    throw damaged(path, `unknown dtype ${JSON.stringify(dtype)}, known are ${Object.keys(STORAGE).join(', ')}`, name);
  }
  if (!isSizes(shape)) throw damaged(path, `shape ${JSON.stringify(shape)} is not a list of sizes`, name);
  if (!isSizes(offsets) || offsets.length !== 2) throw damaged(path, `data_offsets ${JSON.stringify(offsets)} are not two positions`, name);
  const [begin, end] = offsets;
  const expected = elementCount(shape) * STORAGE[dtype as StorageType].BYTES_PER_ELEMENT;
  if (end - begin !== expected)
    throw damaged(path, `wrong length: ${dtype} of shape [${shape}] takes ${expected} bytes, data_offsets hold ${end - begin}`, name);
  return { name, dtype: dtype as StorageType, shape, begin, end };
}

/** The tensors must cover the data exactly: no byte twice, none unused. */
function checkOffsets(entries: readonly Entry[], dataBytes: number, path: string): void {
  let covered = 0;
  for (const { name, begin, end } of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin < covered) throw damaged(path, `overlapping data: begins at byte ${begin}, the tensor before it ends at ${covered}`, name);
    if (begin > covered) throw damaged(path, `${begin - covered} unused bytes before the data`, name);
    if (end > dataBytes) throw damaged(path, `truncated: its data end at byte ${end}, the file's data at ${dataBytes}`, name);
    covered = end;
  }
  if (covered < dataBytes) throw damaged(path, `${dataBytes - covered} bytes after the last tensor`);
}

function inMemory(dtype: StorageType, shape: number[], stored: StoredTensor['data'] | Uint16Array): StoredTensor {
  if (!(stored instanceof Uint16Array)) return { dtype: dtype as ElementType, shape, data: stored };
  // BF16 is the upper half of an F32.
  const data =
    dtype === 'F16' ? Float32Array.from(stored, halfToNumber) : new Float32Array(Uint32Array.from(stored, (bits) => bits << 16).buffer);
  return { dtype: 'F32', shape, data };
}

/** IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

async function readFully(file: FileHandle, into: Uint8Array, position: number, path: string): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const { bytesRead } = await file.read(into, done, Math.min(into.length - done, 2 ** 30), position + done);
    if (bytesRead === 0) throw damaged(path, `truncated at byte ${position + done}`);
    done += bytesRead;
  }
}

function damaged(path: string, problem: string, field?: string): RunError {
  return new RunError(problem, 'The file is damaged or no .safetensors file: copy it again, or use another checkpoint of the run.', {
    file: path,
    field,
  });
}

function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
