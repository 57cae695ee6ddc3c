import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { InputError } from '#src/errors.js';
import { openDataset } from '#src/faces/dataset.js';
import { pixelsOf, votesOf } from '#src/faces/face-set.js';
import { assert, rejects, suite } from '../support/suite.js';
import { greyPng, inFolder, OPTIONS, write } from './fixtures.js';

const SMALL = { ...OPTIONS, size: 8 };
const HEADER = 'path,sad,Happy,unknown,split';
const ROWS = ['a.png,3,1,0,train', 'b.png,0,9,1,train', 'c.png,5,5,0,validation', 'sub/d.png,0.2,0.8,0,test'];

function writeImages(folder: string): void {
  ['a.png', 'b.png', 'c.png', 'sub/d.png'].forEach((name, index) => {
    write(folder, name, greyPng(50 * index));
  });
}

suite('votes CSV reader', (test) => {
  test('reads votes beside images, classes in our order and under our names', () =>
    inFolder(async (folder) => {
      writeImages(folder);
      const file = write(folder, 'labels.csv', [HEADER, ...ROWS].join('\n'));
      const { name, classes, train, validation, test: held } = await openDataset(file, SMALL);
      assert.is(name, 'labels');
      assert.equal(classes, ['happiness', 'sadness']);
      assert.equal(train.voteNames, ['happiness', 'sadness', 'unknown']);
      assert.equal(train.ids, ['a.png', 'b.png']);
      assert.equal([...votesOf(train, 0)], [1, 3, 0]);
      assert.equal([...votesOf(train, 1)], [9, 0, 1]);
      assert.equal([...votesOf(held, 0)], [...Float32Array.from([0.8, 0.2, 0])]);
      assert.equal(
        [train, validation, held].map((faces) => pixelsOf(faces, 0)[0]),
        [0, 100, 150],
      );
      assert.is(train.labels, undefined);
    }));

  test('finds votes.csv in a folder, and reads it gzipped', () =>
    inFolder(async (folder) => {
      writeImages(folder);
      write(folder, 'votes.csv', gzipSync([HEADER, ...ROWS].join('\r\n')));
      assert.is((await openDataset(folder, SMALL)).train.count, 2);
    }));

  test('carves splits where there is no such column', () =>
    inFolder(async (folder) => {
      const rows = Array.from({ length: 16 }, (_, index) => {
        write(folder, `${index}.png`, greyPng(index));
        return `${index}.png,${index % 2 ? '4,0' : '0,4'}`;
      });
      const file = write(folder, 'faces.csv', ['path,fear,anger', ...rows].join('\n'));
      const { train, validation, test: held } = await openDataset(file, SMALL);
      assert.equal([train.count, validation.count, held.count], [8, 4, 4], 'a quarter of each class for test, then a quarter of the rest');
    }));

  test('refuses malformed tables by line and field', () =>
    inFolder(async (folder) => {
      writeImages(folder);
      const cases: [header: string, rows: string[], ...parts: string[]][] = [
        ['file,sad,happy', ['a.png,1,0'], 'line 1', "the first column is 'file', not 'path'", 'one column of vote counts'],
        ['path,sad', ['a.png,1'], 'line 1', '1 columns of classes'],
        ['path,sad,unknown', ['a.png,1,0'], 'line 1', '1 columns of classes'],
        ['path,sad,', ['a.png,1,0'], 'line 1', 'column 3 has no name'],
        ['path,sad,Sadness', ['a.png,1,0'], 'line 1', "two columns mean 'sadness'"],
        [HEADER, [], 'no rows'],
        [HEADER, ['a.png,1,0'], 'line 2', '3 cells, but the header has 5'],
        [HEADER, [ROWS[0], 'b.png,-1,2,0,train'], 'line 3', 'sadness', 'negative votes: -1'],
        [HEADER, [ROWS[0], 'b.png,0,0,0,train'], 'line 3', 'all votes are zero'],
        [HEADER, ['a.png,one,0,0,train'], 'line 2', 'sadness', "'one' is no number"],
        [HEADER, ['a.png,Infinity,0,0,train'], 'line 2', 'sadness', "'Infinity' is no number"],
        [HEADER, ['a.png,1,0,0,sometimes'], 'line 2', 'split', "'sometimes' is no split"],
        [HEADER, ['a.png,1,0,0,test'], 'split', "no row's split is train"],
        [HEADER, [',1,0,0,train'], 'line 2', 'there is no path'],
        [HEADER, [ROWS[0], ROWS[0]], 'line 3', 'a.png stands in line 2 too'],
        [HEADER, ['"a.png,1,0,0,train'], 'no CSV'],
        [HEADER, [ROWS[0], 'absent.png,1,0,0,train'], 'absent.png', 'there is no such file'],
      ];
      for (const [header, rows, ...parts] of cases) {
        const file = write(folder, 'table.csv', [header, ...rows].join('\n'));
        await rejects(() => openDataset(file, SMALL), InputError, ...parts);
      }
      await rejects(() => openDataset(path.join(folder, 'none.csv'), SMALL), InputError, 'none.csv', 'there is no such file or folder');
    }));
});
