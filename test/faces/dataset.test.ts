import path from 'node:path';
import { InputError, UsageError } from '#src/errors.js';
import { openDataset } from '#src/faces/dataset.js';
import { EXPRESSIONS, expressionName, inExpressionOrder } from '#src/faces/expressions.js';
import { readManifests } from '#src/faces/manifest.js';
import { assert, rejects, suite } from '../support/suite.js';
import { inFolder, OPTIONS, write } from './fixtures.js';

suite('dataset', (test) => {
  test('is refused with what was looked for where nothing fits', () =>
    inFolder(async (folder) => {
      await rejects(() => openDataset(path.join(folder, 'absent'), OPTIONS), InputError, 'absent', 'no such file or folder', "'generated'");
      await rejects(() => openDataset(folder, OPTIONS), InputError, folder, 'holds no dataset', 'fer2013.csv[.gz]', 'votes.csv');
      const file = write(folder, 'faces.zip', 'PK');
      await rejects(() => openDataset(file, OPTIONS), InputError, 'faces.zip', 'is no dataset that can be read');
    }));

  test('takes only options that make sense', async () => {
    const wrong = [
      { seed: -1 },
      { seed: 0.5 },
      { seed: 2 ** 32 },
      { validationShare: 0 },
      { validationShare: 1 },
      { validationShare: Number.NaN },
    ];
    for (const option of [...wrong, { size: 7 }, { size: 48.5 }, { size: 4096 }, { channels: 2 as 1 }, { count: 3 }]) {
      await rejects(() => openDataset('generated', { ...OPTIONS, ...option }), UsageError, String(Object.values(option)[0]));
    }
  });

  test('has expressions under one name and in one order', () => {
    assert.equal(['Happy', ' ANGRY ', 'NF', 'awe', 'Not a face', 'fearful'].map(expressionName), [
      'happiness',
      'anger',
      'NF',
      'awe',
      'NF',
      'fear',
    ]);
    assert.equal(inExpressionOrder(['zeal', 'fear', 'awe', 'neutral']), ['neutral', 'fear', 'awe', 'zeal']);
  });

  test('manifests say what a dataset holds and where to ask for it', () => {
    const manifests = readManifests();
    assert.equal(
      manifests.map(({ name }) => name),
      ['affectnet-2017', 'affectnet-2021', 'ferplus', 'raf-db'],
    );
    for (const { name, source, classes, layout, splits } of manifests) {
      assert.ok(source.url.startsWith('http') && source.how.length > 0, name);
      assert.equal([...classes], EXPRESSIONS.slice(0, classes.length), name);
      assert.ok(Object.keys(layout).length > 0 && Object.values(splits).every((count) => count > 0), name);
    }
  });
});
