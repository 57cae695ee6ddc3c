import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RunError, UsageError } from '#src/errors.js';
import { constantsOf } from '#src/paradigms/index.js';
import { Announcement } from '#src/run/command.js';
import { formatHelp } from '#src/run/help.js';
import { nearestName, type OptionTable } from '#src/run/option-table.js';
import {
  modelOptions,
  parseCompareOptions,
  parseEvaluateOptions,
  parsePredictOptions,
  parseTrainOptions,
  requireOptionsOf,
  type TrainOptions,
  trainConfig,
  trainOptionsOf,
} from '#src/run/options.js';
import { PRESETS } from '#src/run/presets.js';
import { RunFolder } from '#src/run/run-folder.js';
import { assert, rejects, suite } from '../support/suite.js';
import { scratchFolder } from './scratch.js';

const folder = scratchFolder();
const config = (content: unknown): string => {
  const path = join(folder, 'config.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};
const beginRun = (...args: string[]) => {
  const options = parseTrainOptions(args);
  return RunFolder.create({
    out: join(scratchFolder(), 'run'),
    paradigm: options.paradigm,
    model: options.model,
    seed: options.seed,
    config: trainConfig(options),
    adapter: {},
  });
};
function announced(body: () => unknown): string {
  try {
    body();
  } catch (thrown) {
    if (thrown instanceof Announcement) return thrown.text;
    throw thrown;
  }
  throw new Error('nothing was announced');
}

suite('options of train', (test) => {
  test('defaults', () => {
    const defaults: TrainOptions = {
      preset: undefined,
      data: 'generated',
      faces: 6000,
      paradigm: 'moue',
      set: undefined,
      teacher: undefined,
      limit: 0,
      wrongLabels: 0,
      candidates: 0,
      leaveOut: undefined,
      validationShare: 0.1,
      size: 48,
      channels: 1,
      augment: 'ferplus',
      sampling: 'natural',
      model: 'auto',
      width: 1,
      dropout: 0,
      from: undefined,
      probe: false,
      patch: 0,
      pooling: 'token',
      dropPath: 0,
      epochs: 6,
      steps: 0,
      batch: 64,
      optimizer: 'sgd',
      learningRate: 0.05,
      schedule: 'cosine',
      warmupEpochs: 0.6,
      weightDecay: 0.0005,
      layerDecay: 1,
      momentum: 0.9,
      nesterov: true,
      precision: 'f32',
      clipNorm: 0,
      ema: 0,
      out: undefined,
      seed: 0,
      resume: undefined,
      checkpointEvery: 0,
      config: undefined,
      recompute: false,
      facesMemory: 2048,
      adapter: undefined,
      unsafe: false,
    };
    assert.equal(parseTrainOptions([]), defaults);
  });

  test('every option of the command line arrives', () => {
    const args =
      '--data d --faces 500 --paradigm born-again --set teacher=0.2 --teacher a,b --limit 1000 --wrong-labels 0.3 --candidates 0.2 --leave-out contempt,fear --validation-share 0.2 --size 64 --channels 3 --augment none --sampling balanced --model vgg13 --width 0.5 --dropout 0.25 --from f --probe --patch 8 --pooling mean --drop-path 0.1 --epochs 3 --steps 9 --batch 32 --optimizer adamw --learning-rate 1e-3 --schedule step --warmup-epochs 0.5 --weight-decay 0 --layer-decay 0.75 --momentum 0.8 --no-nesterov --precision f16 --clip-norm 5 --ema 0.999 --out o --seed 4294967295 --checkpoint-every 7 --recompute --faces-memory 100 --adapter software --unsafe';
    const { preset, resume, config, ...options } = parseTrainOptions(args.split(' '));
    assert.equal([preset, resume, config], [undefined, undefined, undefined]);
    assert.equal(Object.values(options), [
      ...['d', 500, 'born-again', 'teacher=0.2', 'a,b', 1000, 0.3, 0.2, 'contempt,fear'],
      ...[0.2, 64, 3, 'none', 'balanced', 'vgg13', 0.5, 0.25, 'f', true, 8, 'mean', 0.1],
      ...[3, 9, 32, 'adamw', 0.001, 'step', 0.5, 0, 0.75, 0.8],
      ...[false, 'f16', 5, 0.999, 'o', 4294967295, 7, true, 100, 'software', true],
    ]);
    assert.is(parseTrainOptions(['--epochs=4', '--epochs', '5']).epochs, 5); // the last one counts
  });

  test('a preset stands behind what is given, and before the defaults', () => {
    const { model, size, epochs, weightDecay, paradigm, seed } = parseTrainOptions(
      '--preset ferplus-vgg13-probability --epochs 3'.split(' '),
    );
    assert.equal([model, size, epochs, weightDecay, paradigm, seed], ['vgg13', 64, 3, 0, 'ferplus-probability', 0]);
    for (const name of Object.keys(PRESETS)) {
      const options = parseTrainOptions(['--preset', name]);
      constantsOf(options.paradigm, options.set ?? '');
    }
  });

  test('a model has what the options say', () => {
    const of = (...args: string[]) => modelOptions(parseTrainOptions(args), 7);
    assert.equal(of(), { classes: 7, width: 1, dropout: 0, pooling: 'token', dropPath: 0, probe: false });
    const args = '--width 0.5 --dropout 0.1 --patch 6 --pooling mean --drop-path 0.2 --probe'.split(' ');
    assert.equal(of(...args), { classes: 7, width: 0.5, dropout: 0.1, pooling: 'mean', dropPath: 0.2, probe: true, patch: 6 });
  });

  test('what vision transformers alone have is refused for others', async () => {
    for (const [option, value] of [
      ['--patch', '8'],
      ['--pooling', 'mean'],
      ['--drop-path', '0.1'],
      ['--layer-decay', '0.75'],
    ]) {
      const options = parseTrainOptions([option, value]);
      requireOptionsOf('vit-small', options);
      await rejects(() => requireOptionsOf('resnet18', options), UsageError, `${option}: resnet18`, '--model vit or vit-tiny');
    }
    requireOptionsOf('small', parseTrainOptions([]));
  });

  test('defaults follow the options they depend on', () => {
    assert.is(parseTrainOptions(['--data', 'folder']).epochs, 20);
    const { learningRate, weightDecay, dropout, warmupEpochs } = parseTrainOptions('--optimizer adamw --model vgg13 --epochs 4'.split(' '));
    assert.equal([learningRate, weightDecay, dropout, warmupEpochs], [0.001, 0.05, 0.5, 0.4]);
  });

  const refused: [args: string, ...parts: string[]][] = [
    ['--epohcs 3', '--epohcs: unknown option', 'Did you mean --epochs?', '--help'],
    ['--learningRate 3', '--learningRate: unknown option', 'Did you mean --learning-rate?'],
    ['--zzzzzzzz', '--zzzzzzzz: unknown option', 'node dist/train.js --help'],
    ['--constructor x', '--constructor: unknown option'],
    ['-e 3', '--e: unknown option'],
    ['ferplus', 'ferplus: train takes options only', '--data ferplus'],
    ['--epochs many', '--epochs: "many" is not a number', 'Give a whole number from 1'],
    ['--epochs', '--epochs: an empty value is not a number'],
    ['--epochs --batch 8', '--epochs: an empty value is not a number'],
    ['--epochs 1.5', '--epochs: 1.5 is out of range', 'Give a whole number from 1 up to 100000'],
    ['--epochs 0', '--epochs: 0 is out of range'],
    ['--epochs Infinity', '--epochs'],
    ['--no-epochs', '--epochs: false is not a number'],
    ['--batch -4', '--batch: -4 is out of range', 'from 1'],
    ['--size 15', '--size: 15 is out of range', 'from 16'],
    ['--channels 2', '--channels: 2 is none of the choices', 'Give one of 1, 3'],
    ['--seed 4294967296', '--seed: 4294967296 is out of range', '4294967295'],
    ['--learning-rate 0', '--learning-rate: 0 is out of range', 'above 0'],
    ['--paradigm born-again', '--teacher: born-again learns from earlier runs', '--teacher RUN,RUN'],
    ['--teacher a', '--teacher: moue learns from no earlier runs', 'Leave --teacher out, or choose born-again.'],
    ['--candidates 1', '--candidates: 1 is out of range', 'from 0 below 1'],
    ['--momentum 1', '--momentum: 1 is out of range', 'below 1'],
    ['--dropout 1', '--dropout'],
    ['--ema -0.1', '--ema'],
    ['--validation-share 0.6', '--validation-share', 'up to 0.5'],
    ['--paradigm ferplus-crosentropy', '"ferplus-crosentropy" is none of the choices', 'Did you mean ferplus-crossentropy?'],
    ['--model resnet', '--model', 'Give one of auto, small', 'Did you mean resnet18?'],
    ['--unsafe=maybe', '--unsafe: "maybe" is not a boolean', 'true or false'],
    ['--unsafe maybe', 'maybe: train takes options only'],
    ['--data=', '--data: the value is empty'],
  ];
  for (const [args, ...parts] of refused)
    test(`refuses ${args}`, async () => void (await rejects(() => parseTrainOptions(args.split(' ')), UsageError, ...parts)));

  test('--help explains every option with its default', () => {
    const text = announced(() => parseTrainOptions(['--help', '--epochs', '3']));
    const names = Object.keys(parseTrainOptions([])).map((name) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`));
    assert.ok(names.length > 25);
    const flat = text.replace(/\s+/g, ' ');
    for (const name of names) assert.match(flat, new RegExp(` --${name} (<number> |<text> )?[A-Z0-9'][^\\[]+\\[default: [^\\]]+\\]`));
    for (const heading of ['What to learn:', 'Model:', 'Optimisation:', 'Run:']) assert.match(text, new RegExp(`^${heading}$`, 'm'));
    assert.match(flat, '[default: 0.05 for sgd, 0.001 for adamw]');
    assert.match(flat, 'Update rule (sgd, adamw) [default: sgd]');
    assert.match(flat, 'ferplus-majority: ');
    assert.not.match(text, 'undefined');
    assert.match(text, /^node dist\/train\.js \[options\]\n/);
  });

  test('--help keeps to the width, without breaking words', () => {
    const table: OptionTable = {
      first: { type: 'number', group: 'One:', description: 'Several words that do not fit', default: 1, notes: ['a note'] },
      'second-one': { type: 'boolean', group: 'Two:', description: 'Unbreakablewordunbreakableword', default: true },
    };
    assert.is(
      formatHelp({ command: 'sing', usage: 'Sings a song for you all.', positionals: 'SONG', table }, 38),
      `node dist/sing.js SONG [options]

Sings a song for you all.

One:
  --first <number>  Several words that
                    do not fit
                    [default: 1]
                    a note

Two:
  --second-one      Unbreakablewordunbreakableword
                    [default: true]

More:
  --help            Show this text
  --version         Show the version
                    of moue`,
    );
  });

  test('--version', () =>
    assert.match(
      announced(() => parseTrainOptions(['--version'])),
      /^\d+\.\d+\.\d+$/,
    ));

  test('a config file holds the same names, and the command line wins', () => {
    const path = config({ epochs: 7, 'learning-rate': 0.2, nesterov: false, data: 'somewhere' });
    const options = parseTrainOptions(['--config', path, '--epochs', '2']);
    assert.equal([options.epochs, options.learningRate, options.nesterov, options.data, options.batch], [2, 0.2, false, 'somewhere', 64]);
    assert.is(options.config, path);
  });

  const wrongFiles: [content: unknown, ...parts: string[]][] = [
    [{ epoch: 3 }, 'epoch: unknown option', 'Did you mean epochs?'],
    [{ learningRate: 3 }, 'learningRate: unknown option', 'Did you mean learning-rate?'],
    [{ epochs: '3' }, 'epochs: "3" is not a number'],
    [{ epochs: null }, 'epochs: null is not a number'],
    [{ epochs: [3] }, 'epochs: [3] is not a number'],
    [{ epochs: 0 }, 'epochs: 0 is out of range'],
    [{ nesterov: 1 }, 'nesterov: 1 is not a boolean', 'true or false'],
    [{ data: 5 }, 'data: 5 is not a string', 'a text'],
    [{ model: 'vgg' }, 'model: "vgg" is none of the choices'],
    [{ config: 'x' }, 'config: a config file cannot name another'],
    [[1], 'not a JSON object'],
    ['{"epochs": 3', 'not JSON'],
  ];
  for (const [content, ...parts] of wrongFiles) {
    test(`refuses the config ${JSON.stringify(content)}`, async () => {
      const path = config(content);
      const error = (await rejects(() => parseTrainOptions(['--config', path]), UsageError, path, ...parts)) as UsageError;
      assert.is(error.place.file, path);
    });
  }
  test('refuses a config file that is not there', async () => {
    await rejects(() => parseTrainOptions(['--config', join(folder, 'nowhere.json')]), UsageError, 'nowhere.json', 'ENOENT');
  });

  test("a run's config repeats the run", async () => {
    const args = '--model vgg13 --optimizer adamw --epochs 4 --no-nesterov --seed 9 --data faces'.split(' ');
    const run = await beginRun(...args, '--out', 'elsewhere');
    const options = parseTrainOptions(args);
    assert.equal(trainOptionsOf(run), options);
    const path = join(run.path, 'config.json');
    assert.equal(parseTrainOptions(['--config', path]), { ...options, config: path });
    assert.equal(
      Object.keys(run.readConfig()).filter((name) => ['out', 'resume', 'config'].includes(name)),
      [],
    );
  });

  test('a resumed run keeps its options; its length, data and adapter may change', async () => {
    const run = await beginRun('--batch', '16', '--learning-rate', '0.3', '--epochs', '4');
    const options = parseTrainOptions([
      '--resume',
      run.path,
      '--epochs',
      '30',
      '--data',
      'moved',
      '--adapter',
      'x',
      '--out',
      run.path,
      '--batch',
      '16',
    ]);
    assert.equal([options.resume, options.batch, options.learningRate, options.epochs, options.warmupEpochs], [run.path, 16, 0.3, 30, 0.4]);
    assert.equal([options.data, options.adapter], ['moved', 'x']);
    assert.is(parseTrainOptions(['--resume', run.path, '--model', 'small']).model, 'small'); // it began with auto
  });

  test('a resumed run does not become another', async () => {
    const run = await beginRun('--model', 'small');
    const remedy = 'start a new run';
    await rejects(
      () => parseTrainOptions(['--resume', run.path, '--model', 'vgg13']),
      UsageError,
      '--model: the run to resume has small, not vgg13',
      remedy,
    );
    await rejects(
      () => parseTrainOptions(['--resume', run.path, '--seed', '1']),
      UsageError,
      '--seed: the run to resume has 0, not 1',
      remedy,
    );
    await rejects(() => parseTrainOptions(['--resume', run.path, '--config', config({ size: 64 })]), UsageError, 'size', '48, not 64');
    await rejects(() => parseTrainOptions(['--resume', run.path, '--out', folder]), UsageError, '--out', 'stays in its folder');
    await rejects(() => parseTrainOptions(['--resume', scratchFolder()]), RunError, 'holds no run');
  });
});

suite('options of compare', (test) => {
  test('a teacher is for the paradigms that learn from one, and for no others', async () => {
    const args = ['--paradigms', 'one-hot,born-again', '--teacher', 'a'];
    assert.is(parseCompareOptions(args).training.teacher, 'a');
    await rejects(() => parseCompareOptions(args.slice(0, 2)), UsageError, '--teacher: born-again learns from earlier runs');
    await rejects(
      () => parseCompareOptions(['--teacher', 'a']),
      UsageError,
      '--teacher: one-hot, distribution, moue learn from no earlier',
    );
  });
});

suite('paradigms to compare', (test) => {
  for (const [names, ...parts] of [
    ['one-hot,one-hot', 'named twice'],
    ['one-hut', 'Did you mean one-hot?'],
    ['moue:teachr=0', "no constant 'teachr'"],
  ])
    test(`refuses ${names}`, async () => void (await rejects(() => parseCompareOptions(['--paradigms', names]), UsageError, ...parts)));
});

suite('options of evaluate and predict', (test) => {
  test('evaluate', () => {
    assert.equal(parseEvaluateOptions(['runs/a']), {
      run: 'runs/a',
      data: undefined,
      split: 'test',
      checkpoint: 'best',
      batch: 64,
      temperature: 'none',
      corruptions: undefined,
      severities: '1..5',
      out: undefined,
      perFace: false,
      json: false,
      adapter: undefined,
    });
    const args =
      'runs/a --data d --split validation --json --batch 8 --adapter software --checkpoint last --temperature fit --corruptions fog,jpeg --severities 1,5 --out o --per-face';
    assert.equal(parseEvaluateOptions(args.split(' ')), {
      run: 'runs/a',
      data: 'd',
      split: 'validation',
      checkpoint: 'last',
      batch: 8,
      temperature: 'fit',
      corruptions: 'fog,jpeg',
      severities: '1,5',
      out: 'o',
      perFace: true,
      json: true,
      adapter: 'software',
    });
    assert.is(parseEvaluateOptions(['--json', '2024']).run, '2024'); // a name of digits stays a name
  });

  test('predict', () => {
    assert.equal(parsePredictOptions(['r', 'a.png', '--json', 'b.png', '--explain', 'c.png']), {
      run: 'r',
      images: ['a.png', 'b.png'],
      explain: 'c.png',
      checkpoint: 'best',
      json: true,
      adapter: undefined,
    });
  });

  test('both refuse what is missing, too much or unknown', async () => {
    await rejects(() => parseEvaluateOptions([]), UsageError, 'evaluate takes one run, 0 were given', 'node dist/evaluate.js RUN');
    await rejects(() => parseEvaluateOptions(['a', 'b']), UsageError, '2 were given');
    await rejects(
      () => parseEvaluateOptions(['a', '--splits', 'test']),
      UsageError,
      '--splits',
      'Did you mean --split?',
      'evaluate.js --help',
    );
    await rejects(() => parseEvaluateOptions(['a', '--split', 'training']), UsageError, 'train, validation, test');
    await rejects(() => parsePredictOptions(['a']), UsageError, 'at least one image', 'face.png');
    await rejects(() => parsePredictOptions(['a', 'b.png', '--data', 'x']), UsageError, '--data: unknown option');
    assert.match(
      announced(() => parseEvaluateOptions(['--help'])),
      'node dist/evaluate.js RUN [options]',
    );
    assert.match(
      announced(() => parsePredictOptions(['--help'])),
      'node dist/predict.js RUN face.png… [options]',
    );
  });

  test('the nearest name is near', () => {
    const names = ['epochs', 'steps', 'seed', 'schedule'];
    assert.equal(
      ['epoch', 'epohcs', 'sead', 'sheduel', 'x', 'weights', ''].map((name) => nearestName(name, names)),
      ['epochs', 'epochs', 'seed', undefined, undefined, undefined, undefined],
    );
    assert.is(nearestName('a', []), undefined);
  });
});
