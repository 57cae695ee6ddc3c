import { ShapeError } from '#src/errors.js';
import { type BatchNormOptions, batchNorm } from '#src/tensor/ops/batch-norm.js';
import { Tape } from '#src/tensor/tape.js';
import { batchMoments, batchNormGradients, batchNorm as reference } from '../reference/batch-norm.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, type Build, checkGradients, randomArray, runOp, type TestInputs } from '../support/tensors.js';
import { disguise } from './disguise.js';

interface Case {
  shape: number[];
  residual?: boolean;
  relu?: boolean;
  training?: boolean;
  mean?: number;
}

function inputsOf({ shape, residual, mean = 0.3 }: Case): TestInputs {
  const channels = shape.at(-1)!;
  const input = randomArray(shape, 1, 2).map((value, i) => value + mean * (1 + ((i % channels) % 9)));
  return {
    input: { shape, data: input, differentiable: true },
    scale: { shape: [channels], data: randomArray([channels], 2).map((value) => 1 + value / 2), differentiable: true },
    shift: { shape: [channels], data: randomArray([channels], 3), differentiable: true },
    runningMean: { shape: [channels], data: randomArray([channels], 4) },
    runningVariance: { shape: [channels], data: randomArray([channels], 5).map((value) => 1.5 + value) },
    ...(residual ? { residual: { shape, data: randomArray(shape, 6, 2), differentiable: true } } : {}),
  };
}

function operator(options: BatchNormOptions = {}): Build {
  return (tape, { input, residual, ...state }) => ({
    output: batchNorm(tape, input, state, { residual, ...options }),
    runningMean: state.runningMean,
    runningVariance: state.runningVariance,
  });
}

/** The reference's arguments. */
function caseOf(inputs: TestInputs, { relu, training }: Case) {
  const data = (name: string) => inputs[name]?.data as Float32Array;
  const moments = training ? undefined : { mean: data('runningMean'), variance: data('runningVariance') };
  return { input: data('input'), scale: data('scale'), shift: data('shift'), residual: inputs.residual && data('residual'), relu, moments };
}

const CASES: Case[] = [
  { shape: [2, 1], training: true },
  { shape: [17, 1], training: true, relu: true, residual: true },
  { shape: [2, 3, 5, 7], training: true },
  { shape: [2, 3, 5, 7], residual: true },
  { shape: [1, 4] },
  { shape: [257, 4], training: true, relu: true },
  { shape: [65, 12], training: true, relu: true, residual: true },
  { shape: [3, 5, 7, 20], training: true, residual: true },
  { shape: [2, 9, 9, 32], relu: true },
  { shape: [2, 9, 9, 32], relu: true, residual: true },
  { shape: [3, 6, 6, 516], training: true, relu: true },
  { shape: [4099, 16], training: true },
  { shape: [8209, 36], training: true, relu: true }, // more rows than the least per thread
];

