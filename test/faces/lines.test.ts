import { gzipSync } from 'node:zlib';
import { InputError } from '#src/errors.js';
import { readCsv } from '#src/faces/csv.js';
import { readLines } from '#src/faces/lines.js';
import { assert, rejects, suite } from '../support/suite.js';
import { inFolder, write } from './fixtures.js';

async function linesOf(file: string): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of readLines(file)) lines.push(line.toString());
  return lines;
}

suite('lines', (test) => {
  test('are whole wherever the chunks of a file end', () =>
    inFolder(async (folder) => {
      const expected = [0, 1, 300_000, 5, 0, 700_000, 262_143, 262_144, 3].map((length, index) => String(index).repeat(length));
      assert.equal(await linesOf(write(folder, 'plain', `${expected.join('\n')}\n`)), expected);
      assert.equal(await linesOf(write(folder, 'zipped', gzipSync(expected.join('\r\n')))), expected);
      assert.equal(await linesOf(write(folder, 'empty', '')), []);
    }));

  test('must end, and must be in a file', () =>
    inFolder(async (folder) => {
      const file = write(folder, 'endless.csv', `a\n${'x'.repeat(5_000_000)}`);
      await rejects(() => linesOf(file), InputError, 'endless.csv', 'line 2', 'no text file of rows');
      await rejects(
        async () => {
          for await (const row of readCsv(file)) assert.ok(row.line > 0);
        },
        InputError,
        'endless.csv',
        'no CSV',
      );
      await rejects(() => linesOf(folder), InputError, 'is a folder');
      await rejects(() => linesOf(`${folder}/absent`), InputError, 'there is no such file');
    }));
});
