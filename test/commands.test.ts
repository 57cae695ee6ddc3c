/** The commands as a person runs them: processes with arguments, files, output and an exit status. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { generateFace } from '#src/faces/generated.js';
import { entropy } from '#src/labels/votes.js';
import { type Checkpoint, loadCheckpoint } from '#src/run/checkpoint.js';
import { png, write } from './faces/fixtures.js';
import { scratchFolder } from './run/scratch.js';
import { assert, suite } from './support/suite.js';

type Command = 'train' | 'evaluate' | 'predict' | 'compare';
type Json = Record<string, unknown>;

interface Outcome {
  status: number;
  stdout: string;
  stderr: string;
}

const ADAPTER = process.env.MOUE_ADAPTER ? ['--adapter', process.env.MOUE_ADAPTER] : [];
const folder = scratchFolder();
const inScratch = (name: string) => join(folder, name);

const scriptOf = (command: Command) => fileURLToPath(new URL(`../${command}.js`, import.meta.url));

/** The adapter is given first, so that arguments may name another. */
function run(command: Command, ...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [scriptOf(command), ...ADAPTER, ...args], (failure, stdout, stderr) => {
      resolve({ status: failure ? Number(failure.code) : 0, stdout, stderr });
    });
  });
}

async function succeeds(command: Command, ...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await run(command, ...args);
  assert.is(status, 0, `${command} ${args.join(' ')} ended with ${status}:\n${stderr}`);
  return stdout;
}

/** What is done once for several tests. */
function shared<T>(action: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => (result ??= action());
}

/** Two epochs of 116 steps each, with everything that a run can carry from step to step. */
const TRAINING = [
  ...['--faces', '600', '--size', '16', '--model', 'small', '--width', '0.25', '--batch', '4', '--epochs', '2', '--seed', '3'],
  ...[
    '--paradigm',
    'ferplus-probability',
    '--optimizer',
    'adamw',
    '--clip-norm',
    '1',
    '--ema',
    '0.9',
    '--dropout',
    '0.2',
    '--checkpoint-every',
    '25',
  ],
];
const COMPLETE = inScratch('complete');
const KILLED = inScratch('killed');

const complete = shared(() => succeeds('train', ...TRAINING, '--out', COMPLETE));

/** Starts the same run elsewhere and kills it in the middle of the second epoch, behind a checkpoint. */
const killed = shared(async () => {
  const child = spawn(process.execPath, [scriptOf('train'), ...ADAPTER, ...TRAINING, '--out', KILLED], { stdio: 'ignore' });
  const exit = once(child, 'exit');
  while (child.exitCode === null && !logOf(KILLED).some(({ step }) => Number(step) >= 130)) await delay(2);
  child.kill('SIGKILL');
  const [, signal] = await exit;
  assert.is(signal, 'SIGKILL', 'the run ended before it could be killed');
});

function logOf(path: string): Json[] {
  const log = join(path, 'log.jsonl');
  if (!existsSync(log)) return [];
  const lines = readFileSync(log, 'utf8').split('\n');
  return lines.slice(0, -1).map((line) => JSON.parse(line)); // the last is empty, or unfinished
}

function readJson(path: string): Json {
  return JSON.parse(readFileSync(path, 'utf8'));
}

/** Without what differs from one execution to the next. */
function withoutTimes(records: Json[]): Json[] {
  return records.map(({ seconds, hostMs, facesPerSecond, ...rest }) => rest);
}

function withoutSeconds({ state: { standing, ...state }, ...tensors }: Checkpoint) {
  const { seconds, ...rest } = standing as unknown as Json;
  return { ...tensors, state: { ...state, standing: rest } };
}

function isPng(path: string): boolean {
  return readFileSync(path).subarray(1, 4).toString() === 'PNG' && statSync(path).size > 1000;
}

/** A generated face as a PNG file. */
function writeFace(name: string, index: number, size = 48): string {
  const { pixels } = generateFace(1, index, size, 1);
  return write(
    folder,
    name,
    png(size, size, (x, y) => Array(3).fill(pixels[y * size + x])),
  );
}

