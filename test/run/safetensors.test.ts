import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RunError } from '#src/errors.js';
import { readSafetensors, type StoredTensor, writeSafetensors } from '#src/run/safetensors.js';
import { assert, rejects, suite } from '../support/suite.js';
import { failingDisk } from './failing-disk.js';
import { scratchFolder } from './scratch.js';

const folder = scratchFolder();
let count = 0;
const freshPath = () => join(folder, `${count++}.safetensors`);

/** A file put together by hand: the header as given, then the data. */
function craft(header: unknown, data: readonly number[] = [], headerLength?: number): string {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = headerLength ?? text.length;
  const prefix = [0, 1, 2, 3].map((byte) => (length >>> (8 * byte)) & 255);
  const path = freshPath();
  writeFileSync(path, Buffer.concat([Uint8Array.from([...prefix, 0, 0, 0, 0]), text, Uint8Array.from(data)]));
  return path;
}

const ALL_TYPES = new Map<string, StoredTensor>([
  ['truth', { dtype: 'BOOL', shape: [3], data: Uint8Array.from([1, 0, 1]) }],
  ['bytes', { dtype: 'U8', shape: [1, 2], data: Uint8Array.from([7, 255]) }],
  ['weight', { dtype: 'F32', shape: [2, 2], data: Float32Array.from([1.5, -0, NaN, Infinity]) }],
  ['exact', { dtype: 'F64', shape: [], data: Float64Array.from([Math.PI]) }],
  ['steps', { dtype: 'I64', shape: [2], data: BigInt64Array.from([-1n, 2n ** 60n]) }],
  ['signed', { dtype: 'I32', shape: [1], data: Int32Array.from([-2]) }],
  ['counter', { dtype: 'U32', shape: [1], data: Uint32Array.from([4294967295]) }],
  ['nothing', { dtype: 'F32', shape: [0, 5], data: new Float32Array(0) }],
]);

