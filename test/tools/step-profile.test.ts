import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import type { Limits } from '#tools/limits.js';
import { formatRows, type TimedLaunch, tabulate, timeLaunches, totalRow } from '#tools/step-profile.js';
import { assert, gpuSuite, suite } from '../support/suite.js';

const LIMITS: Limits = {
  multiplyAddGflops: 100,
  shaderCopyGBps: 10,
  bufferCopyGBps: 40,
  launchUs: 20,
  submitUs: 30,
  submitAndWaitUs: 100,
  readbackUs: 120,
};

function launch(shader: string, shapes: string, timeMs: number, flops: number, bytes: number): TimedLaunch {
  return { label: `${shader} ${shapes}`, shader, timeMs, flops, bytes, groups: [1, 1, 1] };
}

const LAUNCHES = [
  launch('relu', '2x2', 2, 0, 4e6),
  launch('matmul', '4x4', 2, 50e6, 2e6),
  launch('matmul', '8x8', 4, 250e6, 4e6),
  launch('matmul', '4x4', 2, 0, 0),
];

suite('step profile', (test) => {
  test('by shader: sums, shares and rates against the limits, the slowest first', () => {
    const rows = tabulate(LAUNCHES, LIMITS);
    assert.equal(rows, [
      { name: 'matmul', launches: 3, timeMs: 8, share: 0.8, gflops: 37.5, gflopsShare: 0.375, GBps: 0.75, GBpsShare: 0.075 },
      { name: 'relu', launches: 1, timeMs: 2, share: 0.2, gflops: 0, gflopsShare: 0, GBps: 2, GBpsShare: 0.2 },
    ]);
    const all = { name: 'all', launches: 4, timeMs: 10, share: 1, gflops: 30, gflopsShare: 0.3, GBps: 1, GBpsShare: 0.1 };
    assert.equal(totalRow(LAUNCHES, LIMITS), all);
  });

  test('by launch: equal shapes are one row', () => {
    const rows = tabulate(LAUNCHES, LIMITS, 'launch');
    assert.equal(
      rows.map(({ name, launches, timeMs }) => [name, launches, timeMs]),
      [
        ['matmul 4x4', 2, 4],
        ['matmul 8x8', 1, 4],
        ['relu 2x2', 1, 2],
      ],
    );
  });

  test('nothing launched, or no time taken, gives zeros and no NaN', () => {
    assert.equal(tabulate([], LIMITS), []);
    assert.is(totalRow([], LIMITS).share, 0);
    const [row] = tabulate([launch('instant', '1', 0, 10, 10)], LIMITS);
    assert.equal([row.share, row.gflops, row.GBps], [0, 0, 0]);
  });

  test('the table is aligned and leaves blank what is not counted', () => {
    const lines = formatRows([...tabulate(LAUNCHES, LIMITS), totalRow(LAUNCHES, LIMITS)], 'shader').split('\n');
    assert.equal(lines, [
      'shader  launches      ms  share  GFLOP/s  of limit  GB/s  of limit',
      'matmul         3   8.000   80 %     37.5      38 %  0.75     7.5 %',
      'relu           1   2.000   20 %                     2.00      20 %',
      'all            4  10.000  100 %     30.0      30 %  1.00      10 %',
    ]);
  });
});

gpuSuite('timed launches', (test) => {
  test('each launch has its own time, and more work takes longer', async (gpu) => {
    const tape = new Tape(gpu);
    const output = tape.input('output', [64 * 4 * 64]);
    for (const iterations of [1, 400]) {
      tape.launch('limit_multiply_add', {
        params: { iterations, factor: 0.5, addend: 1 },
        tensors: { output },
        groups: 64,
        flops: iterations,
      });
    }
    const program = await Program.compile(gpu, tape);
    const [short, long, ...others] = await timeLaunches(program, 3);
    program.destroy();
    assert.equal(others, []);
    assert.ok(short.timeMs >= 0 && long.timeMs > 2 * short.timeMs, `${short.timeMs} ms, ${long.timeMs} ms`);
    assert.is(long.flops, 400);
    assert.is(long.shader, 'limit_multiply_add');
    assert.match(long.label, 'limit_multiply_add 16384');
  });
});
