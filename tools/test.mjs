// The test runner: `node tools/test.mjs [part of a path …] [--timeout seconds] [--root folder]`. All files, or those whose path holds one of the
// parts, run in one process, because a device, its shaders and their compilation are expensive; when a file crashes that process or hangs it, the
// file has failed and a new process goes on behind it. A run of all files prints the coverage of src/. The last line is 'N passed, N failed'.
import { fork, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const SCRIPT = fileURLToPath(import.meta.url);
const REPOSITORY = fileURLToPath(new URL('..', import.meta.url));
const EXIT_TIMEOUT_S = 20;

/** @typedef {{ file: string, passed: number, failed: number }} Outcome of one file */

/**
 * The test files as written, relative to test/, with forward slashes: 'tensor/conv2d.test.ts'. Compiled ones whose source is gone do not count.
 * @param {string} root @param {string[]} parts
 */
function findFiles(root, parts) {
  return readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.test.ts') && (parts.length === 0 || parts.some((part) => path.includes(part))))
    .sort();
}

/** The worker's side: reports every file over the channel and leaves at once, whatever the tests left open. @param {string} root @param {string[]} files */
async function work(root, files) {
  /** @param {{ outcome?: Outcome, done?: boolean }} message */
  const send = (message) => new Promise((resolve) => process.send?.(message, undefined, undefined, resolve));
  for (const file of files) {
    console.log(file);
    const start = performance.now();
    const outcome = await runFile(root, file);
    const seconds = (performance.now() - start) / 1000;
    if (seconds >= 1) console.log(`  ${seconds.toFixed(1)} s`);
    await send({ outcome });
  }
  await send({ done: true });
  process.exit(0);
}

/** Runs the suites that one file registers in uvu's queue. @param {string} root @param {string} file @returns {Promise<Outcome>} */
async function runFile(root, file) {
  /** @type {(() => Promise<[errors: string | true, passed: number, skipped: number, total: number]>)[]} */
  const suites = [];
  Object.assign(globalThis, { UVU_DEFER: 1, UVU_INDEX: 0, UVU_QUEUE: [suites] });
  await import(pathToFileURL(join(root, 'dist', 'test', file.replace(/\.ts$/, '.js'))).href);
  const outcome = { file, passed: 0, failed: 0 };
  for (const suite of suites) {
    const [errors, passed, , total] = await suite();
    outcome.passed += passed;
    outcome.failed += total - passed;
    if (typeof errors === 'string') console.log(`\n${errors}`);
  }
  return outcome;
}

/**
 * Runs files in one worker until all are done or one takes the worker down; `stopped` says how.
 * @param {string} root @param {string[]} files @param {number} timeoutS @param {NodeJS.ProcessEnv} env
 * @returns {Promise<{ outcomes: Outcome[], stopped?: string }>}
 */
function runWorker(root, files, timeoutS, env) {
  return new Promise((resolve) => {
    const worker = fork(SCRIPT, ['--worker', '--root', root, ...files], { cwd: root, env: { ...process.env, ...env } });
    /** @type {Outcome[]} */
    const outcomes = [];
    let done = false;
    /** @type {number | undefined} */
    let timedOutS;
    /** @type {NodeJS.Timeout | undefined} */
    let watchdog;
    // An endless shader blocks the worker's own thread, so the watchdog is here.
    /** @param {number} seconds */
    const watch = (seconds) => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => {
        timedOutS = seconds;
        worker.kill('SIGKILL');
      }, seconds * 1000);
    };
    worker.on('message', (/** @type {{ outcome?: Outcome, done?: boolean }} */ message) => {
      if (message.outcome) outcomes.push(message.outcome);
      done = message.done === true;
      watch(done ? EXIT_TIMEOUT_S : timeoutS);
    });
    worker.on('exit', (code, signal) => {
      clearTimeout(watchdog);
      const how = timedOutS === undefined ? `ended the process with ${signal ?? `exit code ${code}`}` : `did not end within ${timedOutS} s`;
      resolve(done && code === 0 ? { outcomes } : { outcomes, stopped: done ? `after the last test: ${how}` : how });
    });
    watch(timeoutS);
  });
}

/** @param {string} folder where V8 left its counts @returns {boolean} */
function printCoverage(folder) {
  const c8 = join(REPOSITORY, 'node_modules', 'c8', 'bin', 'c8.js');
  const sources = ['--src', 'src', '--include', 'src/**', '--all', '--exclude-after-remap'];
  const args = [c8, 'report', '--temp-directory', folder, '--reporter', 'text-summary', ...sources];
  return spawnSync(process.execPath, args, { cwd: REPOSITORY, stdio: 'inherit' }).status === 0;
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { worker: { type: 'boolean' }, root: { type: 'string', default: REPOSITORY }, timeout: { type: 'string', default: '300' } },
  });
  if (values.worker) return work(values.root, positionals);

  // 'test/tensor/conv2d.test.ts' and 'dist/test/tensor/conv2d.test.js' name a file as well as 'conv2d' does.
  const parts = positionals.map((part) =>
    part.replaceAll('\\', '/').replace(/^(\.\/)?(dist\/)?test\/|(?<=\.test\.)js$/g, (cut) => (cut === 'js' ? 'ts' : '')),
  );
  const files = findFiles(values.root, parts);
  if (files.length === 0)
    console.error(parts.length ? `no test file has '${parts.join("' or '")}' in its path` : 'there are no test files');

  const coverage = parts.length === 0 ? join(values.root, 'coverage', 'v8') : undefined;
  if (coverage) rmSync(coverage, { recursive: true, force: true });

  /** @type {string[]} */
  const failures = [];
  let passed = 0;
  let failed = 0;
  for (let rest = files; rest.length > 0; ) {
    const { outcomes, stopped } = await runWorker(
      values.root,
      rest,
      Number(values.timeout),
      coverage ? { NODE_V8_COVERAGE: coverage } : {},
    );
    for (const outcome of outcomes) {
      const empty = outcome.passed + outcome.failed === 0;
      passed += outcome.passed;
      failed += empty ? 1 : outcome.failed;
      if (empty) failures.push(`${outcome.file}: holds no test`);
      else if (outcome.failed > 0) failures.push(`${outcome.file}: ${outcome.failed} failed`);
    }
    rest = rest.slice(outcomes.length);
    if (stopped) {
      failed++;
      failures.push(rest.length > 0 ? `${rest[0]}: ${stopped}` : stopped);
      rest = rest.slice(1);
    }
  }

  const covered = !coverage || !existsSync(coverage) || printCoverage(coverage);
  if (failures.length > 0) console.log(`\n${failures.join('\n')}`);
  console.log(`\n${passed} passed, ${failed} failed`);
  process.exitCode = passed > 0 && failed === 0 && covered ? 0 : 1;
}

await main();