/** A copy of the complete run's config and checkpoint, to be spoiled. */
function copyRun(name: string): string {
  const copy = inScratch(name);
  for (const file of ['config.json', 'best.safetensors', 'checkpoint.safetensors']) cpSync(join(COMPLETE, file), join(copy, file));
  return copy;
}

suite('commands', (test) => {
  test('train leaves config, environment, log, checkpoints, result and pictures, and a mark that it is done', async () => {
    const [stdout] = await Promise.all([complete(), killed()]);
    assert.match(stdout, /accuracy +[\d.]+ %/);
    assert.ok(stdout.includes(COMPLETE));

    const files = readdirSync(COMPLETE);
    for (const file of ['best.safetensors', 'checkpoint.safetensors', 'done']) assert.ok(files.includes(file), `${file} is missing`);
    assert.not(files.some((file) => file.endsWith('.partial')));
    const pictures = files.filter((file) => file.endsWith('.png'));
    assert.ok(pictures.includes('learning-curves.png'));
    for (const picture of pictures) {
      assert.ok(isPng(join(COMPLETE, picture)), `${picture} is no PNG`);
      assert.ok(stdout.includes(picture), `${picture} is not mentioned`);
    }

    const config = readJson(join(COMPLETE, 'config.json'));
    const { optimizer, batch, 'learning-rate': learningRate, paradigm } = config;
    assert.equal(
      { optimizer, batch, learningRate, paradigm },
      { optimizer: 'adamw', batch: 4, learningRate: 0.001, paradigm: 'ferplus-probability' },
    );
    const environment = readJson(join(COMPLETE, 'environment.json'));
    assert.is(environment.node, process.version);
    assert.is(environment.seed, 3);
    assert.ok((environment.adapter as Json).description);

    const log = logOf(COMPLETE);
    const steps = log.filter(({ type }) => type === 'step');
    assert.ok(steps.length > 20);
    for (const record of steps) {
      for (const name of ['step', 'epoch', 'loss', 'learningRate', 'gradientNorm']) assert.type(record[name], 'number');
    }
    const epochs = log.filter(({ type }) => type === 'epoch');
    assert.equal(
      epochs.map(({ epoch }) => epoch),
      [1, 2],
    );
    for (const { trainLoss, validation } of epochs) {
      assert.type(trainLoss, 'number');
      assert.type((validation as Json).accuracy, 'number');
    }
    assert.equal((log.at(-1) as { evaluation: Json }).evaluation, readJson(join(COMPLETE, 'result.json')).test);
  });

  test('a run that was killed goes on to the same losses, weights and figures, bit by bit', async () => {
    await Promise.all([complete(), killed()]);
    assert.not(existsSync(join(KILLED, 'done')));
    const { state } = await loadCheckpoint(join(KILLED, 'checkpoint.safetensors'));
    const stepsPerEpoch = Number(logOf(COMPLETE).find(({ type }) => type === 'epoch')!.step);
    assert.is(state.epoch, 1);
    assert.ok(state.step > stepsPerEpoch && state.step < 2 * stepsPerEpoch, `killed behind the checkpoint of step ${state.step}`);

    await succeeds('train', '--resume', KILLED);
    assert.ok(existsSync(join(KILLED, 'done')));
    assert.equal(withoutTimes(logOf(KILLED)), withoutTimes(logOf(COMPLETE)));
    for (const file of ['checkpoint.safetensors', 'best.safetensors']) {
      const [resumed, unbroken] = await Promise.all([KILLED, COMPLETE].map((path) => loadCheckpoint(join(path, file))));
      assert.equal(withoutSeconds(resumed!), withoutSeconds(unbroken!), file);
    }
    const [resumed, unbroken] = [KILLED, COMPLETE].map((path) => readJson(join(path, 'result.json')));
    for (const name of ['test', 'validation', 'bestEpoch', 'steps']) assert.equal(resumed![name], unbroken![name], name);
  });

  test('evaluate finds the figures that train found, as JSON and as a table', async () => {
    await complete();
    const [test, validation, table] = await Promise.all([
      succeeds('evaluate', COMPLETE, '--json'),
      succeeds('evaluate', COMPLETE, '--data', 'generated', '--split', 'validation', '--json'),
      succeeds('evaluate', COMPLETE, '--checkpoint', 'last'),
    ]);
    const { evaluation, ...rest } = JSON.parse(test!);
    for (const name of ['accuracy', 'meanClassAccuracy', 'klToVotes', 'ece', 'nll', 'count']) assert.type(evaluation[name], 'number', name);
    const result = readJson(join(COMPLETE, 'result.json'));
    assert.equal(evaluation, result.test);
    assert.equal(JSON.parse(validation!).evaluation, result.validation);
    assert.equal(rest.data, { name: 'generated test', source: 'generated', split: 'test' });
    assert.is(rest.copies, 0);
    assert.is(rest.riskCoverage.at(-1).coverage, 1);
    assert.ok(Math.abs(rest.riskCoverage.at(-1).risk - (1 - evaluation.accuracy)) < 1e-9);
    for (const name of ['robustness', 'temperature', 'shift', 'perFace']) assert.not(name in rest, name);
    assert.not(existsSync(join(COMPLETE, 'evaluation')));
    for (const words of ['accuracy', 'KL to votes', 'happiness']) assert.ok(table!.includes(words), `the table has no ${words}`);
  });

  test('a run learns from what earlier runs say', async () => {
    await complete();
    const paradigm = ['--paradigm', 'born-again', '--teacher', `${COMPLETE},${COMPLETE}`];
    await succeeds('train', ...TRAINING, ...paradigm, '--epochs', '1', '--out', inScratch('taught'));
    assert.ok(existsSync(join(inScratch('taught'), 'done')));
  });

  test('a probe of an earlier run keeps its backbone, and is evaluated with it', async () => {
    await complete();
    const path = inScratch('probe');
    const network = ['--faces', '600', '--size', '16', '--model', 'small', '--width', '0.25', '--batch', '4', '--seed', '3'];
    const { status, stderr } = await run('train', ...network, '--from', COMPLETE, '--probe', '--steps', '3', '--out', path);
    assert.is(status, 0, stderr);
    assert.match(stderr, /first weights: \d+ tensors of .*best\.safetensors/);
    const [before, after] = await Promise.all([COMPLETE, path].map((run) => loadCheckpoint(join(run, 'best.safetensors'))));
    for (const [name, { data }] of before.average!) {
      const same = after.weights.get(name)!.data.every((value, i) => value === data[i]);
      assert.is(same, !name.startsWith('head.'), name);
    }
    const evaluation = JSON.parse(await succeeds('evaluate', path, '--json')) as { evaluation: Json };
    assert.equal(evaluation.evaluation, (readJson(join(path, 'result.json')) as { test: Json }).test);
  });

  test('--limit and --leave-out hold for what a run was trained on, not for other data', async () => {
    const out = inScratch('limited');
    await succeeds('train', ...TRAINING, '--epochs', '1', '--limit', '40', '--leave-out', 'contempt', '--out', out);
    const own = JSON.parse(await succeeds('evaluate', out, '--split', 'train', '--json'));
    assert.is(own.evaluation.faces, 40);
    const data = inScratch('without contempt');
    for (let i = 0; i < 60; i++)
      write(folder, `without contempt/${i % 2 ? 'happy' : 'sad'}/${i}.png`, readFileSync(writeFace('face.png', i)));
    const { evaluation, shift } = JSON.parse(await succeeds('evaluate', out, '--data', data, '--split', 'train', '--json'));
    assert.equal(evaluation.classes, ['happiness', 'sadness']);
    assert.equal(shift.leftOut.data, []);
    assert.ok(evaluation.faces > 40);
  });

  test('evaluate under corruptions and at a fitted temperature leaves figures and pictures', async () => {
    await complete();
    const out = inScratch('measured');
    const asked = ['--corruptions', 'impulse-noise,contrast', '--severities', '1,5', '--temperature', 'fit', '--per-face', '--out', out];
    const [table, again] = await Promise.all([
      succeeds('evaluate', COMPLETE, ...asked),
      succeeds('evaluate', COMPLETE, ...asked.slice(0, 4), '--batch', '7', '--out', inScratch('measured again'), '--json'),
    ]);
    for (const words of ['Temperature', 'impulse-noise', 'severity 5', 'robustness.png']) assert.ok(table!.includes(words), words);
    for (const file of ['confusion', 'reliability', 'risk-coverage', 'robustness', 'corruptions'])
      assert.ok(isPng(join(out, `${file}.png`)), file);

    const record = JSON.parse(readFileSync(join(out, 'evaluation.json'), 'utf8'));
    assert.equal(record.evaluation, readJson(join(COMPLETE, 'result.json')).test);
    const { corruptions, clean } = record.robustness;
    assert.equal(
      corruptions.map(({ name, severities }: Json) => [name, (severities as Json[]).map(({ severity }) => severity)]),
      [
        ['impulse-noise', [1, 5]],
        ['contrast', [1, 5]],
      ],
    );
    assert.is(clean.accuracy, record.evaluation.accuracy);
    assert.is.not(corruptions[0].mean.nll, clean.nll);
    // The same noise, whatever the batch; sums of a model may be rounded otherwise.
    const other = JSON.parse(again!).robustness.corruptions[0].severities[1];
    assert.ok(Math.abs(other.nll - corruptions[0].severities[1].nll) < 1e-4, `${other.nll}`);

    const { value, validation, evaluation } = record.temperature;
    assert.ok(value > 0);
    assert.ok(validation.after.klToVotes <= validation.before.klToVotes + 1e-9);
    assert.is(evaluation.accuracy, record.evaluation.accuracy);
    assert.is(record.perFace.ids.length, record.evaluation.faces);
    assert.is(record.perFace.probabilities[0].length, record.evaluation.classes.length);
  });

  test('evaluate on data with other classes measures those that are shared, and tells what is left out', async () => {
    await complete();
    const data = inScratch('other');
    for (const [index, name] of ['happy', 'sad', 'bored'].entries()) {
      for (let i = 0; i < 12; i++) {
        const file = write(folder, `other/${name}/${i}.png`, readFileSync(writeFace('face.png', 20 * index + i)));
        assert.ok(existsSync(file));
      }
    }
    const { shift, evaluation, ...rest } = JSON.parse(await succeeds('evaluate', COMPLETE, '--data', data, '--split', 'train', '--json'));
    assert.equal(evaluation.classes, ['happiness', 'sadness']);
    assert.equal(shift.leftOut.data, ['bored']);
    assert.ok(shift.leftOut.model.includes('fear'));
    assert.ok(shift.leftOut.faces > 0);
    assert.is(evaluation.count + shift.leftOut.faces, evaluation.faces);
    assert.not('copies' in rest);
  });

  test('predict gives probabilities and their entropy, as JSON and as a table', async () => {
    await complete();
    const faces = [writeFace('one.png', 1), writeFace('two.png', 2, 20)];
    const [one, both, table] = await Promise.all([
      succeeds('predict', COMPLETE, faces[0]!, '--json'),
      succeeds('predict', COMPLETE, ...faces, '--json'),
      succeeds('predict', COMPLETE, ...faces),
    ]);
    const prediction = JSON.parse(one!);
    const probabilities = Object.values<number>(prediction.probabilities);
    assert.is(prediction.image, faces[0]);
    assert.ok(Math.abs(probabilities.reduce((sum, p) => sum + p, 0) - 1) < 1e-6);
    assert.ok(Math.abs(prediction.entropy - entropy(probabilities)) < 1e-6);
    assert.equal(Object.keys(prediction.probabilities), (await loadCheckpoint(join(COMPLETE, 'best.safetensors'))).state.classes);
    const [first, second] = JSON.parse(both!);
    assert.equal(first, prediction);
    assert.not.equal(second.probabilities, prediction.probabilities);
    for (const words of [...faces, 'happiness', 'entropy']) assert.ok(table!.includes(words), `the table has no ${words}`);
  });

  test('predict draws where each expression was read, by the last layer or by label queries', async () => {
    await complete();
    const asking = inScratch('asking');
    const trained = await succeeds(
      ...(['train', '--faces', '200', '--size', '16', '--model', 'small', '--width', '0.25', '--batch', '16', '--epochs', '1'] as const),
      ...['--paradigm', 'pll-mim', '--set', 'width=16,layers=1', '--out', asking],
    );
    assert.match(trained, /paradigm +-?[\d.]+ +mean cosine of two label embeddings; -0\.143 at best/);
    const { findings } = readJson(join(asking, 'result.json')) as { findings: Record<string, Json> };
    assert.equal(Object.keys(findings), ['labelEmbeddingCosine', 'largestLabelEmbeddingCosine']);
    const faces = [writeFace('left.png', 4), writeFace('right.png', 5)];
    const [record, plain, ...explained] = await Promise.all([
      succeeds('evaluate', asking, '--json'),
      succeeds('predict', asking, ...faces, '--json'),
      succeeds('predict', asking, ...faces, '--json', '--explain', inScratch('attention.png')),
      succeeds('predict', COMPLETE, faces[0]!, '--explain', inScratch('activation.png')),
    ]);
    assert.equal(JSON.parse(record!).findings, findings);
    assert.equal(JSON.parse(explained[0]!), JSON.parse(plain!));
    assert.match(explained[1]!, 'entropy');
    for (const name of ['attention.png', 'activation.png']) assert.ok(isPng(inScratch(name)), name);
    assert.ok(statSync(inScratch('attention.png')).size > statSync(inScratch('activation.png')).size); // two faces, and one
  });

  test('--help ends well', async () => {
    const texts = await Promise.all((['train', 'evaluate', 'predict'] as const).map((command) => succeeds(command, '--help')));
    texts.forEach((text, i) => {
      assert.ok(text.includes(['--learning-rate', '--split', 'face.png'][i]!));
    });
  });
});

