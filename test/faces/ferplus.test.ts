import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { InputError } from '#src/errors.js';
import { openDataset } from '#src/faces/dataset.js';
import { copiedFaces } from '#src/faces/duplicates.js';
import { type Dataset, pixelsOf, selectFaces, votesOf } from '#src/faces/face-set.js';
import { readManifests } from '#src/faces/manifest.js';
import { type FerPlusMode, ferPlusTargets } from '#src/labels/ferplus.js';
import { plurality } from '#src/labels/votes.js';
import { assert, rejects, suite } from '../support/suite.js';
import { ferPlusText, inFolder, OPTIONS, PIXELS_HEADER, pixelCell, usages, VOTES_HEADER, write, writeFerPlus } from './fixtures.js';

const OFFICIAL = usages({ Training: 4, PublicTest: 2, PrivateTest: 1 });

suite('FER+ reader', (test) => {
  test('joins pixels, labels and votes by row', () =>
    inFolder(async (folder) => {
      const rows = [...OFFICIAL];
      rows[2] = { usage: 'Training', emotion: 0, pixels: pixelCell(77), votes: '4,0,0,1,3,2,0,0,0,0' };
      writeFerPlus(folder, rows);
      const { train, validation, test: held, classes, notes } = await openDataset(folder, OPTIONS);
      assert.equal([train.count, validation.count, held.count], [4, 2, 1]);
      assert.is(classes.join(), 'neutral,happiness,surprise,sadness,anger,disgust,fear,contempt');
      assert.is(train.voteNames.slice(8).join(), 'unknown,NF');
      assert.equal([...pixelsOf(train, 2)].slice(0, 3), [77, 78, 79]);
      assert.is(pixelsOf(train, 2)[48 * 48 - 1], (77 + 48 * 48 - 1) % 256);
      assert.equal([...votesOf(train, 2)], [4, 0, 0, 1, 3, 2, 0, 0, 0, 0]);
      assert.equal([...train.labels!], [1, 1, 4, 1], 'happy is happiness, angry is anger');
      assert.is(validation.ids[1], 'PublicTest row 5');
      assert.equal([pixelsOf(validation, 0)[0], pixelsOf(held, 0)[0]], [4, 6]);
      assert.equal(notes, []);
    }));

  test('reads gzipped files, Windows line ends, quotes and a missing last line end alike', () =>
    inFolder(async (folder) => {
      writeFerPlus(folder, OFFICIAL);
      const plain = await openDataset(folder, OPTIONS);
      const { pixels, votes } = ferPlusText(OFFICIAL);
      const zipped = path.join(folder, 'zipped');
      write(zipped, 'fer2013.csv.gz', gzipSync(pixels.trimEnd()));
      write(zipped, 'fer2013new.csv.gz', gzipSync(votes));
      const windows = path.join(folder, 'windows');
      write(windows, 'fer2013.csv', `\ufeff${pixels.replaceAll('\n', '\r\n').replace(/,([\d ]+),/g, ',"$1",')}`);
      write(windows, 'fer2013new.csv', `\ufeff${votes.replaceAll('\n', '\r\n')}\r\n`);
      for (const other of [zipped, windows]) {
        const read = await openDataset(other, OPTIONS);
        for (const role of ['train', 'validation', 'test'] as const) {
          assert.equal(read[role].pixels, plain[role].pixels);
          assert.equal(read[role].votes, plain[role].votes);
        }
      }
      const byFile = await openDataset(path.join(zipped, 'fer2013.csv.gz'), OPTIONS);
      assert.equal(byFile.train.pixels, plain.train.pixels);
    }));

  test('tests on PublicTest and carves validation out of Training where PrivateTest is absent', () =>
    inFolder(async (folder) => {
      writeFerPlus(folder, usages({ Training: 8, PublicTest: 3 }));
      const { train, validation, test: held, notes } = await openDataset(folder, OPTIONS);
      assert.equal([train.count, validation.count, held.count], [6, 2, 3]);
      assert.ok(held.ids.every((id) => id.startsWith('PublicTest')));
      assert.is(new Set([...train.ids, ...validation.ids, ...held.ids]).size, 11);
      assert.match(notes.join('\n'), 'it is the test split');
      assert.match(notes.join('\n'), 'validation: 2 of 8 training faces');
      const again = await openDataset(folder, OPTIONS);
      assert.equal(again.validation.ids, validation.ids);
    }));

  test('resizes and repeats channels where asked', () =>
    inFolder(async (folder) => {
      writeFerPlus(
        folder,
        OFFICIAL.map((row) => ({
          ...row,
          pixels: Array(48 * 48)
            .fill(200)
            .join(' '),
        })),
      );
      const { train, notes } = await openDataset(folder, { ...OPTIONS, size: 64, channels: 3 });
      assert.equal([train.height, train.width, train.channels], [64, 64, 3]);
      assert.is(train.pixels.length, 4 * 64 * 64 * 3);
      assert.ok(train.pixels.subarray(0, train.pixels.length).every((pixel) => pixel === 200));
      assert.match(notes.join('\n'), 'images of one constant grey: 7');
      assert.match(notes.join('\n'), '1 of 1 test faces have an exact copy among the training faces');
    }));

  test('names what is missing', () =>
    inFolder(async (folder) => {
      const { pixels, votes } = ferPlusText(OFFICIAL);
      write(folder, 'a/fer2013.csv', pixels);
      write(folder, 'b/fer2013new.csv', votes);
      await rejects(
        () => openDataset(path.join(folder, 'a'), OPTIONS),
        InputError,
        'fer2013new.csv with the FER+ votes',
        'microsoft/FERPlus',
      );
      await rejects(() => openDataset(path.join(folder, 'b'), OPTIONS), InputError, 'fer2013.csv with the pixels', 'kaggle.com');
    }));

  test('refuses malformed rows by file, line and field', () =>
    inFolder(async (folder) => {
      const good = ferPlusText(OFFICIAL);
      const cases: [what: string, pixels: string, votes: string, ...parts: string[]][] = [
        ['header', good.pixels.replace(PIXELS_HEADER, 'label,pixels,Usage'), good.votes, 'fer2013.csv', 'line 1', "'label,pixels,Usage'"],
        ['votes header', good.pixels, good.votes.replace('contempt', 'scorn'), 'fer2013new.csv', 'line 1', VOTES_HEADER],
        ['too few pixels', good.pixels.replace(pixelCell(2), '1 2 3'), good.votes, 'line 4', 'pixels', '3 pixels, not 2304 (48×48)'],
        ['too many pixels', good.pixels.replace(pixelCell(2), `${pixelCell(2)} 7`), good.votes, 'line 4', '2305 pixels'],
        [
          'pixel out of range',
          good.pixels.replace(pixelCell(1), pixelCell(1).replace(' 255 ', ' 256 ')),
          good.votes,
          'line 3',
          'pixel 255 is 256',
          '0 to 255',
        ],
        ['negative pixel', good.pixels.replace(pixelCell(1), pixelCell(1).replace(' 3 ', ' -3 ')), good.votes, 'line 3', "'-' in pixel 3"],
        ['unknown label', good.pixels.replace(/^3,/m, '7,'), good.votes, 'line 2', 'emotion', "'7' is no label"],
        ['unknown usage', good.pixels.replace('PrivateTest', 'Private'), good.votes, 'line 8', 'Usage', "'Private' is none of"],
        ['too few cells', good.pixels.replace(/^3,.*$/m, '3'), good.votes, 'line 2', 'no row of emotion,pixels,Usage'],
        [
          'usage differs',
          good.pixels.replace('PrivateTest', 'PublicTest'),
          good.votes,
          'line 8',
          'is PublicTest, but PrivateTest in the same row',
        ],
        [
          'negative votes',
          good.pixels,
          good.votes.replace('fer3.png,0,9', 'fer3.png,-1,9'),
          'fer2013new.csv',
          'line 5',
          'neutral',
          'negative votes: -1',
        ],
        [
          'no votes',
          good.pixels,
          good.votes.replace('fer3.png,0,9,0,0,0,0,0,1', 'fer3.png,0,0,0,0,0,0,0,0'),
          'line 5',
          'all votes are zero',
        ],
        ['no number', good.pixels, good.votes.replace('fer3.png,0,9', 'fer3.png,0,many'), 'line 5', 'happiness', "'many' is no number"],
        ['an empty cell', good.pixels, good.votes.replace('fer3.png,0,9', 'fer3.png,0,'), 'line 5', 'happiness', "'' is no number"],
        ['cells missing', good.pixels, good.votes.replace('fer3.png,0,9', 'fer3.png,9'), 'line 5', '11 cells, but the header has 12'],
        ['fewer pixels than votes', good.pixels.replace(/.*PrivateTest\n/, ''), good.votes, 'fer2013.csv', '6 rows, but', 'has 7'],
        ['more pixels than votes', good.pixels, good.votes.replace(/PrivateTest.*\n/, ''), 'line 8', 'more than 6 rows, but', 'has 6'],
        ['empty pixels', '', good.votes, 'fer2013.csv', 'is empty'],
        ['empty votes', good.pixels, '', 'fer2013new.csv', 'is empty'],
        ['no rows', `${PIXELS_HEADER}\n`, `${VOTES_HEADER}\n`, 'no faces'],
      ];
      for (const [what, pixels, votes, ...parts] of cases) {
        assert.ok(pixels !== good.pixels || votes !== good.votes, `${what}: the fixture is unchanged`);
        write(folder, 'fer2013.csv', pixels);
        write(folder, 'fer2013new.csv', votes);
        await rejects(() => openDataset(folder, OPTIONS), InputError, ...parts);
      }
    }));

  test('takes faces on which all votes are for NF', () =>
    inFolder(async (folder) => {
      writeFerPlus(
        folder,
        OFFICIAL.map((row) => ({ ...row, votes: '0,0,0,0,0,0,0,0,0,10' })),
      );
      assert.is((await openDataset(folder, OPTIONS)).train.count, 4);
    }));

  test('refuses a truncated and a damaged gzip', () =>
    inFolder(async (folder) => {
      const { pixels, votes } = ferPlusText(OFFICIAL);
      const zipped = gzipSync(pixels);
      write(folder, 'fer2013new.csv', votes);
      write(folder, 'fer2013.csv.gz', zipped.subarray(0, zipped.length / 2));
      await rejects(() => openDataset(folder, OPTIONS), InputError, 'fer2013.csv.gz', 'the gzip file ends too early', 'cut off');
      write(folder, 'fer2013.csv.gz', Buffer.concat([zipped.subarray(0, 40), Buffer.alloc(40, 0xff), zipped.subarray(80)]));
      await rejects(() => openDataset(folder, OPTIONS), InputError, 'fer2013.csv.gz', 'the gzip file is damaged');
      write(folder, 'fer2013.csv.gz', gzipSync(pixels));
      const zippedVotes = gzipSync(votes);
      write(folder, 'fer2013new.csv', zippedVotes.subarray(0, zippedVotes.length - 20));
      await rejects(() => openDataset(folder, OPTIONS), InputError, 'fer2013new.csv', 'the gzip file ends too early');
    }));
});

