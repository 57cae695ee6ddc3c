import { faceEntropies, inspectDataset } from '#src/faces/inspection.js';
import { assert, suite } from '../support/suite.js';
import { assertClose } from '../support/tensors.js';
import { exampleDataset } from './example-dataset.js';

suite('inspection', (test) => {
  test('counts faces by the class with most votes, and those without a vote for any', () => {
    const { splits } = inspectDataset(exampleDataset());
    const counts = splits.train.classes.map(({ name, faces }) => [name, faces]);
    assert.equal([counts, splits.train.withoutClass, splits.train.faces], [[['anger', 3], ['fear', 1]], 1, 5]); // biome-ignore format: one row
    assert.equal(splits.validation.classes.map(({ faces }) => faces), [0, 0]); // biome-ignore format: one list
    assert.is(splits.validation.withoutClass, 2);
  });

  test('measures how far annotators agree', () => {
    const { train, validation, test: held } = inspectDataset(exampleDataset()).splits;
    assert.equal(train.votes, { least: 3, mean: 7.4, most: 10 });
    const entropies = [0, Math.log(2), -(4 / 6) * Math.log(4 / 6) - (2 / 6) * Math.log(2 / 6), 0.25 * Math.log(4) + 0.75 * Math.log(4 / 3)];
    assertClose(train.entropy, [0, 1, 2, 2, 3, 3].map((rank) => [...entropies].sort((a, b) => a - b)[rank]), { absolute: 1e-12 }); // biome-ignore format: one call
    const mean = entropies.reduce((sum, value) => sum + value, 0) / 4;
    assertClose([train.agreement!], [1 - mean / Math.log(2)], { absolute: 1e-12 });
    assert.is(train.ambiguous, 3, 'a tie, four of ten votes, and nobody who saw an expression');
    assert.equal([held.ambiguous, held.agreement], [0, 1]);
    assert.equal([validation.agreement, validation.entropy, validation.ambiguous], [null, [], 2]);
    assert.equal([...faceEntropies(exampleDataset().validation)], [Number.NaN, Number.NaN]);
  });

  test('finds exact copies within and across splits, with their places', () => {
    assert.equal(inspectDataset(exampleDataset()).duplicates, [
      [
        { split: 'train', id: 'train 1' },
        { split: 'train', id: 'train 4' },
      ],
      [
        { split: 'train', id: 'train 2' },
        { split: 'test', id: 'test 1', place: 'list.txt, line 2' },
      ],
    ]);
  });
});
