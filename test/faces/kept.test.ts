import { readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Dataset } from '#src/faces/face-set.js';
import { generateDataset } from '#src/faces/generated.js';
import { keptDataset } from '#src/faces/kept.js';
import { assert, suite } from '../support/suite.js';
import { inFolder, OPTIONS, write } from './fixtures.js';

const FEW = { ...OPTIONS, size: 16, count: 30 };

/** Counts how often it reads. */
function reader(options = FEW): { read: () => Promise<Dataset>; times: () => number } {
  let times = 0;
  return {
    read: () => {
      times++;
      return generateDataset(options);
    },
    times: () => times,
  };
}

suite('kept datasets', (test) => {
  test('are read once, and are the same the second time', () =>
    inFolder(async (folder) => {
      const { read, times } = reader();
      const keepIn = path.join(folder, 'new', 'faces');
      const first = await keptDataset([], { ...FEW, keepIn }, read);
      const second = await keptDataset([], { ...FEW, keepIn, onProgress: () => {} }, read);
      assert.is(times(), 1);
      assert.equal(second, first);
      assert.equal(second, await generateDataset(FEW));
    }));

  test('are read anew for other options, another file or a file that was changed', () =>
    inFolder(async (folder) => {
      const { read, times } = reader();
      const [one, other] = ['one.csv', 'other.csv'].map((name) => write(folder, name, 'faces'));
      const keepIn = path.join(folder, 'kept');
      await keptDataset([one!], { ...FEW, keepIn }, read);
      await keptDataset([one!], { ...FEW, keepIn, seed: 2 }, read);
      await keptDataset([other!], { ...FEW, keepIn }, read);
      utimesSync(one!, 1, 1);
      await keptDataset([one!], { ...FEW, keepIn }, read);
      assert.is(times(), 4);
      writeFileSync(one!, 'faces and more');
      utimesSync(one!, 1, 1);
      await keptDataset([one!], { ...FEW, keepIn }, read);
      assert.is(times(), 5);
      assert.is(readdirSync(keepIn).length, 4, 'the oldest is gone');
    }));

  test('are read anew where what was kept is damaged, and without a place to keep them', () =>
    inFolder(async (folder) => {
      const { read, times } = reader();
      await keptDataset([], { ...FEW, keepIn: folder }, read);
      const kept = path.join(folder, readdirSync(folder)[0]!);
      writeFileSync(kept, readFileSync(kept).subarray(0, 1000));
      assert.equal(await keptDataset([], { ...FEW, keepIn: folder }, read), await generateDataset(FEW));
      assert.is(times(), 2);
      const file = write(folder, 'a file', '');
      await keptDataset([], { ...FEW, keepIn: path.join(file, 'faces') }, read);
      await keptDataset([], FEW, read);
      assert.is(times(), 4);
    }));
});
