import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { RunError } from '#src/errors.js';
import { moueVersion, type NewRun, RunFolder } from '#src/run/run-folder.js';
import { assert, rejects, suite } from '../support/suite.js';
import { scratchFolder } from './scratch.js';

const newRun = (out?: string): NewRun => ({
  out,
  paradigm: 'ferplus-majority',
  model: 'small',
  seed: 7,
  config: { epochs: 3, data: 'généré' },
  adapter: { vendor: 'mesa' },
});
const begin = (name = 'run') => RunFolder.create(newRun(join(scratchFolder(), name)));

/** Calls `body` in another working folder. */
async function inFolder<T>(folder: string, body: () => Promise<T>): Promise<T> {
  const before = process.cwd();
  process.chdir(folder);
  try {
    return await body();
  } finally {
    process.chdir(before);
  }
}

suite('run folder', (test) => {
  test('is named by time, paradigm, model and seed, and never twice', async () => {
    const folder = scratchFolder();
    const names = await inFolder(folder, async () => {
      const runs = [];
      for (let i = 0; i < 3; i++) runs.push(await RunFolder.create(newRun()));
      return runs.map((run) => basename(run.path));
    });
    assert.equal(readdirSync(join(folder, 'runs')).sort(), names.toSorted());
    assert.is(new Set(names).size, 3);
    for (const name of names) assert.match(name, /^\d{8}-\d{6}-ferplus-majority-small-s7(-\d)?$/);
  });

  test('holds the config as given and the environment', async () => {
    const run = await begin();
    assert.equal(RunFolder.open(run.path).readConfig(), newRun().config);
    const environment = JSON.parse(readFileSync(join(run.path, 'environment.json'), 'utf8'));
    assert.equal(
      [environment.moue, environment.node, environment.seed, environment.adapter],
      [moueVersion(), process.version, 7, { vendor: 'mesa' }],
    );
    assert.ok(Math.abs(Date.parse(environment.started) - Date.now()) < 60_000);
    assert.match(moueVersion(), /^\d+\.\d+\.\d+$/);
  });

  test('the log is JSON lines in order', async () => {
    const run = await begin();
    assert.equal(run.readLog(), []);
    run.log({ step: 1, loss: 2.5 });
    run.log({ step: 2, loss: 2.25, note: 'é\n' });
    assert.is(readFileSync(run.logPath, 'utf8'), '{"step":1,"loss":2.5}\n{"step":2,"loss":2.25,"note":"é\\n"}\n');
    assert.equal(run.readLog()[1], { step: 2, loss: 2.25, note: 'é\n' });
  });

  test('resuming cuts the log after the step of the checkpoint, and what a killed process left', async () => {
    const run = await begin();
    run.log({ note: 'é begins' });
    for (let step = 1; step <= 6; step++) run.log({ step });
    run.log({ note: 'after step 6' });
    appendFileSync(run.logPath, '{"step":7,"lo'); // killed while writing
    writeFileSync(`${run.checkpointPath}.partial`, 'half');
    assert.is(run.readLog().length, 8);
    await run.resume(4);
    assert.equal(run.readLog(), [{ note: 'é begins' }, { step: 1 }, { step: 2 }, { step: 3 }, { step: 4 }]);
    assert.not(readdirSync(run.path).some((name) => name.endsWith('.partial')));
    run.log({ step: 5 });
    await run.resume(5);
    assert.is(run.readLog().length, 6);
    await run.resume(0);
    assert.is(readFileSync(run.logPath, 'utf8'), '{"note":"é begins"}\n');
  });

  test('a torn line is cut even where no step is', async () => {
    const run = await begin();
    appendFileSync(run.logPath, '{"step":');
    await run.resume(0);
    assert.is(readFileSync(run.logPath, 'utf8'), '');
  });

  test('a damaged line within the log is named', async () => {
    const run = await begin();
    appendFileSync(run.logPath, '{"step":1}\nstep 2\n{"step":3}\n');
    await rejects(() => run.readLog(), RunError, run.logPath, 'line 2', 'not JSON');
  });

  test('a finished run has its result and the mark, and loses the mark when it goes on', async () => {
    const run = await begin();
    assert.not(run.isDone);
    await run.finish({ accuracy: 0.8 });
    assert.ok(run.isDone && existsSync(join(run.path, 'done')));
    assert.equal(run.readResult(), { accuracy: 0.8 });
    await run.resume(0);
    assert.not(run.isDone);
  });

  test('a finished run is not overwritten, nor one with a checkpoint', async () => {
    const finished = await begin();
    await finished.finish({});
    await rejects(
      () => RunFolder.create(newRun(finished.path)),
      RunError,
      finished.path,
      'finished run',
      `--resume ${finished.path}`,
      '--out',
    );
    const interrupted = await begin();
    writeFileSync(interrupted.checkpointPath, '');
    interrupted.log({ step: 1 });
    await rejects(() => RunFolder.create(newRun(interrupted.path)), RunError, 'interrupted', '--resume');
    assert.is(interrupted.readLog().length, 1);
  });

  test('weights without a checkpoint are not overwritten, and cannot go on', async () => {
    const run = await begin();
    writeFileSync(run.bestPath, '');
    const error = (await rejects(() => RunFolder.create(newRun(run.path)), RunError, run.path, 'no checkpoint', '--out')) as RunError;
    assert.not.match(error.remedy, '--resume');
  });

  test('a run without a checkpoint may begin anew, with an empty log', async () => {
    const run = await begin();
    run.log({ step: 1 });
    const again = await RunFolder.create({ ...newRun(run.path), config: { epochs: 9 } });
    assert.equal([again.readLog(), again.readConfig()], [[], { epochs: 9 }]);
  });

  test('a folder that holds no run is named', async () => {
    const folder = scratchFolder();
    await rejects(() => RunFolder.open(folder), RunError, folder, 'no run', 'runs/');
    await rejects(() => RunFolder.open(join(folder, 'nowhere')), RunError, 'nowhere', 'does not exist');
  });

  test('a damaged config is named', async () => {
    const run = await begin();
    const path = join(run.path, 'config.json');
    writeFileSync(path, '{"epochs": 3,}');
    await rejects(() => run.readConfig(), RunError, path, 'not JSON', 'comma');
    writeFileSync(path, '[]');
    await rejects(() => run.readConfig(), RunError, path, 'not a JSON object');
    await rejects(() => run.readResult(), RunError, 'result.json', 'ENOENT');
  });

  test('a missing checkpoint is named, with what there is instead', async () => {
    const run = await begin();
    await rejects(() => run.existingCheckpoint('last'), RunError, run.checkpointPath, 'no last checkpoint', '--checkpoint-every');
    writeFileSync(run.checkpointPath, '');
    await rejects(() => run.existingCheckpoint('best'), RunError, run.bestPath, '--checkpoint last');
    assert.is(run.existingCheckpoint('last'), run.checkpointPath);
  });

  test('a folder that cannot be made or written is a RunError', async () => {
    const folder = scratchFolder();
    const file = join(folder, 'file');
    writeFileSync(file, '');
    await rejects(() => RunFolder.create(newRun(file)), RunError, file, 'cannot be written', '--out');
    await rejects(() => RunFolder.create(newRun(join(file, 'run'))), RunError, 'cannot be written', '--out');
    await inFolder(folder, () => {
      writeFileSync('runs', '');
      return rejects(() => RunFolder.create(newRun()), RunError, 'runs: cannot be written');
    });
    const run = await begin();
    mkdirSync(run.logPath);
    await rejects(() => run.log({ step: 1 }), RunError, run.logPath, 'in the way');
  });
});
