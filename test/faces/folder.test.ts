import path from 'node:path';
import { InputError } from '#src/errors.js';
import { openDataset } from '#src/faces/dataset.js';
import { type FaceSet, pixelsOf } from '#src/faces/face-set.js';
import { assert, rejects, suite } from '../support/suite.js';
import { greyPng, inFolder, OPTIONS, write } from './fixtures.js';

const SMALL = { ...OPTIONS, size: 8 };

/** Four different images per class; `base` keeps those of several folders apart. */
function writeClasses(folder: string, names: readonly string[], base = 0, count = 4): void {
  names.forEach((name, index) => {
    for (let image = 0; image < count; image++) write(folder, `${name}/${image}.png`, greyPng(base + 20 * index + image));
  });
}

const allOf = (...sets: FaceSet[]) =>
  sets.flatMap((faces) => faces.ids.map((id, face) => ({ id, grey: pixelsOf(faces, face)[0], label: faces.labels![face] })));

suite('folder reader', (test) => {
  test('reads one sub-folder per class and carves both splits', () =>
    inFolder(async (folder) => {
      writeClasses(folder, ['sad', 'Happy', 'awe']);
      write(folder, 'notes.txt', 'not a face');
      write(folder, 'sad/notes.txt', 'not a face');
      write(folder, '.thumbs/x.png', greyPng(0));
      const dataset = await openDataset(folder, SMALL);
      assert.equal(dataset.classes, ['happiness', 'sadness', 'awe'], 'known expressions come first');
      assert.equal([dataset.train.count, dataset.validation.count, dataset.test.count], [6, 3, 3]);
      const faces = allOf(dataset.train, dataset.validation, dataset.test).sort((a, b) => a.grey - b.grey);
      assert.equal(faces[4], { id: 'Happy/0.png', grey: 20, label: 0 });
      assert.equal(
        faces.map(({ label }) => label),
        [1, 1, 1, 1, 0, 0, 0, 0, 2, 2, 2, 2],
      );
      assert.equal([...dataset.train.votes.subarray(0, 3)].sort(), [0, 0, 1]);
      assert.is(dataset.notes.length, 2);
    }));

  test('keeps the splits that there are', () =>
    inFolder(async (folder) => {
      writeClasses(path.join(folder, 'train'), ['fear', 'anger']);
      writeClasses(path.join(folder, 'val'), ['fear', 'anger'], 100, 2);
      writeClasses(path.join(folder, 'test'), ['fear', 'anger'], 200, 1);
      const { train, validation, test: held, classes, notes } = await openDataset(folder, SMALL);
      assert.equal(classes, ['anger', 'fear']);
      assert.equal([train.count, validation.count, held.count], [8, 4, 2]);
      assert.equal(held.ids, ['test/anger/0.png', 'test/fear/0.png']);
      assert.equal(notes, []);
    }));

  test('tests on the only held-out split', () =>
    inFolder(async (folder) => {
      writeClasses(path.join(folder, 'train'), ['fear', 'anger']);
      writeClasses(path.join(folder, 'validation'), ['fear', 'anger'], 100, 1);
      const { train, validation, test: held } = await openDataset(folder, SMALL);
      assert.equal([train.count, validation.count, held.count], [6, 2, 2]);
      assert.ok(held.ids.every((id) => id.startsWith('validation/')));
      assert.ok(validation.ids.every((id) => id.startsWith('train/')));
    }));

  test('refuses folders from which nothing can be learned', () =>
    inFolder(async (folder) => {
      const cases: [name: string, files: string[], ...parts: string[]][] = [
        ['one', ['happy/0.png', 'happy/1.png'], 'all of the class happiness', 'at least two'],
        ['twice', ['happy/0.png', 'Happiness/1.png', 'sad/2.png'], 'is the class happiness, and so is', 'Merge'],
        ['untrained', ['test/happy/0.png', 'test/sad/1.png'], 'no train folder'],
        ['few', ['happy/0.png', 'sad/1.png'], 'no faces for', '2 faces in all'],
        ['flat', ['0.png', '1.png'], 'holds no dataset', 'fer2013new.csv', 'one with a sub-folder of images per class'],
      ];
      for (const [name, files, ...parts] of cases) {
        files.forEach((file, index) => {
          write(folder, `${name}/${file}`, greyPng(index));
        });
        await rejects(() => openDataset(path.join(folder, name), SMALL), InputError, ...parts);
      }
    }));

  test('names the image that cannot be read', () =>
    inFolder(async (folder) => {
      writeClasses(folder, ['fear', 'anger']);
      write(folder, 'fear/bad.png', greyPng(1).subarray(0, 40));
      await rejects(() => openDataset(folder, SMALL), InputError, path.join('fear', 'bad.png'), 'unreadable image');
    }));
});
