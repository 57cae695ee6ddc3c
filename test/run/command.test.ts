import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InputError, UsageError } from '#src/errors.js';
import { describeFailure } from '#src/run/command.js';
import { assert, suite } from '../support/suite.js';
import { scratchFolder } from './scratch.js';

const path = join(scratchFolder(), 'command.mjs');

/** Runs `body` as the main function of a command in a process of its own. */
function run(body: string, ...args: string[]) {
  const script = `
    import { Announcement, runCommand } from ${JSON.stringify(import.meta.resolve('#src/run/command.js'))};
    import { InputError } from ${JSON.stringify(import.meta.resolve('#src/errors.js'))};
    await runCommand(async (args) => { ${body} });`;
  writeFileSync(path, script);
  const { status, stdout, stderr } = spawnSync(process.execPath, [path, ...args], {
    encoding: 'utf8',
    timeout: 20_000,
    maxBuffer: 2 ** 24,
  });
  return { status, stdout, stderr };
}

suite('command', (test) => {
  test('passes the arguments, and ends although a timer would keep the process alive', () => {
    assert.equal(run('setInterval(() => {}, 1000); console.log(args.join("|"));', 'a', '--b'), {
      status: 0,
      stdout: 'a|--b\n',
      stderr: '',
    });
  });

  test('a long output to a pipe is complete', () => {
    const { status, stdout } = run('process.stdout.write("x".repeat(3_000_000) + "end");');
    assert.is(status, 0);
    assert.is(stdout.length, 3_000_003);
    assert.ok(stdout.endsWith('end'));
  });

  test("a user's failure is two lines and status 1", () => {
    const failure = `throw new InputError('a row is too short', 'Restore the file.', { file: 'faces.csv', line: 7 });`;
    const expected = { status: 1, stdout: '', stderr: 'error: faces.csv, line 7: a row is too short\n  → Restore the file.\n' };
    assert.equal(run(failure), expected);
    assert.equal(run(`setInterval(() => {}, 1000); setTimeout(() => { ${failure} }, 1); await new Promise(() => {});`), expected);
    assert.equal(run(`setInterval(() => {}, 1000); Promise.resolve().then(() => { ${failure} }); await new Promise(() => {});`), expected);
  });

  test('a defect shows its stack, status 2', () => {
    const { status, stderr } = run('undefined.field;');
    assert.is(status, 2);
    assert.match(stderr, /^error: this is a defect/);
    assert.match(stderr, /TypeError: .*undefined.*\n\s+at /s);
    assert.is(run('throw "a text";').status, 2);
  });

  test('an announcement goes to the output, status 0', () => {
    assert.equal(run(`throw new Announcement('usage');`), { status: 0, stdout: 'usage\n', stderr: '' });
  });

  test('describes failures', () => {
    assert.is(
      describeFailure(new UsageError('unknown option', 'Did you mean --batch?', { field: '--batsh' })),
      'error: --batsh: unknown option\n  → Did you mean --batch?',
    );
    assert.is(describeFailure(new InputError('m', 'r')), 'error: m\n  → r');
    assert.match(describeFailure('text'), 'text');
  });
});
