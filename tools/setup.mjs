// What `npm start` and `npm test` do first: packages, compilation, and an adapter that Dawn can use. Needs nothing but Node, and is quick
// when everything is there. `--dry-run` prints what would be installed for the adapter and installs nothing.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isNodeAtLeast, missingPackages, parseOsRelease, planAdapter } from './system.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const NODE_MAJOR = 20;
const PROBE_TIMEOUT_MS = 60_000;

/** A failure with a sentence for the user, and the output of the tool that failed. */
class SetupError extends Error {
  /** @param {string} message @param {string} [output] */
  constructor(message, output = '') {
    super(message);
    this.output = output;
  }
}

/**
 * Runs a program to its end with its output kept.
 * @param {string} program @param {string[]} args @param {{ shell?: boolean, timeout?: number, env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<{ code: number | null, signal: string | null, stdout: string, stderr: string }>}
 */
function run(program, args, { shell = false, timeout, env } = {}) {
  return new Promise((resolve) => {
    const options = { cwd: ROOT, shell, timeout, env: { ...process.env, ...env }, windowsHide: true };
    const child = shell ? spawn([program, ...args].join(' '), options) : spawn(program, args, options);
    let stdout = '';
    let stderr = '';
    child.stdout?.on('data', (data) => (stdout += data));
    child.stderr?.on('data', (data) => (stderr += data));
    child.on('error', (error) => resolve({ code: null, signal: null, stdout, stderr: stderr + error.message }));
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

/** Runs a program that must succeed, announced in one line. @param {string} what @param {string} program @param {string[]} args @param {Parameters<typeof run>[2]} [options] */
async function must(what, program, args, options) {
  process.stdout.write(`set-up: ${what} … `);
  const start = Date.now();
  const { code, stdout, stderr } = await run(program, args, options);
  process.stdout.write(`${code === 0 ? `${((Date.now() - start) / 1000).toFixed(1)} s` : 'failed'}\n`);
  if (code !== 0) throw new SetupError(`"${[program, ...args].join(' ')}" failed.`, stdout + stderr);
}

/** @param {string} path */
function readJson(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
}

async function installPackages() {
  const missing = missingPackages(readJson(join(ROOT, 'package-lock.json')), readJson(join(ROOT, 'node_modules', '.package-lock.json')));
  if (missing.length === 0) return;
  // No package here needs its install script: all bring their binaries. Only on macOS does one (webgpu) lift a quarantine mark.
  const scripts = process.platform === 'darwin' ? [] : ['--ignore-scripts'];
  const args = ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error', ...scripts];
  await must(`installing ${missing.length} packages (npm ci)`, 'npm', args, { shell: process.platform === 'win32' });
}

async function compile() {
  const { code, stdout, stderr } = await run(process.execPath, [join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-b', 'test']);
  if (code !== 0) throw new SetupError('The TypeScript sources do not compile.', stdout + stderr);
}

/** @returns {Promise<{ adapter?: string, load?: string, problem?: string }>} */
async function probe() {
  const env = process.env.XDG_RUNTIME_DIR ? {} : { XDG_RUNTIME_DIR: tmpdir() };
  const { code, signal, stdout, stderr } = await run(process.execPath, [join(ROOT, 'tools', 'probe.mjs')], {
    timeout: PROBE_TIMEOUT_MS,
    env,
  });
  if (code === 0) return JSON.parse(stdout.slice(stdout.lastIndexOf('\n')));
  return { problem: `the probe ended with ${signal ?? `exit code ${code}`} ${stderr.trim().split('\n').at(-1) ?? ''}`.trim() };
}

/** @returns {import('./system.mjs').System} */
function readSystem() {
  /** @param {string} path */
  const read = (path) => (existsSync(path) ? readFileSync(path, 'utf8') : '');
  const directory = '/etc/apt/sources.list.d';
  const files = existsSync(directory) ? readdirSync(directory).filter((name) => /\.(list|sources)$/.test(name)) : [];
  return {
    platform: process.platform,
    osRelease: parseOsRelease(read('/etc/os-release')),
    root: process.getuid?.() === 0,
    aptSources: ['/etc/apt/sources.list', ...files.map((name) => join(directory, name))].map(read).join('\n'),
  };
}

/**
 * Installs a software adapter where that is possible, and gives its description.
 * @param {Awaited<ReturnType<typeof probe>>} failure @param {boolean} dryRun
 */
async function installAdapter({ load, problem }, dryRun) {
  if (load) throw new SetupError(`The npm package "webgpu" does not load on this system (${process.platform} ${process.arch}): ${load}`);
  const { source, commands, advice } = planAdapter(readSystem());
  if (!commands) throw new SetupError(`${advice} (Dawn: ${problem}.)`);
  if (dryRun) {
    if (source) console.log(`would write ${source.path}:\n${source.text}`);
    for (const command of commands) console.log(`would run ${command.join(' ')}`);
    return 'none';
  }
  if (source) writeFileSync(source.path, source.text);
  for (const [program, ...args] of commands) {
    const patience = ['-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=3'];
    await must(`no adapter yet: ${program} ${args.join(' ')}`, program, [...patience, ...args], {
      env: { DEBIAN_FRONTEND: 'noninteractive' },
    });
  }
  const found = await probe();
  if (found.adapter) return found.adapter;
  const why = found.problem ?? found.load;
  throw new SetupError(
    `Mesa's software Vulkan is installed, but Dawn still finds no adapter (${why}): check VK_DRIVER_FILES and "vulkaninfo --summary".`,
  );
}

async function main() {
  const start = Date.now();
  if (!isNodeAtLeast(process.version, NODE_MAJOR)) {
    throw new SetupError(`Node ${process.version} is too old: install Node ${NODE_MAJOR} or newer from https://nodejs.org.`);
  }
  await installPackages();
  const [found] = await Promise.all([probe(), compile()]);
  const adapter = found.adapter ?? (await installAdapter(found, process.argv.includes('--dry-run')));
  console.log(`set-up: ready, adapter ${adapter} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
}

main().catch((error) => {
  if (!(error instanceof SetupError)) throw error;
  if (error.output) console.error(error.output.trimEnd());
  console.error(`set-up: ${error.message}`);
  process.exitCode = 1;
});
