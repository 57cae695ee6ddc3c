import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RunError } from '#src/errors.js';
import { type Inspection, inspectDataset } from '#src/faces/inspection.js';
import { writeInspection } from '#src/report/inspection-pictures.js';
import { inspectionTable } from '#src/report/inspection-table.js';
import { exampleDataset } from '../faces/example-dataset.js';
import { write } from '../faces/fixtures.js';
import { scratchFolder } from '../run/scratch.js';
import { assert, rejects, suite } from '../support/suite.js';
import { decoded } from './example.js';

const dataset = exampleDataset();
const inspection = inspectDataset(dataset);

suite('inspection report', (test) => {
  test('tells all that was counted', () => {
    const text = inspectionTable(inspection, 'somewhere', [{ file: 'classes.png', shows: 'classes' }]);
    for (const line of [
      'example: 2 classes, 2×2 grey',
      'train: 5 faces, by the class that most annotators chose',
      '  anger   3   60.0 %  ██████████████████████████████',
      '  fear    1   20.0 %  ██████████',
      '  (none)  1   20.0 %  ██████████',
      '  per face, least to most (mean)   3–10 (7.4)  1–2 (1.5)          1',
      '  ambiguous: no class above half   3 (60.0 %)  2 (100.0 %)  0 (0.0 %)',
      '  entropy, greatest (of 0.693)          0.693            –      0.000',
      'exact copies: 4 faces that look like another one, in 2 groups, 1 of them across splits',
      '  train 2 (train) = test 1 (list.txt, line 2, test)',
      'missing images: 1',
      '  list.txt, line 9: a.jpg',
      'unreadable images: 1',
      'left out for their label: 3 uncertain',
      '  a note',
      'in somewhere',
      '  classes.png  classes',
    ]) {
      assert.ok(`\n${text}`.replace(/ +/g, ' ').includes(`\n${line.replace(/ +/g, ' ')}`), `no '${line}' in\n${text}`);
    }
  });

  test('shows the beginning of a long list and says where the rest is', () => {
    const problems = Array.from({ length: 12 }, (_, i) => ({ ...dataset.problems![0], id: `${i}.jpg` }));
    const text = inspectionTable({ ...inspection, problems, duplicates: [], leftOut: {} } satisfies Inspection, 'x', []);
    assert.match(text, 'missing images: 12\n');
    assert.match(text, '4.jpg\n  … and 7 more in problems.csv\n');
    assert.not.match(text, '5.jpg');
    assert.match(text, 'exact copies: 0 faces');
    assert.match(text, 'left out for their label: none');
  });

  test('draws classes, disagreement, faces of every class that occurs and the most ambiguous, and lists problems', async () => {
    const folder = join(scratchFolder(), 'new', 'folder');
    const files = await writeInspection(folder, dataset, inspection);
    const names = ['classes.png', 'entropy.png', 'faces-anger.png', 'faces-fear.png', 'ambiguous.png', 'problems.csv'];
    assert.equal(files.map(({ file }) => file), names); // biome-ignore format: one list
    assert.equal(readdirSync(folder).sort(), [...names].sort());
    for (const name of names.slice(0, -1)) assert.ok(decoded(readFileSync(join(folder, name))).width > 500, name);
    const grey = (name: string, colour: string) => decoded(readFileSync(join(folder, name))).pixelsOfColour(colour) > 10_000;
    assert.ok(grey('faces-fear.png', '#020202'), 'the face of grey 2 is taken for fear');
    assert.not(grey('faces-fear.png', '#030303'));
    assert.ok(grey('ambiguous.png', '#030303'));
    assert.not(grey('ambiguous.png', '#010101'), 'all agree on the first');
    assert.is(
      readFileSync(join(folder, 'problems.csv'), 'utf8'),
      `kind,image,place,message
missing,a.jpg,"list.txt, line 9",a.jpg: there is no such file
unreadable,b.jpg,"list.txt, line 10","b.jpg: ""cut"", off"
copy,train 4,,of train 1 (train); in train
copy,test 1,"list.txt, line 2",of train 2 (train); in test
`,
    );
  });

  test('draws no ambiguous faces where annotators never disagree', async () => {
    const single = { ...dataset, train: dataset.test };
    const files = await writeInspection(scratchFolder(), single, inspectDataset(single));
    assert.not(files.some(({ file }) => file === 'ambiguous.png'));
  });

  test('names the folder that cannot be written to', async () => {
    const file = write(scratchFolder(), 'file', '');
    await rejects(() => writeInspection(join(file, 'x'), dataset, inspection), RunError, join(file, 'x'), 'cannot be written', '--out');
  });
});
