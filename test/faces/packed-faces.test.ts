import { readdirSync, readFileSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { InputError } from '#src/errors.js';
import { pixelDigest } from '#src/faces/duplicates.js';
import type { FaceSet } from '#src/faces/face-set.js';
import { pixelsOf, selectFaces } from '#src/faces/face-set.js';
import { readImage } from '#src/faces/image.js';
import { type PackedFaces, packedFacesFolder, packFaces } from '#src/faces/packed-faces.js';
import { checksum } from '#src/faces/stored-pixels.js';
import { assert, rejects, suite } from '../support/suite.js';
import { greyPng, inFolder, write } from './fixtures.js';
import { faceFile } from './trees.js';

const SIZE = 24;
const BYTES = SIZE * SIZE * 3;

/** Writes `count` different faces; their names sort as they are numbered. */
async function writeFaces(folder: string, count: number): Promise<string[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const name = `${String(i).padStart(4, '0')}.${i % 2 === 0 ? 'jpg' : 'png'}`;
      return write(folder, name, await faceFile(name, i, 32));
    }),
  );
}

const seen: [number, number][] = [];
const pack = (folder: string, files: string[]): Promise<PackedFaces> => {
  seen.length = 0;
  return packFaces(
    files.map((file) => ({ file })),
    { dataset: folder, size: SIZE, channels: 3, onProgress: (done, total) => seen.push([done, total]) },
  );
};
const wasPacked = () => seen.length > 0;
const allOf = ({ pixels }: PackedFaces) => pixels.subarray(0, pixels.length);

/** The packed file of a dataset's folder. */
function packedFile(folder: string): string {
  const [name, ...others] = readdirSync(packedFacesFolder()).filter((file) => file.startsWith(`${path.basename(folder)}-`));
  assert.equal(others, [], 'one file for a dataset and a size');
  return path.join(packedFacesFolder(), name);
}

