import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DeviceError, UsageError } from '#src/errors.js';
import { Tape } from '#src/tensor/tape.js';
import { bench, fileNameOf, selectionOf } from '#tools/bench.js';
import { OPERATOR_CASES, type PeerOperator } from '#tools/bench-operators.js';
import { installPeers, PEERS, preparePeers, startPeer } from '#tools/bench-peers.js';
import { type Contestant, formatTable, lossDifference, playRounds, type Row, standingOf } from '#tools/bench-rounds.js';
import { benchStep } from '#tools/bench-step.js';
import { assert, gpuSuite, rejects, suite } from '../support/suite.js';
import { assertClose } from '../support/tensors.js';

const LIMITS = {
  multiplyAddGflops: 100,
  shaderCopyGBps: 10,
  bufferCopyGBps: 40,
  launchUs: 20,
  submitUs: 30,
  submitAndWaitUs: 100,
  readbackUs: 120,
};

const timing = (engine: string, stepMs: number[], losses: number[] = []) => ({ engine, stepMs, losses });

suite('bench, the pure parts', (test) => {
  test('a row stands by its nearer limit, and against the fastest peer', () => {
    const product: Row = { name: 'product', timings: [timing('moue', [9, 10, 40])], gflop: 0.5, gigabytes: 0.001, absent: [] };
    assert.equal(standingOf(product, LIMITS), { ms: 10, gflops: 50, GBps: 0.1, share: 0.5, bound: 'arithmetic' });
    const norm: Row = {
      ...product,
      timings: [timing('moue', [10]), timing('a', [30]), timing('b', [20, 25, 26])],
      gflop: 0,
      gigabytes: 0.05,
    };
    assert.equal(standingOf(norm, LIMITS), { ms: 10, gflops: 0, GBps: 5, share: 0.5, bound: 'traffic', ratio: 2.5 });
  });

  test('losses are compared over the steps that both show', () => {
    assert.is(lossDifference([2, 4, 5], [2, 5]), 0.25);
    assert.is(lossDifference([2, 4], []), 0);
    assert.is(lossDifference([2, 4], [Number.NaN]), Infinity);
  });

  test('engines take turns, and one that fails on the way is left out', async () => {
    const order: string[] = [];
    const contestant = (engine: string, lasts = Infinity): Contestant => ({
      engine,
      losses: [1, 2, 3, 4, 5],
      async time(steps) {
        order.push(engine);
        if (order.filter((name) => name === engine).length > lasts) throw new Error('out of memory');
        return Array.from({ length: steps }, () => 7);
      },
      close() {},
    });
    const { timings, failures } = await playRounds(contestant('moue'), [contestant('a'), contestant('b', 1)], 3, 2);
    assert.equal(order, ['moue', 'a', 'b', 'moue', 'a', 'b', 'moue', 'a']);
    assert.equal(
      timings.map(({ engine, stepMs, losses }) => [engine, stepMs.length, losses.length]),
      [
        ['moue', 6, 4],
        ['a', 6, 4],
      ],
    );
    assert.equal(failures, [{ engine: 'b', reason: 'out of memory' }]);
    await rejects(() => playRounds(contestant('moue', 0), [], 1, 1), Error, 'out of memory');
  });

  test('the table: peers beside us, losses, absences', () => {
    const rows: Row[] = [
      { name: 'product', timings: [timing('moue', [10]), timing('jax-js', [45])], gflop: 0.5, gigabytes: 0.001, absent: [] },
      {
        name: 'm1',
        timings: [timing('moue', [100, 200], [2, 1]), timing('jax-js', [600], [2, 1.01])],
        gflop: 3,
        hostMs: 0.25,
        stepBytes: 3 * 2 ** 20,
        absent: [{ engine: 'tfjs', reason: 'no such operator' }],
      },
    ];
    const [heading, product, m1, ...rest] = formatTable(rows, LIMITS).split('\n');
    assert.match(heading, /of limit +JavaScript ms +step MiB +jax-js ms +best peer \/ ours$/);
    assert.match(product, /^product +10\.0 \(10\.0, 10\.0\) +50\.0 GFLOP\/s +50 % +45\.0 +4\.5×$/);
    assert.match(m1, /^m1 +150 \(100, 200\) +20\.0 GFLOP\/s +20 % +0\.25 +3 +600 +4\.0×$/);
    assert.equal(rest, [
      '',
      'First losses:',
      'm1: 2.00000 1.00000, jax-js differs by 1.000 %',
      '',
      "tfjs is absent from 'm1': no such operator",
      '',
    ]);
  });

  test('what is chosen', async () => {
    const all = { models: 'm1,small', operators: 'all', peers: 'none', quick: false };
    assert.equal(selectionOf(all, false), { models: ['m1', 'small'], operators: [...OPERATOR_CASES], peers: [] });
    const onProcessor = selectionOf(all, true).operators;
    assert.equal(
      onProcessor,
      OPERATOR_CASES.filter(({ size }) => size !== 'large'),
    );
    const quick = selectionOf({ ...all, quick: true }, false).operators;
    assert.ok(quick.length > 3 && quick.length < OPERATOR_CASES.length / 2, `${quick.length} operators`);
    const some = selectionOf({ ...all, operators: 'softmax,AdamW', peers: 'tfjs' }, true);
    assert.equal(
      some.operators.map(({ name }) => name.split(/[ ,]/)[0]),
      ['softmax', 'softmax', 'AdamW', 'AdamW'],
    );
    assert.equal(some.peers, ['tfjs']);
    assert.equal(selectionOf({ ...all, operators: '4096³', peers: 'usual' }, true).peers, ['jax-js', 'tfjs']);
    assert.is(selectionOf({ ...all, operators: '4096³' }, true).operators.length, 3);
    assert.equal(selectionOf({ ...all, peers: 'usual' }, false).peers, [...PEERS]);
    await rejects(() => selectionOf({ ...all, models: 'm4' }, true), UsageError, "'m4'", 'm1, m2, m3');
    await rejects(() => selectionOf({ ...all, operators: 'magic' }, true), UsageError, "'magic'");
    assert.is(new Set(OPERATOR_CASES.map(({ name }) => name)).size, OPERATOR_CASES.length);
  });

  test('names of result files', () => {
    assert.is(fileNameOf('NVIDIA H100 (PCIe)', false), 'nvidia-h100-pcie');
    assert.is(fileNameOf('llvmpipe-llvm-15-0-6-256-bits-', true), 'llvmpipe-llvm-15-0-6-256-bits-tuned');
  });
});

