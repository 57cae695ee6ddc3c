import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { RunError } from '#src/errors.js';
import { type Disk, removePartialFiles, replaceFile } from '#src/run/atomic-file.js';
import { assert, rejects, suite } from '../support/suite.js';
import { failingDisk } from './failing-disk.js';
import { scratchFolder } from './scratch.js';

suite('atomic file', (test) => {
  test('writes all chunks and replaces the earlier file', async () => {
    const path = join(scratchFolder(), 'file');
    await replaceFile(path, ['first, ', 'longer content']);
    assert.is(readFileSync(path, 'utf8'), 'first, longer content');
    await replaceFile(path, ['new', new Uint8Array([33])]);
    assert.is(readFileSync(path, 'utf8'), 'new!');
    assert.equal(readdirSync(join(path, '..')), ['file']);
  });

  for (const [code, message, remedy] of [
    ['ENOSPC', 'the disk is full', 'Make room'],
    ['EDQUOT', 'the disk is full', 'Make room'],
    ['EROFS', 'the folder is read-only', '--out'],
    ['EACCES', 'the folder is read-only', '--out'],
    ['EFBIG', 'larger than is allowed', 'ulimit'],
    ['EIO', 'the disk reported an error', 'Check the disk'],
  ]) {
    for (const capacity of [0, 6]) {
      test(`${code} after ${capacity} bytes leaves the earlier file alone`, async () => {
        const folder = scratchFolder();
        const path = join(folder, 'file');
        writeFileSync(path, 'earlier');
        const error = (await rejects(
          () => replaceFile(path, ['0123', '4567'], failingDisk(code, capacity)),
          RunError,
          path,
          message,
          code,
          remedy,
        )) as RunError;
        assert.is(error.place.file, path);
        assert.is(readFileSync(path, 'utf8'), 'earlier');
        assert.equal(readdirSync(folder), ['file']);
      });
    }
  }

  test('a failing rename leaves no temporary file', async () => {
    const folder = scratchFolder();
    const path = join(folder, 'file');
    mkdirSync(join(path, 'inside'), { recursive: true }); // a folder that is not empty cannot be replaced
    await rejects(() => replaceFile(path, ['content']), RunError, path, 'in the way');
    assert.equal(readdirSync(folder), ['file']);
  });

  test('a folder that does not exist is named', async () => {
    const path = join(scratchFolder(), 'nowhere', 'file');
    await rejects(() => replaceFile(path, ['content']), RunError, 'does not exist', join(path, '..'));
  });

  if (existsSync('/dev/full')) {
    test('the full disk of the kernel is recognised', async () => {
      const folder = scratchFolder();
      const path = join(folder, 'file');
      writeFileSync(path, 'earlier');
      const full: Disk = { rename: fs.rename, rm: fs.rm, open: () => fs.open('/dev/full', 'w') };
      await rejects(() => replaceFile(path, ['content'], full), RunError, 'the disk is full (ENOSPC)');
      assert.is(readFileSync(path, 'utf8'), 'earlier');
    });
  }

  test('a process killed while writing leaves the earlier file; what it left behind is ignored and cleaned', async () => {
    const folder = scratchFolder();
    const path = join(folder, 'file');
    writeFileSync(path, 'earlier');
    const script = `
      import { replaceFile } from ${JSON.stringify(import.meta.resolve('#src/run/atomic-file.js'))};
      function* chunks() { yield 'half'; process.kill(process.pid, 'SIGKILL'); yield 'rest'; }
      await replaceFile(${JSON.stringify(path)}, chunks());`;
    const { status } = spawnSync(process.execPath, ['--input-type=module', '-e', script]);
    assert.is.not(status, 0);
    assert.equal(readdirSync(folder), ['file', 'file.partial']);
    assert.is(readFileSync(path, 'utf8'), 'earlier');
    await replaceFile(path, ['next']);
    assert.equal([readdirSync(folder), readFileSync(path, 'utf8')], [['file'], 'next']);

    writeFileSync(`${path}.partial`, 'half');
    await removePartialFiles(folder);
    assert.equal(readdirSync(folder), ['file']);
  });
});