suite('packed faces', (test) => {
  test('are those that were decoded one by one, in the order of their names, and progress is told to its end', () =>
    inFolder(async (folder) => {
      const files = await writeFaces(folder, 300); // for three threads, where there are as many
      const packed = await pack(folder, files);
      const plain = await Promise.all(files.map((file) => readImage(file, SIZE, 3)));
      assert.is(packed.pixels.length, 300 * BYTES);
      assert.equal(Buffer.compare(allOf(packed), Buffer.concat(plain)), 0);
      assert.equal(packed.digests, plain.map(pixelDigest));
      assert.equal(packed.readable, [...files.keys()]);
      assert.equal(seen.at(-1), [300, 300]);
      assert.ok(seen.every(([done], i) => i === 0 || done > seen[i - 1][0]));
    }));

  test('stay packed, until an image changes, appears or goes', () =>
    inFolder(async (folder) => {
      const files = await writeFaces(folder, 5);
      const first = await pack(folder, files);
      assert.ok(wasPacked());
      const again = await pack(folder, files);
      assert.not(wasPacked());
      assert.equal(allOf(again), allOf(first));
      assert.equal([again.digests, again.readable], [first.digests, first.readable]);

      writeFileSync(files[1], await faceFile('.png', 77, 32));
      const changed = await pack(folder, files);
      assert.ok(wasPacked(), 'an image of another size');
      assert.not.equal(changed.digests[1], first.digests[1]);
      utimesSync(files[2], new Date(1e12), new Date(1e12));
      await pack(folder, files);
      assert.ok(wasPacked(), 'an image of another time');
      await pack(folder, files.slice(1));
      assert.ok(wasPacked(), 'a list without the first');
      await pack(folder, files.slice(1).reverse());
      assert.ok(wasPacked(), 'another order');
      rmSync(files[4]);
      assert.equal((await pack(folder, files)).failures.map(({ index, missing }) => [index, missing]), [[4, true]]); // biome-ignore format: one row
      packedFile(folder);
    }));

  test('are packed anew where the file is damaged or cut off, whatever part of it', () =>
    inFolder(async (folder) => {
      const files = await writeFaces(folder, 4);
      const whole = allOf(await pack(folder, files));
      const file = packedFile(folder);
      const bytes = readFileSync(file);
      const spoil: Record<string, () => void> = {
        'no byte': () => truncateSync(file, 0),
        'half of the pixels': () => truncateSync(file, 2 * BYTES),
        'no foot': () => truncateSync(file, bytes.length - 1),
        'another index': () => writeFileSync(file, Buffer.from(bytes).fill('x', 4 * BYTES + 40, 4 * BYTES + 41)),
        'another foot': () => writeFileSync(file, Buffer.from(bytes).fill('x', bytes.length - 100)),
        'more at its end': () => writeFileSync(file, Buffer.concat([bytes, bytes.subarray(0, 3)])),
      };
      for (const [what, action] of Object.entries(spoil)) {
        action();
        assert.equal(allOf(await pack(folder, files)), whole, what);
        assert.ok(wasPacked(), what);
        assert.ok(readFileSync(file).equals(bytes), what);
      }
    }));

  test('whose pixels are damaged are refused when they are read, and packed anew the next time', () =>
    inFolder(async (folder) => {
      const files = await writeFaces(folder, 4);
      const whole = allOf(await pack(folder, files));
      const file = packedFile(folder);
      const bytes = readFileSync(file);
      bytes[2 * BYTES + 5] ^= 1;
      writeFileSync(file, bytes);
      const damaged = await pack(folder, files);
      assert.not(wasPacked());
      assert.equal(damaged.pixels.subarray(0, 2 * BYTES), whole.subarray(0, 2 * BYTES), 'the others are sound');
      await rejects(() => damaged.pixels.subarray(2 * BYTES, 3 * BYTES), InputError, file, 'damaged', 'run the command again');
      await rejects(() => damaged.pixels.read([0, 2], new Uint8Array(2 * BYTES)), InputError, file);
      assert.equal(allOf(await pack(folder, files)), whole);
      assert.ok(wasPacked());
    }));

  test('are read by face in any order, together or selected', () =>
    inFolder(async (folder) => {
      const { pixels, digests } = await pack(folder, await writeFaces(folder, 7));
      const faces: FaceSet = {
        ...{ name: 'packed', classes: ['a', 'b'], voteNames: ['a', 'b'], height: SIZE, width: SIZE, channels: 3 },
        ...{ count: 7, pixels, digests, votes: new Float32Array(14), ids: [...'abcdefg'] },
      };
      const chosen = selectFaces(faces, [6, 2, 3, 4, 0, 2]);
      const expected = [6, 2, 3, 4, 0, 2].map((face) => pixelsOf(faces, face));
      assert.equal(chosen.pixels.subarray(0, chosen.pixels.length), new Uint8Array(Buffer.concat(expected)));
      assert.equal(pixelsOf(chosen, 4), expected[4]);
      assert.equal(chosen.digests, expected.map(pixelDigest));
      const into = new Uint8Array(2 * BYTES + 3);
      assert.not(chosen.pixels instanceof Uint8Array);
      await (chosen.pixels as PackedFaces['pixels']).read([3, 0], into);
      assert.equal(into.subarray(0, 2 * BYTES), new Uint8Array(Buffer.concat([expected[3], expected[0]])));
      assert.throws(() => pixels.subarray(1, BYTES), RangeError);
    }));

  test('tell missing from unreadable images, and need at least one', () =>
    inFolder(async (folder) => {
      const files = await writeFaces(folder, 4);
      rmSync(files[0]);
      writeFileSync(files[2], readFileSync(files[2]).subarray(0, 300));
      const { readable, failures, pixels } = await pack(folder, files);
      assert.equal(readable, [1, 3]);
      assert.equal(failures.map(({ index, missing }) => [index, missing]), [[0, true], [2, false]]); // biome-ignore format: two rows
      assert.match(failures[0].message, 'no such file');
      assert.match(failures[1].message, 'unreadable image');
      assert.equal(pixels.subarray(BYTES, 2 * BYTES), await readImage(files[3], SIZE, 3));
      await rejects(() => pack(folder, [files[0], files[2]]), InputError, folder, 'none of the 2 images', 'no such file');
      const left = readdirSync(packedFacesFolder()).filter((name) => name.endsWith('.partial'));
      assert.equal(left, []);
    }));

  test('leave no file behind of a process that was killed', () =>
    inFolder(async (folder) => {
      const files = await writeFaces(folder, 2);
      await pack(folder, files);
      const file = packedFile(folder);
      const [dead, alive] = [`${file}.4194300.partial`, `${file}.${process.ppid}.partial`];
      for (const partial of [dead, alive]) writeFileSync(partial, 'begun');
      await pack(folder, files.slice(1));
      const left = readdirSync(packedFacesFolder()).filter((name) => name.endsWith('.partial'));
      assert.equal(left, [path.basename(alive)], 'another that runs goes on');
      rmSync(alive);
    }));

  test('may be packed twice at a time', () =>
    inFolder(async (folder) => {
      const files = await writeFaces(folder, 6);
      const [first, second] = await Promise.all([pack(folder, files), pack(folder, files)]);
      assert.equal(allOf(first), allOf(second));
    }));

  test('that cannot be kept are refused with the folder', () =>
    inFolder(async (folder) => {
      const cache = process.env.MOUE_CACHE;
      process.env.MOUE_CACHE = write(folder, 'a file', '');
      try {
        const files = await writeFaces(folder, 1);
        await rejects(() => pack(folder, files), InputError, path.join('a file', 'images'), 'cannot be written', 'MOUE_CACHE');
      } finally {
        process.env.MOUE_CACHE = cache;
      }
    }));

  test('checksums differ where a bit does, and do not depend on where the bytes lie', () => {
    const bytes = Uint8Array.from({ length: 43 }, (_, i) => (i * 37) % 256);
    const shifted = new Uint8Array(50).subarray(3, 46);
    shifted.set(bytes);
    const sum = checksum(bytes);
    assert.is(checksum(shifted), sum);
    for (let bit = 0; bit < 8 * 43; bit++) {
      shifted[bit >> 3] ^= 1 << (bit & 7);
      assert.is.not(checksum(shifted), sum, `bit ${bit}`);
      shifted[bit >> 3] ^= 1 << (bit & 7);
    }
  });

  test('take a file of the size of their pixels', () =>
    inFolder(async (folder) => {
      const files = Array.from({ length: 3 }, (_, i) => write(folder, `${i}.png`, greyPng(i)));
      await pack(folder, files);
      const bytes = statSync(packedFile(folder)).size;
      assert.ok(bytes > 3 * BYTES && bytes < 3 * BYTES + 1000, `${bytes}`);
    }));
});
