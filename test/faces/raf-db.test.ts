import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { InputError } from '#src/errors.js';
import { openDataset } from '#src/faces/dataset.js';
import { copiedFaces } from '#src/faces/duplicates.js';
import { type Dataset, type FaceSet, pixelsOf, votesOf } from '#src/faces/face-set.js';
import { readImage } from '#src/faces/image.js';
import { assert, rejects, suite } from '../support/suite.js';
import { assertClose } from '../support/tensors.js';
import { greyPng, inFolder, OPTIONS, write } from './fixtures.js';
import { faceFile, rafDbLabel, rafDbShares, writeRafDb } from './trees.js';

const RGB = { ...OPTIONS, size: 40, channels: 3 } as const;
/** What RAF-DB's labels mean, by our names. */
const MEANINGS = ['surprise', 'fear', 'disgust', 'happiness', 'sadness', 'anger', 'neutral'];
const LIST = path.join('EmoLabel', 'list_patition_label.txt');

const partsOf = ({ train, validation, test }: Dataset): FaceSet[] => [train, validation, test];
/** Every face's number in the tree, its set and its index there. */
function* facesOf(dataset: Dataset, train: number) {
  for (const faces of partsOf(dataset)) {
    for (let face = 0; face < faces.count; face++) {
      const [, split, digits] = /^(\w+)_(\d+)\.jpg$/.exec(faces.ids[face])!;
      yield { faces, face, index: Number(digits) - 1 + (split === 'train' ? 0 : train), id: faces.ids[face] };
    }
  }
}

