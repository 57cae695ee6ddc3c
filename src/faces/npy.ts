import { readFileSync } from 'node:fs';
import { InputError } from '../errors.js';
import { readingError } from './lines.js';

/** Values that a NumPy type descriptor gives, in little-endian order. */
const NUMBERS: Record<string, (view: DataView) => number> = {
  i1: (view) => view.getInt8(0),
  u1: (view) => view.getUint8(0),
  i2: (view) => view.getInt16(0, true),
  u2: (view) => view.getUint16(0, true),
  i4: (view) => view.getInt32(0, true),
  u4: (view) => view.getUint32(0, true),
  i8: (view) => Number(view.getBigInt64(0, true)),
  u8: (view) => Number(view.getBigUint64(0, true)),
  f4: (view) => view.getFloat32(0, true),
  f8: (view) => view.getFloat64(0, true),
};

/**
 * The one number in a file of NumPy's format (NEP 1): an array of no dimensions or of one element, of numbers or of text that spells one.
 * @throws InputError for anything else
 */
export function readNpyNumber(file: string): number {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw readingError(error, file);
  }
  const fail = (problem: string) => new InputError(problem, 'Copy the file anew.', { file });
  if (bytes.length < 12 || bytes.toString('latin1', 0, 6) !== '\x93NUMPY') throw fail('is no .npy file');
  const [start, length] = bytes[6] === 1 ? [10, bytes.readUInt16LE(8)] : [12, bytes.readUInt32LE(8)]; // of the header, by the version
  const header = bytes.toString('latin1', start, start + length);
  const [, order, kind, size] = /'descr': *'([<|=>]?)([a-zA-Z])(\d+)'/.exec(header) ?? [];
  const shape = /'shape': *\(([\d, ]*)\)/.exec(header)?.[1];
  if (kind === undefined || shape === undefined || order === '>') throw fail('the header of the .npy file is not understood');
  const extents = shape.split(',').filter((extent) => extent.trim() !== '');
  if (!extents.every((extent) => Number(extent) === 1)) throw fail(`holds an array of shape (${shape}), not one number`);
  const data = bytes.subarray(start + length);
  const itemBytes = Number(size) * (kind === 'U' ? 4 : 1);
  if (data.length !== itemBytes || itemBytes === 0) throw fail('the .npy file is cut off');
  const value = kind === 'U' || kind === 'S' ? spelt(data, kind) : NUMBERS[`${kind}${size}`]?.(new DataView(data.buffer, data.byteOffset));
  if (value === undefined || !Number.isFinite(value)) throw fail(`holds no number (type ${kind}${size})`);
  return value;
}

/** Text of 4-byte characters (U) or of single bytes (S), filled up with zeros. */
function spelt(data: Buffer, kind: 'U' | 'S'): number {
  const characters = kind === 'S' ? data : Buffer.from(data.filter((_, at) => at % 4 === 0));
  const text = characters.toString('latin1').replaceAll('\0', '').trim();
  return text === '' ? Number.NaN : Number(text);
}
