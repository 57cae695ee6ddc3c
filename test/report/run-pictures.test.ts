import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RunError } from '#src/errors.js';
import { writeRunPictures } from '#src/report/run-pictures.js';
import { assert, rejects, suite } from '../support/suite.js';
import { decoded, exampleFaces, exampleLog } from './example.js';

const faces = exampleFaces();
const dataset = { name: 'example', classes: faces.classes, train: faces, validation: faces, test: faces, notes: [] };
const log = exampleLog(2);

suite('run pictures', (test) => {
  test('a finished run gets all pictures, one without a test those that can be drawn', async () => {
    const path = mkdtempSync(join(tmpdir(), 'moue-pictures-'));
    try {
      const early = await writeRunPictures({ path, readLog: () => log.slice(0, -1) }, dataset);
      assert.equal(early.map(({ file }) => file), ['learning-curves.png', 'faces.png']); // biome-ignore format: one list
      const pictures = await writeRunPictures({ path, readLog: () => log }, dataset, new Float32Array(12).fill(1 / 3));
      assert.equal(pictures.map(({ file }) => file).toSorted(), readdirSync(path).toSorted());
      assert.is(pictures.length, 4);
      for (const { file } of pictures) assert.ok(decoded(readFileSync(join(path, file))).width > 500, file);
    } finally {
      rmSync(path, { recursive: true });
    }
  });

  test('a folder that cannot be written to is named', async () => {
    const path = join(tmpdir(), 'moue-no-such-folder');
    await rejects(
      () => writeRunPictures({ path, readLog: () => log }, dataset),
      RunError,
      join(path, 'learning-curves.png'),
      'cannot be written',
    );
  });
});
