import { ShapeError } from '#src/errors.js';
import type { Gpu } from '#src/gpu/gpu.js';
import {
  OPTIMIZER_DEFAULTS,
  OPTIMIZER_STATE,
  type OptimizerOptions,
  PARAMETER_ALIGNMENT,
  recordEma,
  recordOptimizer,
  stepState,
} from '#src/optim/optimizer.js';
import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import { adamw, clip, globalNorm, movingAverage, sgd } from '../reference/optimizer.js';
import { assert, gpuSuite, rejects, suite } from '../support/suite.js';
import { assertClose, randomArray } from '../support/tensors.js';
import { disguise } from '../tensor/disguise.js';

/** One block, a prime number of blocks, exactly one workgroup of the norm, and just over it. */
const SIZES = [64, 64 * 37, 16384, 16384 + 64];

/** Every third block takes no weight decay, every fourth half of the learning rate, and another of four none. */
const RATES = [1, 1, 0.5, 0];
function blocks(size: number): Float32Array {
  const factors = Array.from({ length: size / PARAMETER_ALIGNMENT }, (_, block) => [RATES[block % 4], block % 3 === 1 ? 0 : 1]);
  return Float32Array.from(factors.flat());
}

/** The factor on the learning rate, or that on weight decay, of each parameter. */
function factorsOf(size: number, which: 0 | 1): number[] {
  const factors = blocks(size);
  return Array.from({ length: size }, (_, i) => factors[2 * Math.floor(i / PARAMETER_ALIGNMENT) + which]);
}

function learningRateOf(step: number): number {
  return 0.1 / (1 + step);
}

interface Training {
  size: number;
  options: OptimizerOptions;
  gradientsOf: (step: number) => Float32Array;
  steps: number;
}

interface Trained {
  parameters: Float32Array;
  state: Float32Array[];
  average: Float32Array;
  norms: number[];
}

/** Trains from the same parameters each time, with an average of the weights alongside. */
async function train(gpu: Gpu, { size, options, gradientsOf, steps }: Training): Promise<Trained> {
  const tape = new Tape(gpu, { training: true });
  const parameters = tape.input('parameters', [size]);
  const gradients = tape.input('gradients', [size]);
  const groups = tape.constant('groups', [size / PARAMETER_ALIGNMENT, 2], blocks(size));
  const state = OPTIMIZER_STATE[options.kind].map((name) => tape.input(name, [size]));
  const average = tape.input('average', [size]);
  const norm = recordOptimizer(tape, { parameters, gradients, groups, state }, options);
  recordEma(tape, { parameters, average });
  const program = await Program.compile(gpu, tape, { keep: [norm] });
  try {
    program.write(parameters, randomArray([size], 1));
    program.write(average, randomArray([size], 1));
    for (const tensor of state) program.write(tensor, new Float32Array(size));
    const norms: number[] = [];
    for (let step = 0; step < steps; step++) {
      const words = new DataView(new ArrayBuffer(32));
      const { biasCorrection1, biasCorrection2, emaDecay } = stepState(options, step);
      [learningRateOf(step), emaDecay, biasCorrection1, biasCorrection2].forEach((value, i) => {
        words.setFloat32(8 + 4 * i, value, true);
      });
      program.write(tape.step, words.buffer);
      program.write(gradients, gradientsOf(step));
      program.run();
      norms.push((await program.read(norm))[0]);
    }
    return {
      parameters: (await program.read(parameters)) as Float32Array,
      state: (await Promise.all(state.map((tensor) => program.read(tensor)))) as Float32Array[],
      average: (await program.read(average)) as Float32Array,
      norms,
    };
  } finally {
    program.destroy();
  }
}

function reference({ size, options, gradientsOf, steps }: Training): Trained {
  const parameters = Float64Array.from(randomArray([size], 1));
  const average = parameters.slice();
  const state = OPTIMIZER_STATE[options.kind].map(() => new Float64Array(size));
  const groups = { rates: factorsOf(size, 0), decays: factorsOf(size, 1) };
  const norms: number[] = [];
  for (let step = 0; step < steps; step++) {
    const given = gradientsOf(step);
    norms.push(globalNorm(given));
    const gradients = options.clipNorm === undefined ? given : clip(given, options.clipNorm);
    if (options.kind === 'sgd') sgd(parameters, state[0], gradients, groups, learningRateOf(step), options);
    else adamw(parameters, state[0], state[1], gradients, groups, learningRateOf(step), step + 1, options);
    movingAverage(average, parameters, Math.min(0.999, (1 + step) / (10 + step)));
  }
  return {
    parameters: Float32Array.from(parameters),
    state: state.map((s) => Float32Array.from(s)),
    average: Float32Array.from(average),
    norms,
  };
}

