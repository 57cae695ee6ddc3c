import { ShapeError } from '#src/errors.js';
import type { Gpu } from '#src/gpu/gpu.js';
import { randomWords } from '#src/random.js';
import { dropout } from '#src/tensor/ops/dropout.js';
import { Tape } from '#src/tensor/tape.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, checkGradients, randomArray, runOp } from '../support/tensors.js';
import { disguise } from './disguise.js';

/** What an element is multiplied by, from the words that the host draws. */
function factors(size: number, rate: number, { seed = 1, step = 0, stream = 0 } = {}): Float32Array {
  return Float32Array.from({ length: size }, (_, i) => {
    const word = randomWords(seed, step, stream, Math.floor(i / 4))[i % 4];
    return (word >>> 8) / 2 ** 24 < Math.fround(rate) ? 0 : 1 / (1 - rate);
  });
}

function run(
  gpu: Gpu,
  size: number,
  rate: number,
  { stream, ...options }: { stream?: number; seed?: number; step?: number; training?: boolean } = {},
) {
  const x = { shape: [size], data: randomArray([size], 1), differentiable: true };
  return runOp(gpu, { x }, (tape, { x }) => dropout(tape, x, rate, stream), { outputGradient: randomArray([size], 2), ...options });
}

gpuSuite('dropout', (test) => {
  for (const size of [1, 5, 64, 2049, 10_007]) {
    for (const rate of [0.25, 0.5, 0.9]) {
      test(`of ${size} elements at ${rate} agrees with the mask that the host draws`, async (gpu) => {
        const { outputs, gradients } = await run(gpu, size, rate);
        const mask = factors(size, rate);
        assertClose(
          outputs.output,
          randomArray([size], 1).map((x, i) => x * mask[i]),
          { relative: 1e-6, absolute: 0 },
          'output',
        );
        assertClose(
          gradients.x,
          randomArray([size], 2).map((g, i) => g * mask[i]),
          { relative: 1e-6, absolute: 0 },
          'gradient',
        );
      });
    }
  }

  test('drops its share, and keeps the mean', async (gpu) => {
    const size = 200_000;
    const x = { shape: [size], data: new Float32Array(size).fill(1) };
    const { outputs } = await runOp(gpu, { x }, (tape, { x }) => dropout(tape, x, 0.3));
    const dropped = outputs.output.filter((value) => value === 0).length / size;
    assert.ok(Math.abs(dropped - 0.3) < 0.005, `${dropped}`); // five standard deviations
    assert.ok(Math.abs((outputs.output as Float32Array).reduce((sum, value) => sum + value, 0) / size - 1) < 0.008);
  });

  test('the mask follows seed, step and stream', async (gpu) => {
    const zeros = async (options: { seed?: number; step?: number; stream?: number }) =>
      (await run(gpu, 400, 0.5, options)).outputs.output.map((value) => Number(value === 0));
    const base = await zeros({ seed: 3, step: 4, stream: 5 });
    assert.equal(await zeros({ seed: 3, step: 4, stream: 5 }), base);
    for (const other of [
      { seed: 4, step: 4, stream: 5 },
      { seed: 3, step: 5, stream: 5 },
      { seed: 3, step: 4, stream: 6 },
    ]) {
      const differing = (await zeros(other)).filter((zero, i) => zero !== base[i]).length;
      assert.ok(differing > 140 && differing < 260, `${differing} of 400`); // six standard deviations around 200
    }
  });

  test('each use in a tape draws its own mask', async (gpu) => {
    const x = { shape: [100], data: new Float32Array(100).fill(1) };
    const { outputs } = await runOp(gpu, { x }, (tape, { x }) => ({ a: dropout(tape, x, 0.5), b: dropout(tape, x, 0.5) }));
    assertClose(outputs.a, factors(100, 0.5, { stream: 0 }));
    assertClose(outputs.b, factors(100, 0.5, { stream: 1 }));
    assert.not.equal(outputs.a, outputs.b);
  });

  test('in evaluation, and at rate 0, it is its input', (gpu) => {
    const evaluation = new Tape(gpu);
    const x = evaluation.input('x', [4]);
    assert.is(dropout(evaluation, x, 0.5), x);
    const training = new Tape(gpu, { training: true });
    assert.is(dropout(training, x, 0), x);
    assert.is(evaluation.launches.length + training.launches.length, 0);
    return Promise.resolve();
  });

  test('gradient agrees with finite differences', async (gpu) => {
    const x = { shape: [30], data: randomArray([30], 1), differentiable: true };
    await checkGradients(gpu, { x }, (tape, { x }) => dropout(tape, x, 0.4));
  });

  test('NaN shows, dropped or not', async (gpu) => {
    const x = { shape: [16], data: new Float32Array(16).fill(Number.NaN) };
    const { outputs } = await runOp(gpu, { x }, (tape, { x }) => dropout(tape, x, 0.5));
    assert.ok(outputs.output.every(Number.isNaN));
  });

  test('same bits from run to run and over two dimensions of dispatch', async (gpu) => {
    const first = await run(gpu, 20_001, 0.5);
    assert.equal(await run(gpu, 20_001, 0.5), first);
    assert.equal(await run(disguise(gpu, { groups: 3 }), 20_001, 0.5), first);
  });

  test('refuses a share that is none', async (gpu) => {
    const tape = new Tape(gpu);
    for (const rate of [-0.1, 1, Number.NaN])
      await rejects(() => dropout(tape, tape.tensor('x', [4]), rate), ShapeError, `${rate}`, 'below 1');
  });
});
