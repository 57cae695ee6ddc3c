import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RunError, UsageError } from '#src/errors.js';
import { parsePretrainOptions, parseTrainOptions, pretrainConfig, trainConfig, trainOptionsOf } from '#src/run/options.js';
import { RunFolder } from '#src/run/run-folder.js';
import { assert, rejects, suite } from '../support/suite.js';
import { scratchFolder } from './scratch.js';

async function begun(config: ReturnType<typeof pretrainConfig>): Promise<RunFolder> {
  const out = join(scratchFolder(), 'run');
  return RunFolder.create({ out, paradigm: 'pretrain', model: 'vit', seed: 0, config, adapter: {} });
}

suite('options of pretrain', (test) => {
  test('defaults are those of the paper, in proportion to the batch', () => {
    const options = parsePretrainOptions([]);
    const { data, model, mask, decoderDepth, epochs, batch, learningRate, warmupEpochs, weightDecay, size, seed } = options;
    assert.equal([data, model, mask, decoderDepth, size, seed], ['generated', 'vit', 0.75, 2, 48, 0]);
    assert.equal([epochs, batch, learningRate, warmupEpochs, weightDecay], [20, 256, 1.5e-4, 1, 0.05]);
    assert.equal(parsePretrainOptions(['--data', 'x', '--batch', '1024']).learningRate, 6e-4);
    assert.equal(parsePretrainOptions(['--data', 'x']).epochs, 200);
  });

  test('data may be named one by one or with commas; of other options the last counts', () => {
    assert.is(parsePretrainOptions(['--data', 'a', '--data=b,c', '--seed', '1', '--seed', '2']).data, 'a,b,c');
    assert.is(parsePretrainOptions(['--seed', '1', '--seed', '2']).seed, 2);
    assert.is(parseTrainOptions(['--data', 'a', '--data', 'b']).data, 'b');
  });

  test('a config file holds the same names', () => {
    const path = join(scratchFolder(), 'config.json');
    writeFileSync(path, JSON.stringify({ mask: 0.5, 'decoder-depth': 1 }));
    const { mask, decoderDepth } = parsePretrainOptions(['--config', path, '--mask', '0.6']);
    assert.equal([mask, decoderDepth], [0.6, 1]);
  });

  test('a resumed run keeps its options; its length and data may change', async () => {
    const run = await begun(pretrainConfig(parsePretrainOptions(['--mask', '0.5', '--epochs', '3'])));
    const resumed = parsePretrainOptions(['--resume', run.path, '--epochs', '5', '--data', 'a', '--data', 'b']);
    assert.equal([resumed.mask, resumed.epochs, resumed.data, resumed.warmupEpochs], [0.5, 5, 'a,b', 0.15]);
    await rejects(() => parsePretrainOptions(['--resume', run.path, '--mask', '0.6']), UsageError, '--mask', 'has 0.5, not 0.6');
  });

  test('a run of the other command is none', async () => {
    const [pretrained, trained] = [await begun(pretrainConfig(parsePretrainOptions([]))), await begun(trainConfig(parseTrainOptions([])))];
    await rejects(() => parsePretrainOptions(['--resume', trained.path]), RunError, trained.path, 'made by train');
    await rejects(() => parseTrainOptions(['--resume', pretrained.path]), RunError, pretrained.path, 'made by pretrain');
    await rejects(() => trainOptionsOf(pretrained), RunError, 'a run of train is wanted');
  });

  test('refuses what does not exist or makes no sense', async () => {
    await rejects(() => parsePretrainOptions(['--mask', '1']), UsageError, '--mask', 'below 1');
    await rejects(() => parsePretrainOptions(['--mask', '0']), UsageError, '--mask', 'above 0');
    await rejects(() => parsePretrainOptions(['--model', 'small']), UsageError, '--model', 'vit');
    await rejects(() => parsePretrainOptions(['--paradigm', 'moue']), UsageError, '--paradigm', 'unknown option');
    await rejects(() => parsePretrainOptions(['faces']), UsageError, 'pretrain takes options only');
  });
});