const REAL = fileURLToPath(new URL('../../../../shared/data/ferplus', import.meta.url));

suite('FER+ itself', (test) => {
  if (!existsSync(REAL)) {
    console.log(`  FER+ itself is not tested: ${REAL} is absent`);
    test('has a manifest', () => assert.ok(readManifests().some(({ name }) => name === 'ferplus')));
    return;
  }
  let dataset: Dataset;

  test('has the faces, constant images and copies that its authors count', async () => {
    dataset = await openDataset(REAL, { ...OPTIONS, validationShare: 0.1 });
    const { train, validation, test: held, notes } = dataset;
    assert.is(train.count + validation.count, 28709);
    assert.is(held.count, 3589);
    assert.ok(Math.abs(validation.count - 2871) <= 15, `${validation.count} validation faces`);
    assert.match(notes.join('\n'), 'images of one constant grey: 12');
    assert.is(new Set([...copiedFaces(held, train), ...copiedFaces(held, validation)]).size, 280);
    assert.is(copiedFaces(validation, train).length, 0, 'copies stay on one side');
    assert.is(train.votes.reduce((sum, vote) => sum + vote, 0) + validation.votes.reduce((sum, vote) => sum + vote, 0), 287089);
  });

  test('keeps by each rule the faces that its authors count', () => {
    const { train, validation, test: held } = dataset;
    const { kept: expected } = readManifests().find(({ name }) => name === 'ferplus')!;
    const count = (faces: typeof train, mode: FerPlusMode) => ferPlusTargets(faces.votes, 10, 8, mode).kept.length;
    for (const mode of ['majority', 'probability', 'crossentropy', 'multi_target'] as const) {
      assert.is(count(train, mode) + count(validation, mode), expected![mode].Training, `${mode}, Training`);
      assert.is(count(held, mode), expected![mode].PublicTest, `${mode}, PublicTest`);
    }
  });

  test('has the classes of the majority rule that its authors count', () => {
    const { train, validation, test: held } = dataset;
    const perClass = (...sets: (typeof train)[]) => {
      const counts = new Array<number>(8).fill(0);
      for (const faces of sets) {
        const { targets, kept } = ferPlusTargets(faces.votes, 10, 8, 'majority');
        for (const face of kept) counts[plurality(targets.subarray(face * 8, face * 8 + 8))]++;
      }
      return counts;
    };
    assert.equal(perClass(train, validation), [8740, 7287, 3149, 3014, 2100, 119, 532, 119]);
    assert.equal(perClass(held), [1182, 865, 415, 351, 287, 24, 62, 13]);
    const shares = perClass(validation).map((count, index) => count / perClass(train, validation)[index]);
    assert.ok(
      shares.every((share) => share > 0.08 && share < 0.12),
      `stratified: ${shares}`,
    );
  });

  test('has own labels that often agree with the votes', () => {
    const faces = selectFaces(
      dataset.train,
      Array.from({ length: 5000 }, (_, index) => index),
    );
    const { targets, kept } = ferPlusTargets(faces.votes, 10, 8, 'majority');
    const same = [...kept].filter((face) => plurality(targets.subarray(face * 8, face * 8 + 8)) === faces.labels![face]).length;
    assert.ok(same / kept.length > 0.6 && same / kept.length < 0.9, `${same} of ${kept.length} agree`);
  });
});
