/** The commands on a dataset in an official layout, as a person runs them. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { loadCheckpoint } from '#src/run/checkpoint.js';
import './faces/fixtures.js';
import { writeAffectNet2021, writeRafDb } from './faces/trees.js';
import { scratchFolder } from './run/scratch.js';
import { assert, suite } from './support/suite.js';

const execute = promisify(execFile);
const ADAPTER = process.env.MOUE_ADAPTER ? ['--adapter', process.env.MOUE_ADAPTER] : [];
const script = (name: string) => fileURLToPath(new URL(`../${name}.js`, import.meta.url));
const run = async (name: string, ...args: string[]) => (await execute(process.execPath, [script(name), ...args])).stdout;
const folder = scratchFolder();

suite('commands on official layouts', (test) => {
  test('inspect prints what is in RAF-DB, for people and for machines, and draws it', async () => {
    const data = join(folder, 'inspected');
    await writeRafDb(data, { train: 40, test: 12, shares: true });
    rmSync(join(data, 'Image/aligned/train_00003_aligned.jpg'));
    const out = join(folder, 'pictures');
    const args = ['inspect', '--data', data, '--size', '32', '--channels', '3', '--out', out];
    const text = await run('faces', ...args);
    for (const part of ['raf-db: 7 classes, 32×32 RGB', 'test: 12 faces', 'missing images: 1', 'line 3: train_00003.jpg', 'ambiguous']) {
      assert.ok(text.includes(part), `no ${part} in ${text}`);
    }
    assert.is(text.split('missing images').length, 2, 'said once');
    assert.ok(readdirSync(out).includes('classes.png'));
    const inspection = JSON.parse(await run('faces', ...args, '--json', '--leave-out', 'fear'));
    assert.is(inspection.splits.test.faces + inspection.leftOut.fear >= 12, true);
    assert.equal([inspection.classes.length, inspection.problems.length], [6, 1]);
  });

  test('inspect refuses what it cannot do with a remedy', async () => {
    for (const [args, part] of [
      [[], 'faces.js inspect'],
      [['draw'], "'draw'"],
      [['inspect', '--data', join(folder, 'nowhere')], 'no such file or folder'],
      [['inspect', '--leave-out', 'awe', '--faces', '100', '--out', folder], "no class 'awe'"],
    ] as const) {
      const failure = await run('faces', ...args).then(
        () => undefined,
        (error: { code: number; stderr: string }) => error,
      );
      assert.is(failure?.code, 1);
      assert.match(failure!.stderr, /^error: .+\n {2}→ .+\n$/m);
      assert.ok(failure!.stderr.includes(part), failure!.stderr);
    }
  });

  test('train streams AffectNet to the same weights as with faces that stay on the device; evaluate finds the same', async () => {
    const data = join(folder, 'affectnet');
    await writeAffectNet2021(data, { train: 80, validation: 20 });
    const args = ['--data', data, '--size', '16', '--channels', '3', '--model', 'small', '--width', '0.25', '--batch', '8'];
    const train = (out: string, ...more: string[]) =>
      run('train', ...ADAPTER, ...args, '--epochs', '2', '--sampling', 'balanced', '--leave-out', 'contempt', '--out', out, ...more);
    const [resident, streamed] = [join(folder, 'resident'), join(folder, 'streamed')];
    await Promise.all([train(resident), train(streamed, '--faces-memory', '0')]);
    const [first, second] = await Promise.all([resident, streamed].map((path) => loadCheckpoint(join(path, 'checkpoint.safetensors'))));
    assert.equal(second.weights, first.weights);
    assert.equal(second.optimizer, first.optimizer);
    assert.is(first.state.classes.length, 7);
    const { test: figures } = JSON.parse(readFileSync(join(streamed, 'result.json'), 'utf8'));
    assert.equal(JSON.parse(await run('evaluate', ...ADAPTER, streamed, '--json')).evaluation, figures);
  });
});