/** An engine that needs nothing: it answers at once, or refuses. */
const FAKE_ENGINE = `
export function prepare({ op, model }) {
  if (op) throw new Error('only models here');
  console.log('a banner');
  let loss = 4;
  const queue = async () => {
    if (loss === 0.5) process.exit(1);
    return (loss /= 2);
  };
  const finish = () => new Promise((resolve) => setTimeout(resolve, 110)); // long enough not to be repeated
  return { queue, finish };
}
`;

suite('bench, the peers', (test) => {
  test('serve.mjs answers warm, then on demand; failures come with their reasons', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'moue-peers-'));
    try {
      cpSync(fileURLToPath(new URL('../../../tools/peers/', import.meta.url)), folder, { recursive: true });
      writeFileSync(join(folder, 'tfjs.mjs'), FAKE_ENGINE);
      const peer = await startPeer('tfjs', { model: 'm1', batch: 2 }, undefined, folder);
      assert.equal(peer.losses, [2, 1]);
      assert.is((await peer.time(1, 1000)).length, 1);
      assert.equal(peer.losses, [2, 1, 0.5]);
      await rejects(() => peer.time(1, 1000), Error, 'without an answer');
      const operator: PeerOperator = { op: 'matmul', shapes: [], options: {}, pass: 'forward' };
      await rejects(() => startPeer('tfjs', operator, undefined, folder), Error, 'only models here');
      await rejects(() => startPeer('jax-js', operator, undefined, folder), Error, 'webgpu');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('PyTorch is left out in a sentence where Python or the package is missing', () => {
    assert.equal(preparePeers([], 'no-python'), { ready: [], problems: [] });
    const { ready, problems } = preparePeers(['torch', 'torch-tf32'], 'no-python');
    assert.equal(ready, []);
    assert.is(problems.length, 1);
    assert.match(problems[0]!, /^PyTorch is left out, because no-python cannot import it \(.+\); .*PYTHON may name another/);
    // An interpreter that runs, and has no such package.
    assert.match(preparePeers(['torch'], process.execPath).problems[0] ?? '', /cannot import it/);
  });

  test('nothing is installed where all packages are there', () => {
    const folder = mkdtempSync(join(tmpdir(), 'moue-peers-'));
    try {
      const wanted = {
        '@jax-js/jax': '0.1.25',
        '@tensorflow/tfjs-backend-cpu': '4.22.0',
        '@tensorflow/tfjs-backend-webgpu': '4.22.0',
        '@tensorflow/tfjs-core': '4.22.0',
        '@tensorflow/tfjs-layers': '4.22.0',
        webgpu: '0.6.2',
      };
      for (const [name, version] of Object.entries(wanted)) {
        mkdirSync(join(folder, 'node_modules', name), { recursive: true });
        writeFileSync(join(folder, 'node_modules', name, 'package.json'), JSON.stringify({ version }));
      }
      assert.is(installPeers(folder), undefined);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

gpuSuite('bench', (test) => {
  for (const { name, record } of OPERATOR_CASES) {
    test(`records ${name}`, async (gpu) => {
      const tape = new Tape(gpu, { training: true });
      record(tape);
      assert.ok(tape.launches.length > 0);
    });
  }

  test('the compared models begin with the losses that the peers begin with', async (gpu) => {
    const first = async (model: 'm1' | 'm3') => {
      const step = await benchStep(gpu, model, model === 'm1' ? 64 : 16);
      const losses: number[] = [];
      for (let i = 0; i < 2; i++) losses.push(await gpu.wait(step.run()));
      step.destroy();
      return losses;
    };
    assertClose(await first('m1'), [2.12744, 2.09289], { relative: 1e-4 });
    assertClose(await first('m3'), [2.39686, 4.49313], { relative: 1e-4 });
  });

  test('a small run from end to end', async (gpu) => {
    const operators = OPERATOR_CASES.filter(({ name }) => name.startsWith('softmax + divergence'));
    const record = () => {
      throw new DeviceError('beyond a binding', 'Use a smaller one.');
    };
    operators.unshift({ ...operators[0], name: 'too large', record });
    const { rows, failed, limits } = await bench(
      gpu,
      { models: ['small'], operators, peers: [] },
      { batch: 2, precision: 'f16', steps: 2, rounds: 2, adapter: undefined },
    );
    assert.equal(failed, [{ name: 'too large', reason: 'beyond a binding' }]);
    assert.equal(
      rows.map(({ name }) => name),
      ['softmax + divergence, 8192×8, both ways', 'small, a step on 2 faces, f16'],
    );
    for (const { timings } of rows) assert.is(timings[0].stepMs.length, 4);
    const [, small] = rows;
    assert.ok(small.gflop > 0 && small.hostMs! > 0 && small.stepBytes! > 0 && small.timings[0].losses.every(Number.isFinite));
    assert.match(formatTable(rows, limits), /^small, a step on 2 faces, f16: [\d.]+ [\d.]+ [\d.]+ [\d.]+$/m);
  });
});
