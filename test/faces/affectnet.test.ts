import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { InputError, UsageError } from '#src/errors.js';
import { openDataset } from '#src/faces/dataset.js';
import { EXPRESSIONS } from '#src/faces/expressions.js';
import { type Dataset, pixelsOf, votesOf } from '#src/faces/face-set.js';
import { readImage } from '#src/faces/image.js';
import { readNpyNumber } from '#src/faces/npy.js';
import { assert, rejects, suite } from '../support/suite.js';
import { inFolder, OPTIONS, write } from './fixtures.js';
import { AFFECTNET_COLUMNS, affectNetLabel, expressionOf, npy, writeAffectNet2017, writeAffectNet2021 } from './trees.js';

const RGB = { ...OPTIONS, size: 40, channels: 3 } as const;
const counts = ({ train, validation, test }: Dataset) => [train.count + validation.count, test.count];

/** Labels as shown, but for some faces that no expression was found in. */
const withOthers = (index: number) => ({ 3: 8, 5: 9, 8: 9, 11: 10 })[index] ?? affectNetLabel(index);

suite('AffectNet reader of the 2017 release', (test) => {
  test('cuts the images by their boxes, leaves other labels out by name, and tests on validation', () =>
    inFolder(async (folder) => {
      const names = await writeAffectNet2017(folder, { train: 24, validation: 8, label: withOthers });
      const dataset = await openDataset(folder, { ...RGB, size: 150 });
      assert.equal([dataset.name, dataset.classes], ['affectnet-2017', EXPRESSIONS]);
      assert.equal(counts(dataset), [20, 8]);
      assert.equal(dataset.leftOut, { none: 1, uncertain: 2, 'no face': 1 });
      assert.ok(dataset.notes.includes('left out for their label: 1 none, 2 uncertain, 1 no face'), dataset.notes.join('; '));
      for (const faces of [dataset.train, dataset.validation, dataset.test]) {
        for (let face = 0; face < faces.count; face++) {
          const index = names.indexOf(faces.ids[face]);
          assert.is(faces.labels![face], expressionOf(index));
          assert.is(votesOf(faces, face)[expressionOf(index)], 1);
          assert.is(faces.places![face], index < 24 ? `training.csv, line ${index + 2}` : `validation.csv, line ${index - 23}`);
          const file = path.join(folder, 'Manually_Annotated_Images', names[index]);
          assert.equal(pixelsOf(faces, face), await readImage(file, 150, 3, { left: 30, top: 30, right: 180, bottom: 180 }));
        }
      }
    }));

  test('finds lists and images where the archives put them, by a list as well', () =>
    inFolder(async (folder) => {
      await writeAffectNet2017(folder, { train: 12, validation: 4 });
      const here = await openDataset(path.join(folder, 'training.csv'), RGB);
      await inFolder(async (other) => {
        await writeAffectNet2017(path.join(other, 'Manually_Annotated'), { train: 12, validation: 4 });
        for (const name of ['training.csv', 'validation.csv']) {
          const list = path.join(other, 'Manually_Annotated', name);
          write(other, `Manually_Annotated_file_lists/${name}`, readFileSync(list));
          rmSync(list);
        }
        assert.equal((await openDataset(other, RGB)).test.digests, here.test.digests);
      });
    }));

  test('counts and lists missing and unreadable images, and boxes beside them', () =>
    inFolder(async (folder) => {
      const names = await writeAffectNet2017(folder, { train: 24, validation: 8 });
      const image = (index: number) => path.join(folder, 'Manually_Annotated_Images', names[index]);
      rmSync(image(4));
      writeFileSync(image(25), readFileSync(image(25)).subarray(0, 400));
      appendFileSync(path.join(folder, 'training.csv'), `${names[0]},900,900,50,50,,1,0,0\n${names[0]},NULL,NULL,NULL,NULL,,10,-2,-2\n`);
      const { problems, ...dataset } = await openDataset(folder, RGB);
      assert.equal(dataset.leftOut, { 'no face': 1 }, 'whose box nobody needs');
      assert.equal(problems!.map(({ kind, id, place }) => [kind, id, place]), [
        ['missing', names[4], 'training.csv, line 6'],
        ['unreadable', names[0], 'training.csv, line 26'],
        ['unreadable', names[25], 'validation.csv, line 2'],
      ]); // biome-ignore format: one row each
      assert.match(problems![1].message, 'box from (900, 900)');
      assert.equal(counts(dataset), [23, 7]);
    }));

  test('refuses lists that are not as they should be, with file, line and column', () =>
    inFolder(async (folder) => {
      await writeAffectNet2017(folder, { train: 6, validation: 2 });
      const list = path.join(folder, 'training.csv');
      const good = readFileSync(list, 'utf8');
      const rows = good.split('\n');
      const cases: [what: string, text: string, ...parts: (string | RegExp)[]][] = [
        ['another header', good.replace('face_x', 'x'), 'line 1', "'expression' is no number", 'expression'],
        ['a column less', rows.map((row) => row.replace(/,[^,]*$/, '')).join('\n'), 'line 1', '8 cells, not the 9'],
        ['a cell less', good.replace(/,[^,\n]*\n$/, '\n'), 'line 7', '8 cells, but the header has 9'],
        ['a word for a number', good.replace(/,30,30,/, ',left,30,'), 'line 2', "'left' is no number", 'face_x'],
        ['no box', good.replace(/,150,150,/, ',,150,'), 'line 2', "'' is no number", 'face_width'],
        [
          'expression 11',
          rows.map((row, i) => (i === 3 ? row.replace(/;3,\d+,/, ';3,11,') : row)).join('\n'),
          'line 4',
          '11 is no expression',
        ],
        ['half an expression', rows.map((row, i) => (i === 3 ? row.replace(/;3,\d+,/, ';3,1.5,') : row)).join('\n'), 'line 4', '1.5 is no'],
        ['no path', rows.map((row, i) => (i === 2 ? row.replace(/^[^,]*/, '') : row)).join('\n'), 'line 3', 'there is no path'],
        ['no rows', `${AFFECTNET_COLUMNS}\n`, 'hold no face to train on'],
      ];
      for (const [what, text, ...parts] of cases) {
        assert.is.not(text, good, what);
        writeFileSync(list, text);
        await rejects(() => openDataset(folder, RGB), InputError, ...(what === 'no rows' ? [] : [list]), ...parts).catch((error: Error) => {
          throw new Error(`${what}: ${error.message}`);
        });
      }
    }));

  test('says what a half-unpacked folder lacks, and what a part belongs to', () =>
    inFolder(async (folder) => {
      await writeAffectNet2017(folder, { train: 6, validation: 2 });
      await rejects(
        () => openDataset(path.join(folder, 'Manually_Annotated_Images'), RGB),
        InputError,
        'is a part of AffectNet (2017 release)',
        folder,
      );
      rmSync(path.join(folder, 'validation.csv'));
      await rejects(() => openDataset(folder, RGB), InputError, 'looks like AffectNet (2017 release)', 'validation.csv is not there');
      rmSync(path.join(folder, 'Manually_Annotated_Images'), { recursive: true });
      write(folder, 'Manually_Annotated.part1.rar', 'Rar!');
      await rejects(
        () => openDataset(folder, RGB),
        InputError,
        'validation.csv and Manually_Annotated_Images are not there',
        'Unpack Manually_Annotated.part1.rar',
        'mohammadmahoor',
      );
    }));
});