suite('RAF-DB reader', (test) => {
  test('reads the aligned images with their labels; the official test split is tested on', () =>
    inFolder(async (folder) => {
      await writeRafDb(folder, { train: 24, test: 8 });
      const dataset = await openDataset(folder, RGB);
      assert.is(dataset.name, 'raf-db');
      assert.equal(dataset.classes, ['neutral', 'happiness', 'surprise', 'sadness', 'anger', 'disgust', 'fear']);
      assert.is(dataset.test.count, 8);
      assert.is(dataset.train.count + dataset.validation.count, 24);
      assert.ok(dataset.validation.count > 2, 'validation is carved out of training');
      assert.equal([dataset.train.height, dataset.train.width, dataset.train.channels], [40, 40, 3]);
      for (const { faces, face, index, id } of facesOf(dataset, 24)) {
        const label = dataset.classes.indexOf(MEANINGS[rafDbLabel(index) - 1]);
        assert.is(faces.labels![face], label, id);
        assert.equal([...votesOf(faces, face)], dataset.classes.map((_, c) => (c === label ? 1 : 0)), id); // biome-ignore format: one row
        assert.is(faces.places![face], `${LIST}, line ${index + 1}`);
      }
      assert.equal(dataset.problems, []);
      const first = dataset.test.ids.indexOf('test_0001.jpg');
      const expected = await readImage(path.join(folder, 'Image/aligned/test_0001_aligned.jpg'), 40, 3);
      assert.equal(pixelsOf(dataset.test, first), expected);
    }));

  test('grows 100×100 to the size that is asked for', () =>
    inFolder(async (folder) => {
      await writeRafDb(folder, { train: 12, test: 3 });
      const { test: held } = await openDataset(folder, { ...RGB, size: 224 });
      const pixels = pixelsOf(held, held.ids.indexOf('test_0001.jpg'));
      assert.is(pixels.length, 224 * 224 * 3);
      const source = await readImage(path.join(folder, 'Image/aligned/test_0001_aligned.jpg'), 100, 3);
      const at = (y: number, x: number, channel: number) => source[(y * 100 + x) * 3 + channel];
      for (const [y, x] of [
        [3, 5],
        [100, 7],
        [111, 112],
        [200, 220],
      ]) {
        const [sourceY, sourceX] = [y, x].map((place) => ((place + 0.5) * 100) / 224 - 0.5);
        const [top, left] = [Math.floor(sourceY), Math.floor(sourceX)];
        const [down, right] = [sourceY - top, sourceX - left];
        for (let channel = 0; channel < 3; channel++) {
          const above = (1 - right) * at(top, left, channel) + right * at(top, left + 1, channel);
          const below = (1 - right) * at(top + 1, left, channel) + right * at(top + 1, left + 1, channel);
          const expected = (1 - down) * above + down * below;
          assertClose([pixels[(y * 224 + x) * 3 + channel]], [expected], { absolute: 0.51 }, `${y}, ${x}`);
        }
      }
    }));

  test("takes the annotators' shares for votes where they are given", () =>
    inFolder(async (folder) => {
      await writeRafDb(folder, { train: 24, test: 8, shares: true });
      const dataset = await openDataset(folder, RGB);
      let disagreeing = 0;
      for (const { faces, face, index, id } of facesOf(dataset, 24)) {
        const shares = rafDbShares(index);
        const expected = dataset.classes.map((name) => shares[MEANINGS.indexOf(name)]);
        assertClose(votesOf(faces, face), expected, { absolute: 1e-4 }, id);
        if (expected.some((share) => share > 0 && share < 1)) disagreeing++;
      }
      assert.ok(disagreeing > 10);
    }));

  test('cuts the original photographs by their boxes', () =>
    inFolder(async (folder) => {
      await writeRafDb(folder, { train: 12, test: 4, images: ['aligned', 'original'] });
      const size = 100;
      const aligned = await openDataset(folder, { ...RGB, size });
      const original = await openDataset(path.join(folder, 'Image', 'original'), { ...RGB, size });
      assert.not(aligned.notes.some((note) => note.includes('original')));
      assert.ok(original.notes.some((note) => note.includes('original photographs')));
      const named = await openDataset(path.join(folder, 'Image', 'aligned'), { ...RGB, size });
      assert.equal(named.test.digests, aligned.test.digests);
      for (const id of original.test.ids) {
        // The generated face fills its box: but for the finer drawing it is the aligned one.
        const [a, b] = [aligned, original].map(({ test: held }) => pixelsOf(held, held.ids.indexOf(id)));
        const difference = a.reduce((sum, pixel, i) => sum + Math.abs(pixel - b[i]), 0) / a.length;
        assert.ok(difference < 12, `${id} differs by ${difference} grey levels`);
      }
      rmSync(path.join(folder, 'Image', 'aligned'), { recursive: true });
      assert.equal((await openDataset(folder, { ...RGB, size })).test.digests, original.test.digests, 'what there is');
    }));

  test('reads the compound part, told by the name of its folder', () =>
    inFolder(async (folder) => {
      const compound = path.join(folder, 'compound');
      await writeRafDb(compound, { train: 22, test: 11, label: (index) => 1 + (index % 11) });
      const dataset = await openDataset(compound, RGB);
      assert.is(dataset.name, 'raf-db-compound');
      assert.equal([dataset.classes.length, dataset.classes[0], dataset.classes[10]], [11, 'happily surprised', 'disgustedly surprised']);
      for (const { faces, face, index } of facesOf(dataset, 22)) assert.is(faces.labels![face], index % 11);
      await rejects(() => openDataset(folder, RGB), InputError, 'is in its folder compound', `Give ${compound}`);
    }));

  test('counts and lists missing and unreadable images and copies, with their lines', () =>
    inFolder(async (folder) => {
      await writeRafDb(folder, { train: 24, test: 8 });
      const image = (name: string) => path.join(folder, 'Image', 'aligned', `${name}_aligned.jpg`);
      rmSync(image('train_00002'));
      rmSync(image('test_0008'));
      writeFileSync(image('train_00005'), 'no image');
      writeFileSync(image('test_0003'), await faceFile('.jpg', 9, 100)); // the face of train_00010
      const dataset = await openDataset(folder, RGB);
      assert.equal(
        dataset.problems!.map(({ kind, id, place }) => [kind, id, place]),
        [
          ['missing', 'train_00002.jpg', `${LIST}, line 2`],
          ['unreadable', 'train_00005.jpg', `${LIST}, line 5`],
          ['missing', 'test_0008.jpg', `${LIST}, line 32`],
        ],
      );
      assert.match(dataset.problems![1].message, 'neither a PNG nor a JPEG');
      assert.ok(dataset.notes.some((note) => note.startsWith('missing images: 2') && note.includes('line 2: train_00002.jpg')));
      assert.ok(dataset.notes.some((note) => note.startsWith('unreadable images: 1')));
      assert.is(dataset.train.count + dataset.validation.count + dataset.test.count, 29);
      const copied = [dataset.train, dataset.validation].flatMap((faces) => [...copiedFaces(dataset.test, faces)]);
      assert.equal(copied.map((face) => dataset.test.ids[face]), ['test_0003.jpg']); // biome-ignore format: one list
    }));

  test('refuses lists that are not as they should be, with file and line', () =>
    inFolder(async (folder) => {
      const good = 'train_00001.jpg 5\ntrain_00002.jpg 7\ntest_0001.jpg 1\n';
      const shares = 'train_00001.jpg 0 0 0 0 1 0 0 \ntrain_00002.jpg 0 0 .5 0 0 0 .5\ntest_0001.jpg 1 0 0 0 0 0 0\n';
      for (const name of ['train_00001', 'train_00002', 'test_0001']) write(folder, `Image/aligned/${name}_aligned.jpg`, greyPng(1));
      const cases: [what: string, list: string, votes: string | undefined, ...parts: (string | RegExp)[]][] = [
        ['label 0', good.replace(' 7', ' 0'), undefined, LIST, 'line 2', "'0' is no label from 1 to 7"],
        ['a compound label', good.replace(' 7', ' 9'), undefined, 'line 2', "'9' is no label", "call its folder 'compound'"],
        ['a word for a label', good.replace(' 7', ' sad'), undefined, 'line 2', "'sad' is no label"],
        ['no label', good.replace(' 7', ''), undefined, 'line 2', 'no line like'],
        ['two labels', good.replace(' 7', ' 7 3'), undefined, 'line 2', 'no line like'],
        ['another split', good.replace('test_', 'valid_'), undefined, 'line 3', 'no line like'],
        ['a path', good.replace('test_0001', '../test_0001'), undefined, 'line 3', 'no line like'],
        ['a name twice', good.replace('train_00002', 'train_00001'), undefined, 'line 2', 'stands in line 1 too'],
        ['nothing', '\n', undefined, LIST, 'is empty'],
        ['no shares of a face', good, shares.replace('train_00002', 'train_00003'), LIST, 'line 2', 'has no line in'],
        ['six shares', good, shares.replace(' 0 0 .5', ' 0 .5'), 'distribution_basic.txt', 'line 2', 'with 7 shares'],
        ['a negative share', good, shares.replace(' .5 0', ' -.5 0'), 'distribution_basic.txt', 'line 2', 'with 7 shares'],
        ['no share above 0', good, shares.replaceAll(' .5', ' 0'), 'distribution_basic.txt', 'line 2', 'above 0'],
        ['a word for a share', good, shares.replace(' .5', ' half'), 'distribution_basic.txt', 'line 2', 'with 7 shares'],
        ['empty shares', good, ' ', 'distribution_basic.txt', 'is empty'],
      ];
      for (const [what, list, votes, ...parts] of cases) {
        assert.ok(list !== good || votes !== shares, what);
        write(folder, LIST, list);
        const file = write(folder, 'EmoLabel/distribution_basic.txt', votes ?? '');
        if (votes === undefined) rmSync(file);
        await rejects(() => openDataset(folder, RGB), InputError, ...parts).catch((error: Error) => {
          throw new Error(`${what}: ${error.message}`);
        });
      }
    }));

  test('refuses photographs without a box', () =>
    inFolder(async (folder) => {
      await writeRafDb(folder, { train: 3, test: 1, images: ['original'] });
      const box = path.join(folder, 'Annotation', 'boundingbox', 'train_00002_boundingbox.txt');
      writeFileSync(box, '1 2 3');
      await rejects(() => openDataset(folder, RGB), InputError, box, 'four numbers');
      rmSync(box);
      await rejects(() => openDataset(folder, RGB), InputError, box, 'train_00002.jpg', 'Unpack');
    }));

  test('says what a half-unpacked folder lacks', () =>
    inFolder(async (folder) => {
      write(folder, LIST, 'train_00001.jpg 5\n');
      await rejects(() => openDataset(folder, RGB), InputError, folder, 'looks like RAF-DB', 'Image/aligned is not there', 'whdeng.cn');
      write(folder, 'Image/aligned.zip', 'PK');
      await rejects(
        () => openDataset(folder, RGB),
        InputError,
        'Image/aligned is not there',
        `Unpack ${path.join('Image', 'aligned.zip')}`,
      );
      write(folder, 'Image/aligned/readme.txt', '');
      await rejects(() => openDataset(folder, RGB), InputError, 'none of the 1 images', 'train_00001_aligned.jpg', 'unpacked');
      rmSync(path.join(folder, 'EmoLabel'), { recursive: true });
      await rejects(() => openDataset(folder, RGB), InputError, 'looks like RAF-DB', 'list_patition_label.txt is not there');
      await rejects(
        () => openDataset(path.join(folder, 'Image'), RGB),
        InputError,
        'is a part of RAF-DB',
        `Give the whole dataset: ${folder}.`,
      );
    }));

  test('needs the faces of both splits', () =>
    inFolder(async (folder) => {
      await writeRafDb(folder, { train: 12, test: 2 });
      for (const name of ['test_0001', 'test_0002']) rmSync(path.join(folder, `Image/aligned/${name}_aligned.jpg`));
      await rejects(() => openDataset(folder, RGB), InputError, 'none of the 2 images for test', `${LIST}, line 13`);
    }));
});
