import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RunError } from '#src/errors.js';
import {
  type Checkpoint,
  type CheckpointState,
  checkTensors,
  loadCheckpoint,
  type NamedTensor,
  saveCheckpoint,
} from '#src/run/checkpoint.js';
import { readSafetensors, writeSafetensors } from '#src/run/safetensors.js';
import { assert, rejects, suite } from '../support/suite.js';
import { failingDisk } from './failing-disk.js';
import { scratchFolder } from './scratch.js';

const state: CheckpointState = {
  model: 'small',
  modelOptions: { width: 1, channels: 1, size: 48 },
  classes: ['neutral', 'happiness'],
  seed: 4294967295,
  epoch: 2,
  step: 1234,
  bestMetric: 0.75,
  sampler: { cursor: 17 },
};
const tensor = (shape: number[], value: number): NamedTensor => ({
  shape,
  data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value),
});
const checkpoint: Checkpoint = {
  weights: new Map([
    ['stem.weight', tensor([3, 3, 1, 8], 0.1)],
    ['stem.bias', tensor([8], -1e-40)],
  ]),
  optimizer: new Map<string, NamedTensor>([
    ['momentum.stem.weight', tensor([3, 3, 1, 8], 0.2)],
    ['counter', { shape: [2], data: Uint32Array.from([7, 4294967295]) }],
  ]),
  kept: new Map([['confidence', tensor([5, 2], 0.5)]]),
  average: new Map([['stem.weight', tensor([3, 3, 1, 8], 0.3)]]),
  state,
};

const folder = scratchFolder();

suite('checkpoint', (test) => {
  test('comes back bitwise, with weights under their own names', async () => {
    const path = join(folder, 'round-trip');
    await saveCheckpoint(path, checkpoint);
    assert.equal(await loadCheckpoint(path), checkpoint);
    const { tensors, metadata } = await readSafetensors(path);
    assert.equal([...tensors.keys()].sort(), [
      'average/stem.weight',
      'kept/confidence',
      'optimizer/counter',
      'optimizer/momentum.stem.weight',
      'stem.bias',
      'stem.weight',
    ]);
    assert.equal(JSON.parse(metadata.state), state);
  });

  test('has no average when none was saved', async () => {
    const path = join(folder, 'plain');
    await saveCheckpoint(path, { weights: checkpoint.weights, optimizer: new Map(), kept: new Map(), state });
    const loaded = await loadCheckpoint(path);
    assert.is(loaded.average, undefined);
    assert.is(loaded.optimizer.size, 0);
  });

  test('a full disk leaves the earlier checkpoint intact', async () => {
    const path = join(folder, 'full');
    await saveCheckpoint(path, checkpoint);
    const earlier = readFileSync(path);
    const later = { ...checkpoint, state: { ...state, step: 2000 } };
    await rejects(() => saveCheckpoint(path, later, failingDisk('ENOSPC', 1000)), RunError, path, 'the disk is full', 'Make room');
    assert.equal(readFileSync(path), earlier);
    assert.is((await loadCheckpoint(path)).state.step, 1234);
  });

  test('refuses other safetensors files', async () => {
    const path = join(folder, 'foreign');
    await writeSafetensors(path, new Map([['a', { dtype: 'F32', shape: [1], data: new Float32Array(1) }]]));
    await rejects(() => loadCheckpoint(path), RunError, path, 'format', 'not a checkpoint');
    await writeSafetensors(path, new Map([['a', { dtype: 'F64', shape: [1], data: new Float64Array(1) }]]), {
      format: 'moue checkpoint 1',
    });
    await rejects(() => loadCheckpoint(path), RunError, path, ', a:', 'F32');
  });

  for (const [field, text] of [
    ['state', undefined],
    ['state', '{"model":'],
    ['state', 'null'],
    ...(['model', 'modelOptions', 'classes', 'seed', 'epoch', 'step'] as const).map((name) => [
      `state.${name}`,
      JSON.stringify({ ...state, [name]: undefined }),
    ]),
    ['state.step', JSON.stringify({ ...state, step: -1 })],
    ['state.step', JSON.stringify({ ...state, step: 1.5 })],
    ['state.classes', JSON.stringify({ ...state, classes: [1] })],
    ['state.bestMetric', JSON.stringify({ ...state, bestMetric: null })],
  ] as const) {
    test(`refuses a file whose ${field} is wrong: ${text?.slice(0, 40)}`, async () => {
      const path = join(folder, 'state');
      await writeSafetensors(path, new Map(), { format: 'moue checkpoint 1', ...(text === undefined ? {} : { state: text }) });
      await rejects(() => loadCheckpoint(path), RunError, `${path}, ${field}:`);
    });
  }

  test('does not write what it would refuse to read', async () => {
    const path = join(folder, 'unwritable');
    await rejects(() => saveCheckpoint(path, { ...checkpoint, state: { ...state, bestMetric: NaN } }), RunError, 'state.bestMetric');
    await rejects(
      () => saveCheckpoint(path, { ...checkpoint, weights: new Map([['optimizer/x', tensor([1], 0)]]) }),
      RunError,
      'optimizer/x',
    );
    await rejects(() => loadCheckpoint(path), RunError, 'does not exist');
  });

  test('the tensors of another model are listed', async () => {
    const expected = new Map([
      ['stem.weight', { shape: [3, 3, 3, 8] }],
      ['stem.bias', { shape: [8] }],
      ['head.weight', { shape: [8, 2] }],
    ]);
    const found = new Map([...checkpoint.weights, ['tail.weight', tensor([1], 0)]]);
    const error = (await rejects(
      () => checkTensors('best.safetensors', found, expected),
      RunError,
      'best.safetensors: checkpoint of another model',
      'missing: head.weight;',
      'not in the model: tail.weight;',
      'of another shape: stem.weight is [3, 3, 1, 8], expected [3, 3, 3, 8]',
      'config.json',
    )) as RunError;
    assert.not.match(error.message, 'stem.bias');
    checkTensors('best.safetensors', expected, expected);
  });

  test('shapes with the same digits differ', async () => {
    await rejects(
      () => checkTensors('f', new Map([['a', { shape: [1, 12] }]]), new Map([['a', { shape: [11, 2] }]])),
      RunError,
      'a is [1, 12], expected [11, 2]',
    );
  });

  test('a long list is cut', async () => {
    const many = new Map(Array.from({ length: 40 }, (_, index) => [`layer${index}`, { shape: [1] }] as const));
    const error = await rejects(() => checkTensors('f', new Map(), many), RunError, 'layer0, layer1', '(40 in all)');
    assert.ok(error.message.length < 200);
  });
});