gpuSuite('batch norm', (test) => {
  for (const [example, isFallback] of CASES.flatMap((example) => [[example, true] as const, [example, false] as const])) {
    const { shape, residual, relu, training = false } = example;
    test(`[${shape}]${training ? ' training' : ''}${relu ? ' relu' : ''}${residual ? ' residual' : ''}${isFallback ? ' in software' : ''}`, async (own) => {
      const gpu = disguise(own, { isFallback });
      const inputs = inputsOf(example);
      const outputGradient = randomArray(shape, 7);
      const { outputs, gradients } = await runOp(gpu, inputs, operator({ activation: relu ? 'relu' : 'none' }), {
        outputGradient,
        training,
      });
      const expected = caseOf(inputs, example);
      assertClose(outputs.output!, reference(expected), { relative: 1e-5, absolute: 1e-5 }, 'output');
      // The mask is taken from the device's output: rounding may put a value near 0 on either side.
      const masked = outputGradient.map((value, i) => (relu && outputs.output![i] <= 0 ? 0 : value));
      const wanted = batchNormGradients({ ...expected, relu: false }, masked);
      const terms = Math.sqrt(shape.slice(0, -1).reduce((product, extent) => product * extent, 1));
      assertClose(gradients.input!, wanted.input, { relative: 1e-4, absolute: 1e-5 }, 'input gradient');
      assertClose(gradients.scale!, wanted.scale, { relative: 1e-5, absolute: 2e-6 * terms }, 'scale gradient');
      assertClose(gradients.shift!, wanted.shift, { relative: 1e-5, absolute: 2e-6 * terms }, 'shift gradient');
      if (residual) assertClose(gradients.residual!, masked, { relative: 0, absolute: 0 }, 'residual gradient');
      const zeros = outputs.output!.filter((value) => value === 0).length;
      if (relu && outputs.output!.length > 100) assert.ok(zeros > 0 && zeros < outputs.output!.length, 'the activation cuts some');
    });
  }

  test('moves the running values by the momentum, with the unbiased variance', async (gpu) => {
    for (const shape of [
      [2, 5],
      [37, 8],
      [3001, 20],
    ]) {
      const inputs = inputsOf({ shape });
      const channels = shape.at(-1)!;
      const { outputs } = await runOp(gpu, inputs, operator({ momentum: 0.3 }), { training: true });
      const { mean, variance } = batchMoments(inputs.input!.data, channels);
      const rows = inputs.input!.data.length / channels;
      const blend = (name: string, values: Float64Array) => values.map((value, c) => 0.7 * inputs[name].data[c] + 0.3 * value);
      assertClose(outputs.runningMean!, blend('runningMean', mean), {}, 'running mean');
      assertClose(
        outputs.runningVariance!,
        blend(
          'runningVariance',
          variance.map((value) => (value * rows) / (rows - 1)),
        ),
        {},
        'running variance',
      );
    }
  });

  test('leaves the running values alone in evaluation', async (gpu) => {
    const inputs = inputsOf({ shape: [7, 8] });
    const { outputs } = await runOp(gpu, inputs, operator(), { training: false });
    assert.equal(outputs.runningMean, inputs.runningMean!.data);
    assert.equal(outputs.runningVariance, inputs.runningVariance!.data);
  });

  test('stays accurate with a mean far from zero', async (gpu) => {
    const shape = [4099, 8];
    const inputs = { ...inputsOf({ shape }), input: { shape, data: randomArray(shape, 1, Math.sqrt(3)).map((value) => 1000 + value) } };
    const { outputs } = await runOp(gpu, inputs, operator({ momentum: 1 }), { training: true });
    const { mean, variance } = batchMoments(inputs.input.data, 8);
    assertClose(
      outputs.runningVariance!,
      variance.map((value) => (value * 4099) / 4098),
      { relative: 1e-5 },
      'variance',
    );
    assertClose(outputs.runningMean!, mean, { relative: 2e-7 }, 'mean');
    // The mean in float32 is off by up to 3e-5, half of its last place; the output by that much, times scale.
    assertClose(outputs.output!, reference(caseOf(inputs, { shape, training: true })), { relative: 1e-5, absolute: 7e-5 }, 'output');
  });

  test('stays accurate when the first row of a chunk is an outlier', async (gpu) => {
    const shape = [512, 4];
    const data = randomArray(shape, 1).map((value, i) => (Math.floor(i / 4) % 16 === 0 ? value + 100 : value));
    const { outputs } = await runOp(gpu, { ...inputsOf({ shape }), input: { shape, data } }, operator({ momentum: 1 }), { training: true });
    assertClose(
      outputs.runningVariance!,
      batchMoments(data, 4).variance.map((value) => (value * 512) / 511),
      { relative: 1e-6 },
      'variance',
    );
  });

  test('a channel of equal values gives the shift', async (gpu) => {
    const shape = [301, 4];
    const inputs = inputsOf({ shape });
    inputs.input!.data.fill(1234.567);
    const { outputs } = await runOp(gpu, inputs, operator(), { training: true });
    assert.equal(
      outputs.output,
      Float32Array.from({ length: 301 * 4 }, (_, i) => inputs.shift!.data[i % 4]),
    );
  });

  test('NaN and infinity spoil their channel in training, and nothing else', async (gpu) => {
    const shape = [50, 8];
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const inputs = inputsOf({ shape });
      inputs.input!.data[17 * 8 + 5] = bad;
      const { outputs } = await runOp(gpu, inputs, operator({ activation: 'relu' }), { training: true });
      for (const [i, value] of outputs.output!.entries()) assert.is(Number.isNaN(value), i % 8 === 5, `output[${i}] = ${value}`);
      for (const [c, value] of outputs.runningVariance!.entries())
        assert.is(Number.isFinite(value), c !== 5, `running variance[${c}] = ${value}`);
    }
  });

  test('NaN and infinity pass through the activation in evaluation, and spoil no other element', async (gpu) => {
    const shape = [50, 8];
    const inputs = inputsOf({ shape, residual: true });
    inputs.scale!.data.fill(1);
    inputs.input!.data.set([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY], 96);
    inputs.residual!.data[200] = -Number.NaN;
    inputs.input!.data[40] = 10; // not cut by the activation
    const outputGradient = randomArray(shape, 7);
    outputGradient[40] = Number.NaN;
    const { outputs, gradients } = await runOp(gpu, inputs, operator({ activation: 'relu' }), { training: false, outputGradient });
    assertClose(outputs.output!, reference(caseOf(inputs, { shape, relu: true })), { absolute: 1e-5 });
    assert.ok(Number.isNaN(outputs.output![96]) && Number.isNaN(outputs.output![200]));
    assert.is(outputs.output![97], Number.POSITIVE_INFINITY);
    assert.is(outputs.output![98], 0);
    const masked = outputGradient.map((value, i) => (outputs.output![i] <= 0 ? 0 : value));
    assertClose(gradients.input!, batchNormGradients(caseOf(inputs, { shape }), masked).input, { absolute: 1e-5 }, 'input gradient');
    assert.is(gradients.input!.filter(Number.isNaN).length, 1);
  });

  test('gradients agree with finite differences', async (gpu) => {
    const shape = [3, 4, 4, 8];
    for (const training of [true, false]) {
      await checkGradients(gpu, inputsOf({ shape, residual: true }), (tape, inputs) => batchNormOutput(tape, inputs, 'none'), { training });
      // A step of the input moves no output across the kink of the activation where all lie far from it.
      const inputs = inputsOf({ shape, residual: true });
      inputs.residual!.data.forEach((value, i) => {
        inputs.residual!.data[i] = value > 0 ? value + 20 : value - 20;
      });
      await checkGradients(gpu, inputs, (tape, given) => batchNormOutput(tape, given, 'relu'), { training });
    }
  });

  test('two runs give the same bits', async (gpu) => {
    const inputs = inputsOf({ shape: [1200, 24], residual: true });
    const options = { outputGradient: randomArray([1200, 24], 7), training: true };
    const [first, second] = [await runOp(gpu, inputs, operator(), options), await runOp(gpu, inputs, operator(), options)];
    assert.equal(first, second);
  });

  test('dispatches of two dimensions give the same numbers', async (gpu) => {
    const inputs = inputsOf({ shape: [1201, 24], residual: true });
    const options = { outputGradient: randomArray([1201, 24], 7), training: true };
    const build = operator({ activation: 'relu' });
    assert.equal(await runOp(disguise(gpu, { groups: 3 }), inputs, build, options), await runOp(gpu, inputs, build, options));
  });

  test('a residual without gradient, and the input as its own residual', async (gpu) => {
    const shape = [33, 8];
    const given = inputsOf({ shape, residual: true });
    const outputGradient = randomArray(shape, 7);
    const frozen = { ...given, residual: { ...given.residual!, differentiable: false } };
    const build = operator({ activation: 'relu' });
    const [all, some] = [await runOp(gpu, given, build, { outputGradient }), await runOp(gpu, frozen, build, { outputGradient })];
    assert.equal(some.gradients, { input: all.gradients.input, scale: all.gradients.scale, shift: all.gradients.shift });

    const { residual: _, ...inputs } = inputsOf({ shape });
    const own = await runOp(gpu, inputs, (tape, { input, ...state }) => batchNorm(tape, input, state, { residual: input }), {
      outputGradient,
    });
    const wanted = batchNormGradients(caseOf(inputs, { shape, training: true }), outputGradient);
    assertClose(
      own.gradients.input!,
      wanted.input.map((value, i) => value + outputGradient[i]),
      { relative: 1e-4, absolute: 1e-5 },
    );
  });

  test('only scale and shift want gradients', async (gpu) => {
    const inputs = inputsOf({ shape: [33, 8] });
    inputs.input!.differentiable = false;
    const { gradients } = await runOp(gpu, inputs, operator(), { outputGradient: randomArray([33, 8], 7) });
    assert.equal(Object.keys(gradients), ['scale', 'shift']);
  });

  test('refuses shapes that do not fit', async (gpu) => {
    const record = (shape: number[], channels: number, residualShape?: number[], training = true) => {
      const tape = new Tape(gpu, { training });
      const vector = () => tape.tensor('vector', [channels]);
      const state = { scale: vector(), shift: vector(), runningMean: vector(), runningVariance: vector() };
      return batchNorm(tape, tape.tensor('input', shape), state, { residual: residualShape && tape.tensor('residual', residualShape) });
    };
    await rejects(() => record([4, 3, 3, 8], 4), ShapeError, 'batchNorm', 'scale [4]', '[4,3,3,8]', '[8]');
    await rejects(() => record([8], 8), ShapeError, 'batchNorm of [8]');
    await rejects(() => record([4, 8], 8, [4, 4]), ShapeError, 'residual [4,4]', '[4,8]');
    await rejects(() => record([1, 1, 1, 8], 8), ShapeError, 'training', 'larger batch');
    assert.equal(record([1, 1, 1, 8], 8, undefined, false).shape, [1, 1, 1, 8]);
  });
});

function batchNormOutput(tape: Tape, inputs: Parameters<Build>[1], activation: 'none' | 'relu') {
  const { input, residual, ...state } = inputs;
  return batchNorm(tape, input, state, { residual, activation });
}