suite('AffectNet reader of the 2021 release', (test) => {
  test('reads an image and a file of its expression each', () =>
    inFolder(async (folder) => {
      await writeAffectNet2021(folder, { train: 24, validation: 8, label: withOthers });
      const dataset = await openDataset(folder, RGB);
      assert.equal([dataset.name, dataset.classes], ['affectnet-2021', EXPRESSIONS]);
      assert.equal(counts(dataset), [20, 8]);
      assert.equal(dataset.leftOut, { none: 1, uncertain: 2, 'no face': 1 });
      for (const faces of [dataset.train, dataset.validation, dataset.test]) {
        for (let face = 0; face < faces.count; face++) {
          const [, set, index] = /^(train|val)_set\/images\/(\d+)\.jpg$/.exec(faces.ids[face])!;
          assert.is(set, Number(index) < 24 ? 'train' : 'val');
          assert.is(faces.labels![face], expressionOf(Number(index)));
          assert.equal(pixelsOf(faces, face), await readImage(path.join(folder, faces.ids[face]), 40, 3));
        }
      }
    }));

  test('without contempt is AffectNet-7', () =>
    inFolder(async (folder) => {
      await writeAffectNet2021(folder, { train: 24, validation: 8, label: (i) => (i % 4 === 0 ? 7 : affectNetLabel(i) % 7) });
      const dataset = await openDataset(folder, { ...RGB, leaveOut: ['contempt'] });
      assert.equal(dataset.classes, EXPRESSIONS.slice(0, 7));
      assert.equal([counts(dataset), dataset.leftOut], [[18, 6], { contempt: 8 }]);
      assert.equal(dataset.train.votes.length, dataset.train.count * 7);
      for (const faces of [dataset.train, dataset.validation, dataset.test]) {
        for (let face = 0; face < faces.count; face++) assert.is(votesOf(faces, face)[faces.labels![face]], 1);
      }
      await rejects(() => openDataset(folder, { ...RGB, leaveOut: ['awe'] }), UsageError, "no class 'awe'", 'neutral, happiness');
      await rejects(() => openDataset(folder, { ...RGB, leaveOut: EXPRESSIONS.slice(1) }), UsageError, 'fewer than two');
    }));

  test('needs a face with one of the expressions', () =>
    inFolder(async (folder) => {
      await writeAffectNet2021(folder, { train: 3, validation: 2, label: () => 8 });
      await rejects(() => openDataset(folder, RGB), InputError, folder, 'no face with one of the eight expressions');
    }));

  test('tells images without an annotation and annotations without an image', () =>
    inFolder(async (folder) => {
      await writeAffectNet2021(folder, { train: 12, validation: 4 });
      rmSync(path.join(folder, 'train_set/annotations/3_exp.npy'));
      rmSync(path.join(folder, 'val_set/images/13.jpg'));
      const { problems } = await openDataset(folder, RGB);
      assert.equal(problems!.map(({ kind, id, place }) => [kind, id, place]), [
        ['missing', 'train_set/images/3.jpg', 'train_set/annotations/3_exp.npy'],
        ['missing', 'val_set/images/13.jpg', 'val_set/annotations/13_exp.npy'],
      ]); // biome-ignore format: one row each
      assert.match(problems![0].message, 'no annotation');
      writeFileSync(path.join(folder, 'val_set/annotations/14_exp.npy'), npy('<i8', '()', Buffer.from([11, 0, 0, 0, 0, 0, 0, 0])));
      await rejects(() => openDataset(folder, RGB), InputError, path.join('annotations', '14_exp.npy'), '11 is no expression');
    }));

  test('says what a half-unpacked folder lacks, and what a part belongs to', () =>
    inFolder(async (folder) => {
      await inFolder(async (outer) => {
        await writeAffectNet2021(path.join(outer, 'unzipped'), { train: 4, validation: 2 });
        await rejects(() => openDataset(outer, RGB), InputError, 'is in its folder unzipped', path.join(outer, 'unzipped'));
      });
      await writeAffectNet2021(folder, { train: 4, validation: 2 });
      await rejects(() => openDataset(path.join(folder, 'val_set'), RGB), InputError, 'is a part of AffectNet (2021 release)', folder);
      rmSync(path.join(folder, 'val_set'), { recursive: true });
      await rejects(
        () => openDataset(folder, RGB),
        InputError,
        'looks like AffectNet (2021',
        'val_set/images and val_set/annotations are not',
      );
      write(folder, 'val_set/images/x.txt', '');
      write(folder, 'val_set/annotations/x.txt', '');
      await rejects(() => openDataset(folder, RGB), InputError, path.join('val_set', 'annotations'), 'no <id>_exp.npy', 'Unpack');
    }));
});