interface Refusal {
  what: string;
  command: Command;
  args: () => string[];
  /** What the message and the remedy have to say. */
  says: (string | RegExp)[];
}

const REFUSALS: Refusal[] = [
  { what: 'an unknown option', command: 'train', args: () => ['--epoch', '3'], says: ['--epoch', 'Did you mean --epochs'] },
  { what: 'a value out of range', command: 'train', args: () => ['--batch', '0'], says: ['--batch', 'whole number'] },
  { what: 'an adapter that is not there', command: 'train', args: () => ['--adapter', 'Voodoo 2'], says: ['Voodoo 2'] },
  {
    what: 'data that is not there',
    command: 'train',
    args: () => ['--data', inScratch('nowhere')],
    says: ['nowhere: there is no such file'],
  },
  {
    what: 'data with a wrong header',
    command: 'train',
    args: () => ['--data', write(folder, 'votes.csv', 'file,happiness\nface.png,1\n')],
    says: ['votes.csv, line 1', "'file', not 'path'"],
  },
  { what: 'a finished run in the way', command: 'train', args: () => ['--out', COMPLETE], says: [COMPLETE, 'finished run', '--resume'] },
  {
    what: 'another batch in a resumed run',
    command: 'train',
    args: () => ['--resume', COMPLETE, '--batch', '8'],
    says: ['--batch', 'not 8'],
  },
  { what: 'a run that is not there', command: 'evaluate', args: () => [inScratch('nowhere')], says: ['nowhere', 'run'] },
  {
    what: 'a checkpoint of another model',
    command: 'evaluate',
    args: () => {
      const copy = copyRun('other-width');
      writeFileSync(join(copy, 'config.json'), JSON.stringify({ ...readJson(join(copy, 'config.json')), width: 0.5 }));
      return [copy];
    },
    says: [join('other-width', 'best.safetensors'), 'another model', 'is [3, 3, 8, 8], expected [3, 3, 8, 16]'],
  },
  {
    what: 'a checkpoint that is cut off',
    command: 'evaluate',
    args: () => {
      const copy = copyRun('cut-off');
      truncateSync(join(copy, 'best.safetensors'), 10_000);
      return [copy];
    },
    says: [join('cut-off', 'best.safetensors')],
  },
  {
    what: 'data of other classes',
    command: 'evaluate',
    args: () => {
      const data = inScratch('animals');
      for (const name of ['cat', 'horse']) {
        for (let i = 0; i < 12; i++) write(folder, `animals/${name}/${i}.png`, readFileSync(writeFace('animal.png', name.length * 20 + i)));
      }
      return [COMPLETE, '--data', data];
    },
    says: ['--data', 'cat, horse', 'at least two'],
  },
  {
    what: 'a corruption that does not exist',
    command: 'evaluate',
    args: () => [COMPLETE, '--corruptions', 'fogg'],
    says: ['--corruptions', 'fogg', 'Did you mean fog'],
  },
  {
    what: 'a run to predict by that is not there',
    command: 'predict',
    args: () => [inScratch('nowhere'), writeFace('seen.png', 6)],
    says: ['nowhere: does not exist', 'Give the folder of a run'],
  },
  {
    what: 'an image that is not there, to explain',
    command: 'predict',
    args: () => [COMPLETE, inScratch('absent.png'), '--explain', inScratch('unseen.png')],
    says: ['absent.png'],
  },
  {
    what: 'a picture that cannot be written',
    command: 'predict',
    args: () => [COMPLETE, writeFace('seen.png', 6), '--explain', inScratch('no folder/out.png')],
    says: ['out.png: cannot be written: its folder does not exist', 'no folder', '--explain'],
  },
  {
    what: 'a folder in the place of a picture',
    command: 'predict',
    args: () => [COMPLETE, writeFace('seen.png', 6), '--explain', COMPLETE],
    says: ['cannot be written', 'is in the way', '--explain'],
  },
  {
    what: 'an image that cannot be read',
    command: 'predict',
    args: () => [COMPLETE, write(folder, 'broken.png', readFileSync(writeFace('whole.png', 3)).subarray(0, 200))],
    says: ['broken.png'],
  },
];

