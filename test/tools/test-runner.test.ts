import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert, suite } from '../support/suite.js';

const RUNNER = fileURLToPath(new URL('../../../tools/test.mjs', import.meta.url));
const UVU = import.meta.resolve('uvu');

const SOUND = `const test = suite('sound'); test('one', () => {}); test('two', () => {}); test.run();`;

/** Runs the runner over files of a project made for it: name → JavaScript, in which uvu's `suite` is there. */
function run(files: Record<string, string>, ...args: string[]): { status: number | null; lines: string[] } {
  const root = mkdtempSync(join(tmpdir(), 'moue-runner-'));
  try {
    for (const folder of ['test', 'dist/test']) mkdirSync(join(root, folder), { recursive: true });
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(root, 'test', `${name}.test.ts`), '');
      writeFileSync(join(root, 'dist', 'test', `${name}.test.js`), `import { suite } from '${UVU}';\n${text}`);
    }
    writeFileSync(join(root, 'dist', 'test', 'deleted.test.js'), 'throw new Error("its source is gone");');
    writeFileSync(join(root, 'package.json'), '{ "type": "module" }');
    const { status, stdout, stderr } = spawnSync(process.execPath, [RUNNER, '--root', root, ...args], { encoding: 'utf8' });
    return { status, lines: `${stderr}${stdout}`.trimEnd().split('\n') };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

suite('test runner', (test) => {
  test('counts what passed and ends well', () => {
    const { status, lines } = run({ a: SOUND, b: SOUND }, '.test');
    assert.is(lines.at(-1), '4 passed, 0 failed');
    assert.is(status, 0);
  });

  test('parts of paths choose files, and a part that fits none fails', () => {
    const files = { conv2d: SOUND, matmul: SOUND, pool: SOUND };
    assert.is(run(files, 'conv2d', 'test/matmul.test.ts').lines.at(-1), '4 passed, 0 failed');
    assert.is(run(files, 'dist/test/pool.test.js').lines.at(-1), '2 passed, 0 failed');
    const none = run(files, 'softmax');
    assert.is(none.status, 1);
    assert.is(none.lines.at(-1), '0 passed, 0 failed');
    assert.match(none.lines[0] ?? '', "no test file has 'softmax'");
  });

  test('failed tests, throwing hooks and files without tests fail the run', () => {
    const { status, lines } = run(
      {
        failing: `const test = suite('failing'); test('good', () => {}); test('bad', () => { throw new Error('as meant'); }); test.run();`,
        before: `const test = suite('before'); test.before(() => { throw new Error('as meant'); }); test('one', () => {}); test.run();`,
        forgotten: `const test = suite('forgotten'); test('never run', () => {});`,
      },
      '.test',
    );
    assert.is(status, 1);
    assert.equal(lines.slice(-5), [
      'before.test.ts: 1 failed',
      'failing.test.ts: 1 failed',
      'forgotten.test.ts: holds no test',
      '',
      '1 passed, 3 failed',
    ]);
  });

  test('a file that ends the process or hangs it fails, and the files behind it run', () => {
    const { status, lines } = run(
      {
        a: SOUND,
        crash: `const test = suite('crash'); test('one', () => process.kill(process.pid, 'SIGKILL')); test('two', () => new Promise(() => {})); test.run();`,
        exit: `const test = suite('exit'); test('one', () => process.exit(0)); test.run();`,
        hang: `const test = suite('hang'); test('one', () => { for (;;); }); test.run();`,
        rejection: `void Promise.reject(new Error('as meant')); const test = suite('rejection'); test('one', () => new Promise((r) => setTimeout(r, 50))); test.run();`,
        syntax: `this is no JavaScript`,
        z: SOUND,
      },
      '.test',
      '--timeout',
      '2',
    );
    assert.is(status, 1);
    const tail = lines.slice(-7);
    assert.match(tail[0] ?? '', process.platform === 'win32' ? /^crash.test.ts: ended/ : 'crash.test.ts: ended the process with SIGKILL');
    assert.is(tail[1], 'exit.test.ts: ended the process with exit code 0');
    assert.is(tail[2], 'hang.test.ts: did not end within 2 s');
    assert.is(tail[3], 'rejection.test.ts: ended the process with exit code 1');
    assert.is(tail[4], 'syntax.test.ts: ended the process with exit code 1');
    assert.is(tail[6], '4 passed, 5 failed');
  });
});