suite('numbers in .npy files', (test) => {
  const utf32 = (text: string) => Buffer.from(Uint32Array.from(text, (letter) => letter.charCodeAt(0)).buffer);

  test('are read in every type in which they are written', () =>
    inFolder(async (folder) => {
      const cases: [Buffer, number][] = [
        [npy('<U1', '()', utf32('7')), 7],
        [npy('<U6', '(1,)', utf32('-0.25'), 24), -0.25],
        [npy('|S2', '()', Buffer.from('10')), 10],
        [npy('<i8', '()', Buffer.from(BigInt64Array.of(-3n).buffer)), -3],
        [npy('<i4', '(1, 1)', Buffer.from(Int32Array.of(70000).buffer)), 70000],
        [npy('|u1', '()', Buffer.of(200)), 200],
        [npy('|i1', '()', Buffer.of(255)), -1],
        [npy('<i2', '()', Buffer.from(Int16Array.of(-300).buffer)), -300],
        [npy('<u2', '()', Buffer.from(Uint16Array.of(60000).buffer)), 60000],
        [npy('<u4', '()', Buffer.from(Uint32Array.of(4e9).buffer)), 4e9],
        [npy('<u8', '()', Buffer.from(BigUint64Array.of(9n).buffer)), 9],
        [npy('<f4', '()', Buffer.from(Float32Array.of(0.5).buffer)), 0.5],
        [npy('<f8', '()', Buffer.from(Float64Array.of(0.1).buffer)), 0.1],
      ];
      for (const [bytes, value] of cases) assert.is(readNpyNumber(write(folder, 'x.npy', bytes)), value);
    }));

  test('are refused where there is none, or more than one', () =>
    inFolder(async (folder) => {
      const good = npy('<i4', '()', Buffer.alloc(4));
      const cases: [Buffer, string][] = [
        [Buffer.from('7'), 'is no .npy file'],
        [good.subarray(0, good.length - 1), 'cut off'],
        [npy('<i4', '(2,)', Buffer.alloc(8)), 'array of shape (2,)'],
        [npy('<i4', '(0,)', Buffer.alloc(0)), 'array of shape (0,)'],
        [npy('>i4', '()', Buffer.alloc(4)), 'not understood'],
        [npy('<U3', '()', utf32('sad')), 'no number'],
        [npy('<U1', '()', utf32(''), 4), 'no number'],
        [npy('<f8', '()', Buffer.from(Float64Array.of(Number.NaN).buffer)), 'no number'],
        [npy('|O8', '()', Buffer.alloc(8)), 'no number'],
      ];
      for (const [bytes, problem] of cases) {
        await rejects(() => readNpyNumber(write(folder, 'x.npy', bytes)), InputError, 'x.npy', problem);
      }
      await rejects(() => readNpyNumber(path.join(folder, 'absent.npy')), InputError, 'absent.npy', 'no such file');
    }));
});