suite('commands given what they cannot take', (test) => {
  const outcomes = shared(async () => {
    await complete();
    const before = contents(COMPLETE);
    const all = await Promise.all(REFUSALS.map(({ command, args }) => run(command, ...args())));
    return { all, before };
  });

  REFUSALS.forEach(({ what, says }, i) => {
    test(`${what}: exit status 1, a message and a remedy`, async () => {
      const { status, stdout, stderr } = (await outcomes()).all[i]!;
      assert.is(status, 1, stderr);
      assert.is(stdout, '');
      assert.match(stderr, /^error: .+\n {2}→ .+\n$/m);
      for (const part of says) assert.ok(typeof part === 'string' ? stderr.includes(part) : part.test(stderr), `no ${part} in ${stderr}`);
    });
  });

  test('the finished run is as it was', async () => {
    const { before } = await outcomes();
    assert.equal(contents(COMPLETE), before);
  });
});

suite('the compare command', (test) => {
  test('trains a grid, goes on where it was stopped, and refuses to mix options', async () => {
    const out = inScratch('comparison');
    const common = [
      '--faces',
      '200',
      '--size',
      '16',
      '--width',
      '0.25',
      '--batch',
      '16',
      '--epochs',
      '1',
      '--candidates',
      '0.2',
      '--out',
      out,
    ];
    await succeeds('compare', ...common, '--paradigms', 'one-hot', '--seeds', '1');
    const changed = (...path: string[]) => statSync(join(out, ...path)).mtimeMs;
    const done = changed('one-hot-s0', 'done');
    const measured = ['--corruptions', 'fog', '--severities', '3'];
    const grid = ['--paradigms', 'one-hot,moue:teacher=0', '--seeds', '2', ...measured];
    const { status, stdout: markdown, stderr } = await run('compare', ...common, ...grid);
    assert.is(status, 0, stderr);
    assert.is(changed('one-hot-s0', 'done'), done);
    assert.match(markdown, /^\| one-hot \| 2 \| .* ± /m);
    assert.match(markdown, /^\| moue\+teacher=0 \| 2 \|/m);
    assert.match(markdown, 'corrupted accuracy');
    // All paradigms with the first seed before any with the second; in the figures they stand together.
    assert.match(
      stderr,
      /1\/4\] one-hot, seed 0: there already[\s\S]*2\/4\] moue\+teacher=0, seed 0[\s\S]*3\/4\] one-hot, seed 1[\s\S]*4\/4\] moue/,
    );
    const results = readJson(join(out, 'results.json'));
    assert.equal(
      (results.runs as Json[]).map(({ label, seed }) => `${label} ${seed}`),
      ['one-hot 0', 'one-hot 1', 'moue+teacher=0 0', 'moue+teacher=0 1'],
    );
    assert.is(readFileSync(join(out, 'runs.csv'), 'utf8').trimEnd().split('\n').length, 5);
    assert.match(readFileSync(join(out, 'report.html'), 'utf8'), '<h2>Robustness</h2>');
    const { candidates, model } = readJson(join(out, 'moue+teacher=0-s1', 'config.json'));
    assert.is(candidates, 0.2);
    assert.is(readJson(join(out, 'comparison.json')).model, model); // 'auto' was asked for, and may choose another elsewhere
    // Another split is measured beside the first, which is not measured again; how a run is computed may change.
    const tested = changed('one-hot-s0', 'evaluation-test.json');
    await succeeds('compare', ...common, ...grid.slice(0, 4), '--split', 'validation', '--recompute', '--unsafe', '--faces-memory', '1');
    assert.ok(existsSync(join(out, 'moue+teacher=0-s1', 'evaluation-validation.json')));
    // What fails, here for want of a teacher, is left out of the figures and named; no other paradigm becomes the baseline.
    const failing = await run(
      'compare',
      ...common,
      ...['--paradigms', 'born-again,one-hot', '--teacher', inScratch('nowhere'), '--seeds', '1', ...measured],
    );
    assert.is(changed('one-hot-s0', 'evaluation-test.json'), tested);
    assert.is(failing.status, 1);
    assert.match(failing.stderr, 'nowhere: does not exist');
    assert.match(failing.stderr, 'of 2 runs 1 failed and are missing in these figures: born-again-s0');
    assert.match(failing.stdout, /^\| one-hot \| 1 \|/m);
    assert.match(failing.stdout, 'the baseline born-again has no run');
    assert.is((readJson(join(out, 'results.json')).runs as Json[]).length, 1);
    // The teacher that was missing locks nothing; one that a run has learned from is kept to.
    const taught = ['--paradigms', 'born-again', '--seeds', '1', '--teacher'];
    await succeeds('compare', ...common, ...taught, join(out, 'one-hot-s0'));
    // The config has all constants, so that a default that has changed since is seen.
    const older = join(out, 'moue+teacher=0-s1', 'config.json');
    const { set, ...rest } = readJson(older);
    assert.match(String(set), 'doubt=0,');
    writeFileSync(older, JSON.stringify({ ...rest, set: String(set).replace('doubt=0,', 'doubt=0.3,') }));
    const refusals: [string[], ...string[]][] = [
      [grid.slice(0, 4), 'doubt=0.3,', 'another --out'],
      [['--epochs', '2'], '--epochs', 'another --out'],
      [['--precision', 'f16'], '--precision f32, not f16'],
      [[...taught, 'other'], '--teacher', 'one-hot-s0, not other'],
      [['--corruptions', 'fogg'], 'Did you mean fog?'],
    ];
    const outcomes = await Promise.all(refusals.map(([args]) => run('compare', ...common, ...args)));
    refusals.forEach(([, ...parts], i) => {
      assert.is(outcomes[i]!.status, 1);
      for (const part of parts) assert.match(outcomes[i]!.stderr, part);
    });
  });
});

function contents(path: string): Map<string, Buffer> {
  return new Map(readdirSync(path).map((file) => [file, readFileSync(join(path, file))]));
}