function gradientsOfSize(size: number): (step: number) => Float32Array {
  return (step) => randomArray([size], 100 + step);
}

async function compare(gpu: Gpu, training: Training, tolerance = { relative: 2e-5, absolute: 2e-6 }): Promise<void> {
  const actual = await train(gpu, training);
  const expected = reference(training);
  assertClose(actual.norms, expected.norms, { relative: 1e-6, absolute: 0 }, 'norms');
  actual.state.forEach((values, i) => {
    assertClose(values, expected.state[i], tolerance, OPTIMIZER_STATE[training.options.kind][i]);
  });
  assertClose(actual.parameters, expected.parameters, tolerance, 'parameters');
  assertClose(actual.average, expected.average, tolerance, 'average');
}

const EXACT = { relative: 0, absolute: 0 };
const SGD: OptimizerOptions = { kind: 'sgd', momentum: 0.9, nesterov: false, weightDecay: 0.05 };
const ADAMW: OptimizerOptions = { kind: 'adamw', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.5 };

gpuSuite('optimisers', (test) => {
  for (const size of SIZES) {
    test(`sgd with momentum and decay, ${size} parameters, ten steps`, (gpu) =>
      compare(gpu, { size, options: SGD, gradientsOf: gradientsOfSize(size), steps: 10 }));
    test(`adamw, ${size} parameters, ten steps`, (gpu) =>
      compare(gpu, { size, options: ADAMW, gradientsOf: gradientsOfSize(size), steps: 10 }));
  }

  test('sgd after Nesterov, and without momentum', async (gpu) => {
    const training = { size: 128, gradientsOf: gradientsOfSize(128), steps: 10 };
    await compare(gpu, { ...training, options: { ...SGD, nesterov: true } });
    await compare(gpu, { ...training, options: { ...SGD, momentum: 0, weightDecay: 0 } });
  });

  test('adamw with another epsilon and without decay is Adam', async (gpu) => {
    await compare(gpu, { size: 128, options: { ...ADAMW, epsilon: 0.1, weightDecay: 0 }, gradientsOf: gradientsOfSize(128), steps: 10 });
  });

  test('the defaults train', async (gpu) => {
    for (const options of Object.values(OPTIMIZER_DEFAULTS))
      await compare(gpu, { size: 192, options, gradientsOf: gradientsOfSize(192), steps: 3 });
  });

  test('gradients of a scaled loss do bit by bit what those of the loss itself do', async (gpu) => {
    const size = 16384 + 64;
    for (const options of [SGD, ADAMW, { ...SGD, clipNorm: 0.01 }]) {
      const plain = { size, options, gradientsOf: gradientsOfSize(size), steps: 3 };
      const gradientsOf = (step: number) => plain.gradientsOf(step).map((value) => 1024 * value);
      assert.equal(await train(gpu, { ...plain, options: { ...options, lossScale: 1024 }, gradientsOf }), await train(gpu, plain));
    }
  });

  test('gradients above the norm are clipped to it, those below are not', async (gpu) => {
    const size = 16384 * 3 + 64;
    const gradientsOf = (step: number) => randomArray([size], step + 1, step === 1 ? 1e-6 : 1);
    for (const options of [SGD, ADAMW]) await compare(gpu, { size, options: { ...options, clipNorm: 0.01 }, gradientsOf, steps: 3 });
  });

  test('gradients of zero have norm zero and change nothing without decay', async (gpu) => {
    const size = 128;
    const plain = { weightDecay: 0 };
    for (const options of [
      { ...SGD, ...plain },
      { ...ADAMW, ...plain },
      { ...SGD, ...plain, clipNorm: 1 },
    ] satisfies OptimizerOptions[]) {
      const { parameters, norms } = await train(gpu, { size, options, gradientsOf: () => new Float32Array(size), steps: 2 });
      assertClose(parameters, randomArray([size], 1), EXACT);
      assert.equal(norms, [0, 0]);
    }
  });

  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    test(`a gradient of ${bad} shows in the norm and changes nothing`, async (gpu) => {
      const size = 16384 + 128;
      const place = 16384 + 77;
      const gradientsOf = () => randomArray([size], 3).fill(bad, place, place + 1);
      for (const options of [SGD, { ...SGD, clipNorm: 1 }, ADAMW] satisfies OptimizerOptions[]) {
        const { parameters, norms } = await train(gpu, { size, options, gradientsOf, steps: 1 });
        assert.not(Number.isFinite(norms[0]));
        assert.equal(parameters, randomArray([size], 1));
      }
    });
  }

  test('gradients whose squares overflow count as not finite', async (gpu) => {
    const { parameters, norms } = await train(gpu, {
      size: 64,
      options: { ...SGD, clipNorm: 1 },
      gradientsOf: () => new Float32Array(64).fill(1e20),
      steps: 1,
    });
    assert.is(norms[0], Number.POSITIVE_INFINITY);
    assert.equal(parameters, randomArray([64], 1));
  });

  test('two runs are bitwise equal', async (gpu) => {
    const size = 16384 * 5 + 64;
    for (const options of [
      { ...SGD, clipNorm: 0.5 },
      { ...ADAMW, clipNorm: 0.5 },
    ] satisfies OptimizerOptions[]) {
      const training = { size, options, gradientsOf: gradientsOfSize(size), steps: 3 };
      const [first, second] = [await train(gpu, training), await train(gpu, training)];
      assert.equal(first.norms, second.norms);
      assertClose(first.parameters, second.parameters, EXACT);
      assertClose(first.average, second.average, EXACT);
    }
  });

  test('more groups than one dimension holds', async (gpu) => {
    const size = 16384 * 7 + 64;
    for (const options of [SGD, ADAMW]) {
      const training = { size, options: { ...options, clipNorm: 0.5 }, gradientsOf: gradientsOfSize(size), steps: 2 };
      const [first, second] = [await train(disguise(gpu, { groups: 3 }), training), await train(gpu, training)];
      assert.equal(first.norms, second.norms);
      assertClose(first.parameters, second.parameters, EXACT);
      assertClose(first.average, second.average, EXACT);
    }
  });

  test('buffers that do not fit are refused', async (gpu) => {
    const record = (
      sizes: { parameters?: number; gradients?: number; groups?: number; state?: number[] },
      options: OptimizerOptions = SGD,
    ) => {
      const tape = new Tape(gpu);
      const { parameters = 128, gradients = 128, groups = 2, state = [128] } = sizes;
      return recordOptimizer(
        tape,
        {
          parameters: tape.input('parameters', [parameters]),
          gradients: tape.input('gradients', [gradients]),
          groups: tape.input('groups', [groups, 2]),
          state: state.map((size, i) => tape.input(`state${i}`, [size])),
        },
        options,
      );
    };
    await rejects(() => record({ parameters: 100 }), ShapeError, 'sgd: 100 parameters', 'multiple of 64');
    await rejects(() => record({ parameters: 0 }), ShapeError, 'sgd: 0 parameters');
    await rejects(() => record({ gradients: 64 }), ShapeError, 'gradients [64]', 'parameters [128]');
    await rejects(() => record({ groups: 3 }), ShapeError, 'groups f32 [3,2] of 128');
    await rejects(() => record({ state: [128, 128] }), ShapeError, 'sgd: 2 state tensors', 'velocity');
    await rejects(() => record({}, ADAMW), ShapeError, 'adamw: 1 state tensors', 'first_moment, second_moment');
    const tape = new Tape(gpu);
    await rejects(
      () => recordEma(tape, { parameters: tape.input('parameters', [64]), average: tape.input('average', [128]) }),
      ShapeError,
      'ema: average [128]',
    );
  });
});

suite('step state', (test) => {
  test('bias corrections count updates from 1, and sgd has none', () => {
    const adam = stepState(ADAMW, 0);
    assert.ok(Math.abs(adam.biasCorrection1 - 0.1) < 1e-12 && Math.abs(adam.biasCorrection2 - 0.001) < 1e-12);
    assert.ok(Math.abs(stepState(ADAMW, 9).biasCorrection1 - (1 - 0.9 ** 10)) < 1e-12);
    const plain = stepState(SGD, 0);
    assert.equal([plain.biasCorrection1, plain.biasCorrection2], [1, 1]);
  });

  test('the decay of the average warms up to its value', () => {
    assert.is(stepState(SGD, 0, 0.999).emaDecay, 0.1);
    assert.is(stepState(SGD, 90, 0.999).emaDecay, 0.91);
    assert.is(stepState(SGD, 1e6, 0.999).emaDecay, 0.999);
    assert.is(stepState(SGD, 0, 0).emaDecay, 0);
  });
});