suite('safetensors', (test) => {
  test('the bytes written are those of the format', async () => {
    const path = freshPath();
    const tensors = new Map<string, StoredTensor>([
      ['flag', { dtype: 'U8', shape: [1], data: Uint8Array.from([9]) }],
      ['pair', { dtype: 'F32', shape: [2], data: Float32Array.from([1, -2]) }],
    ]);
    await writeSafetensors(path, tensors, { note: 'é' });
    const bytes = readFileSync(path);
    const headerLength = bytes[0] + 256 * bytes[1]; // the six other bytes of the length are 0
    assert.equal([...bytes.subarray(2, 8)], [0, 0, 0, 0, 0, 0]);
    assert.is(headerLength % 8, 0);
    const header = bytes.toString('utf8', 8, 8 + headerLength);
    assert.is(
      header.trimEnd(),
      '{"__metadata__":{"note":"é"},"pair":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"flag":{"dtype":"U8","shape":[1],"data_offsets":[8,9]}}',
    );
    // 1 is 0x3f800000 and -2 is 0xc0000000, least significant byte first.
    assert.equal([...bytes.subarray(8 + headerLength)], [0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 9]);
  });

  test('every type and shape comes back, from views too', async () => {
    const path = freshPath();
    const view = Float32Array.from([0, 1, 2, 3]).subarray(1, 3);
    await writeSafetensors(path, new Map([...ALL_TYPES, ['view', { dtype: 'F32', shape: [2], data: view }]]), { a: 'b', c: '' });
    const { tensors, metadata } = await readSafetensors(path);
    assert.equal(metadata, { a: 'b', c: '' });
    assert.is(tensors.size, ALL_TYPES.size + 1);
    for (const [name, { dtype, shape, data }] of ALL_TYPES) {
      const read = tensors.get(name)!;
      assert.equal([read.dtype, read.shape], [dtype, shape]);
      assert.is(read.data.constructor, data.constructor);
      assert.equal(Buffer.from(read.data.buffer), Buffer.from(data.buffer), name); // bitwise: -0 and NaN too
    }
    assert.equal([...(tensors.get('view')!.data as Float32Array)], [1, 2]);
  });

  test('tensors begin at multiples of their element size', async () => {
    const path = freshPath();
    await writeSafetensors(path, ALL_TYPES);
    const bytes = readFileSync(path);
    const headerLength = bytes.readUInt32LE(0);
    const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength)) as Record<string, { data_offsets: [number, number] }>;
    for (const [name, { data }] of ALL_TYPES)
      assert.is((8 + headerLength + header[name].data_offsets[0]) % data.BYTES_PER_ELEMENT, 0, name);
  });

  test('16-bit floats are widened', async () => {
    // binary16: 1, -2, smallest subnormal 2^-24, largest 65504, infinity, NaN, 0.333251953125
    const half = [0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x7e00, 0x3555].flatMap((bits) => [bits & 255, bits >> 8]);
    const brain = [0x3f80, 0xc000, 0x7f80, 0x7fc0, 0x3eab].flatMap((bits) => [bits & 255, bits >> 8]);
    const path = craft(
      { h: { dtype: 'F16', shape: [7], data_offsets: [0, 14] }, b: { dtype: 'BF16', shape: [5], data_offsets: [14, 24] } },
      [...half, ...brain],
    );
    const { tensors } = await readSafetensors(path);
    assert.is(tensors.get('h')!.dtype, 'F32');
    assert.equal([...(tensors.get('h')!.data as Float32Array)], [1, -2, 2 ** -24, 65504, Infinity, NaN, 0.333251953125]);
    assert.equal([...(tensors.get('b')!.data as Float32Array)], [1, -2, Infinity, NaN, 0.333984375]);
  });

  test('data need not be aligned to be read', async () => {
    const path = craft(
      { flag: { dtype: 'U8', shape: [1], data_offsets: [0, 1] }, one: { dtype: 'F32', shape: [1], data_offsets: [1, 5] } },
      [7, 0, 0, 0x80, 0x3f],
    );
    const { tensors } = await readSafetensors(path);
    assert.equal([tensors.get('one')!.data[0], tensors.get('flag')!.data[0]], [1, 7]);
  });

  const oneByte = { dtype: 'U8', shape: [1], data_offsets: [0, 1] };
  const refused: [what: string, file: () => string, ...parts: string[]][] = [
    ['a missing file', freshPath, 'does not exist', 'Check the path'],
    ['a folder', () => folder, 'is not a file'],
    [
      'an empty file',
      () => {
        const path = freshPath();
        writeFileSync(path, '');
        return path;
      },
      'truncated: 0 bytes',
    ],
    ['a header longer than the file', () => craft({}, [], 500), 'header length', 'truncated'],
    ['a header beyond the limit', () => craft({}, [], 100_000_001), 'header too large'],
    ['a header that is no JSON', () => craft('{"a": '), 'header', 'not JSON'],
    ['a header that is no UTF-8', () => craft({}, [0xff, 0xfe], 4), 'header', 'not JSON'],
    ['a header that is a list', () => craft([]), 'not a JSON object'],
    ['metadata with a number', () => craft({ __metadata__: { a: 1 } }), '__metadata__', 'texts'],
    ['an entry that is a number', () => craft({ a: 1 }), ', a:', 'not described'],
    ['an unknown dtype', () => craft({ a: { ...oneByte, dtype: 'F8_E4M3' } }, [0]), ', a:', 'unknown dtype "F8_E4M3"', 'BF16'],
    ['a dtype of the prototype', () => craft({ a: { ...oneByte, dtype: 'constructor' } }, [0]), 'unknown dtype'],
    ['a negative size', () => craft({ a: { ...oneByte, shape: [-1] } }, [0]), ', a:', 'shape [-1]'],
    ['a shape that is a text', () => craft({ a: { ...oneByte, shape: '1' } }, [0]), 'not a list of sizes'],
    ['one offset', () => craft({ a: { ...oneByte, data_offsets: [0] } }, [0]), ', a:', 'not two positions'],
    ['a fractional offset', () => craft({ a: { ...oneByte, data_offsets: [0, 1.5] } }, [0]), 'not two positions'],
    [
      'a length that differs from the shape',
      () => craft({ a: { ...oneByte, shape: [2] } }, [0]),
      ', a:',
      'wrong length',
      'takes 2 bytes',
      'hold 1',
    ],
    ['offsets in the wrong order', () => craft({ a: { ...oneByte, data_offsets: [1, 0] } }, [0]), 'wrong length'],
    [
      'overlapping tensors',
      () =>
        craft({ a: { dtype: 'U8', shape: [2], data_offsets: [0, 2] }, b: { dtype: 'U8', shape: [2], data_offsets: [1, 3] } }, [0, 0, 0]),
      ', b:',
      'overlapping',
    ],
    [
      'a gap between tensors',
      () => craft({ a: oneByte, b: { dtype: 'U8', shape: [1], data_offsets: [2, 3] } }, [0, 0, 0]),
      ', b:',
      '1 unused bytes',
    ],
    ['truncated data', () => craft({ a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] } }, [0, 0, 0]), ', a:', 'truncated', 'byte 8'],
    ['bytes after the last tensor', () => craft({ a: oneByte }, [0, 0]), '1 bytes after the last tensor'],
  ];
  for (const [what, file, ...parts] of refused) {
    test(`refuses ${what}`, async () => {
      const path = file();
      const error = (await rejects(() => readSafetensors(path), RunError, path, ...parts)) as RunError;
      assert.is(error.place.file, path);
      assert.ok(error.remedy.length > 10);
    });
  }

  test('refuses every truncation of a good file', async () => {
    const whole = freshPath();
    await writeSafetensors(whole, ALL_TYPES);
    const bytes = readFileSync(whole);
    const cut = freshPath();
    for (let length = 0; length < bytes.length; length += 5) {
      writeFileSync(cut, bytes.subarray(0, length));
      await rejects(() => readSafetensors(cut), RunError, cut);
    }
  });

  test('refuses to write data that do not fit their shape, their type, or the name of the metadata', async () => {
    const path = freshPath();
    const data = Float32Array.from([1, 2]);
    await rejects(() => writeSafetensors(path, new Map([['a', { dtype: 'F32', shape: [3], data }]])), RunError, ', a:', 'shape [3]');
    await rejects(() => writeSafetensors(path, new Map([['a', { dtype: 'U32', shape: [2], data }]])), RunError, ', a:', 'not a U32 tensor');
    await rejects(() => writeSafetensors(path, new Map([['__metadata__', { dtype: 'F32', shape: [2], data }]])), RunError, '__metadata__');
    assert.ok(!readdirSync(folder).includes(path));
  });

  test('a full disk in the middle of the data leaves the earlier file readable', async () => {
    const path = freshPath();
    await writeSafetensors(path, ALL_TYPES, { version: 'earlier' });
    const size = readFileSync(path).length;
    await rejects(
      () => writeSafetensors(path, ALL_TYPES, { version: 'later' }, failingDisk('ENOSPC', size - 10)),
      RunError,
      path,
      'the disk is full',
      'Make room',
    );
    assert.is((await readSafetensors(path)).metadata.version, 'earlier');
    assert.not(readdirSync(folder).some((name) => name.endsWith('.partial')));
  });
});
