import type { Gpu } from '#src/gpu/gpu.js';
import { convolution, convolutionNormRelu, dense, inside, residualBlock, type Scope } from '#src/nn/layers.js';
import { Parameters } from '#src/nn/parameters.js';
import { type OptimizerOptions, stepState } from '#src/optim/optimizer.js';
import { recordUpdate } from '#src/run/learner.js';
import { dropout, globalAveragePool, maxPool2d, relu, softmaxDivergence } from '#src/tensor/ops/index.js';
import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import type { Tensor } from '#src/tensor/tensor.js';
import { type NamedArrays, ReferenceLearner, type ReferenceOptions } from '../reference/learner.js';
import { assert, gpuSuite } from '../support/suite.js';
import { assertClose, randomArray } from '../support/tensors.js';

const FACES = [8, 12, 12, 1];
const CLASSES = 5;
const STEPS = 10;

/** The network of ReferenceLearner: each kind of layer that the models have, dropout at rate 0. */
function network(scope: Scope, faces: Tensor): Tensor {
  const { tape } = scope;
  const plain = convolution(inside(scope, 'plain'), faces, { channels: 8, kernel: 3, bias: true, activation: 'relu' });
  const stem = convolutionNormRelu(inside(scope, 'stem'), plain, { channels: 8, kernel: 3 });
  const pooled = maxPool2d(tape, stem, { kernel: 3, stride: 2, padding: 1 });
  const halved = residualBlock(inside(scope, 'block1'), pooled, { channels: 16, stride: 2 });
  const feature = dropout(tape, globalAveragePool(tape, residualBlock(inside(scope, 'block2'), halved, { channels: 16 })), 0);
  return dense(inside(scope, 'head'), relu(tape, dense(inside(scope, 'hidden'), feature, 12)), CLASSES);
}

/** Three batches take turns. */
function batchOf(step: number): { faces: Float32Array; targets: Float32Array } {
  const faces = randomArray(FACES, 100 + (step % 3), 2);
  const votes = randomArray([FACES[0]!, CLASSES], 200 + (step % 3)).map((vote) => Math.max(0, vote) ** 2);
  const targets = votes.map((vote, i) => {
    const row = votes.subarray(i - (i % CLASSES), i - (i % CLASSES) + CLASSES);
    return (vote + 0.01) / row.reduce((sum, other) => sum + other + 0.01, 0);
  });
  return { faces, targets };
}

function learningRateOf(base: number, step: number): number {
  return base * (1 - step / (2 * STEPS));
}

interface Trace {
  initial: NamedArrays;
  losses: number[];
  norms: number[];
  firstGradients: Map<string, Float32Array>;
  final: NamedArrays;
  average: NamedArrays | undefined;
}

async function engineTrace(gpu: Gpu, optimizer: OptimizerOptions, rate: number, ema: number): Promise<Trace> {
  const tape = new Tape(gpu, { training: true });
  const parameters = Parameters.create();
  const faces = tape.input('faces', FACES);
  const targets = tape.input('targets', [FACES[0]!, CLASSES]);
  const loss = softmaxDivergence(tape, network({ tape, parameters, path: '' }, faces), targets, { kind: 'cross-entropy' }).loss;
  tape.backward(loss);
  const { norm, state, average } = recordUpdate(tape, parameters, optimizer, ema > 0 ? 'new' : undefined);
  const program = await Program.compile(gpu, tape, { keep: [loss, norm] });

  const initial = initialValues(parameters);
  parameters.write(gpu, initial);
  average?.write(gpu, initial);
  const losses: number[] = [];
  const norms: number[] = [];
  const firstGradients = new Map<string, Float32Array>();
  for (let step = 0; step < STEPS; step++) {
    const batch = batchOf(step);
    program.write(faces, batch.faces);
    program.write(targets, batch.targets);
    program.write(tape.step, stepWords(optimizer, step, learningRateOf(rate, step), ema));
    program.run();
    losses.push((await program.read(loss))[0]!);
    norms.push((await program.read(norm))[0]!);
    if (step > 0) continue;
    for (const [name, { tensor }] of parameters.entries) {
      if (tensor.gradientSlot) firstGradients.set(name, (await program.read(tensor.gradientSlot)) as Float32Array);
    }
  }
  const trace = { initial, losses, norms, firstGradients, final: await parameters.read(gpu), average: await average?.read(gpu) };
  program.destroy();
  parameters.destroy(gpu);
  average?.destroy(gpu);
  for (const tensor of state.values()) tensor.storage?.destroy(gpu);
  return trace;
}

/** Weights of about the size that initialisation gives; scales, shifts and biases away from 1 and 0, so that they matter. */
function initialValues(parameters: Parameters): Map<string, { shape: readonly number[]; data: Float32Array }> {
  const values = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  let seed = 0;
  for (const [name, { tensor }] of parameters.entries) {
    const { shape } = tensor;
    const fanIn = shape.slice(0, -1).reduce((product, extent) => product * extent, 1);
    const spread = shape.length > 1 ? Math.sqrt(6 / fanIn) : 0.2;
    const centre = /scale|variance/.test(name) ? 1 : 0;
    values.set(name, { shape, data: randomArray([...shape], ++seed, spread).map((number) => centre + number) });
  }
  return values;
}

function stepWords(optimizer: OptimizerOptions, step: number, learningRate: number, ema: number): Uint32Array {
  const { biasCorrection1, biasCorrection2, emaDecay } = stepState(optimizer, step, ema);
  const words = new Uint32Array(8);
  words[1] = step;
  new Float32Array(words.buffer).set([learningRate, emaDecay, biasCorrection1, biasCorrection2], 2);
  return words;
}

function referenceTrace(initial: NamedArrays, rate: number, options: ReferenceOptions) {
  const learner = new ReferenceLearner(initial, options);
  const losses: number[] = [];
  const norms: number[] = [];
  const firstGradients = new Map<string, Float64Array>();
  for (let step = 0; step < STEPS; step++) {
    const { faces, targets } = batchOf(step);
    const { loss, norm } = learner.step(faces, FACES, targets, learningRateOf(rate, step));
    losses.push(loss);
    norms.push(norm);
    if (step === 0) for (const [name, { gradient }] of learner.parameters) firstGradients.set(name, gradient.slice());
  }
  return { losses, norms, firstGradients, learner };
}

interface Case {
  title: string;
  optimizer: OptimizerOptions;
  rate: number;
  /** 0: no averaged weights. */
  ema: number;
}

const CASES: Case[] = [
  {
    title: 'SGD with Nesterov momentum and weight decay',
    optimizer: { kind: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 0.01 },
    rate: 0.05,
    ema: 0,
  },
  {
    // Where a gradient is about 0, Adam's update has the size of the learning rate and the sign of the rounding; a larger epsilon keeps these out.
    title: 'AdamW with clipping and averaged weights',
    optimizer: { kind: 'adamw', beta1: 0.9, beta2: 0.99, epsilon: 1e-3, weightDecay: 0.1, clipNorm: 4 },
    rate: 0.005,
    ema: 0.5,
  },
];

/**
 * Largest differences allowed, and behind each the largest seen with five seeds on software Vulkan. Losses and norms are relative to their
 * values, tensors to the root mean square of their elements.
 */
const TOLERANCE = {
  loss: 1e-6, // 2.4e-7
  norm: 4e-6, // 8.1e-7
  gradient: 3e-5, // 5.9e-6
  parameter: 1e-5, // 1.9e-6
};

function assertNear(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number, what: string): void {
  const scale = Math.sqrt(Array.from(expected).reduce((sum, value) => sum + value * value, 0) / expected.length);
  assertClose(actual, expected, { relative: 0, absolute: tolerance * scale }, what);
}

gpuSuite('golden trace', (test) => {
  for (const { title, optimizer, rate, ema } of CASES) {
    test(`${STEPS} steps by ${title} are those of the float64 learner`, async (gpu) => {
      const engine = await engineTrace(gpu, optimizer, rate, ema);
      const { clipNorm, ...update } = optimizer;
      const reference = referenceTrace(engine.initial, rate, { update, clipNorm, ema });
      const { parameters, average } = reference.learner;

      assertClose(engine.losses, reference.losses, { relative: TOLERANCE.loss, absolute: 0 }, 'loss of step');
      assertClose(engine.norms, reference.norms, { relative: TOLERANCE.norm, absolute: 0 }, 'gradient norm of step');
      for (const [name, gradient] of engine.firstGradients) {
        assertNear(gradient, reference.firstGradients.get(name)!, TOLERANCE.gradient, `first gradient of ${name}`);
      }
      assert.equal([...engine.final.keys()].sort(), [...parameters.keys()].sort());
      for (const [name, { data }] of engine.final) assertNear(data, parameters.get(name)!.data, TOLERANCE.parameter, name);
      for (const [name, values] of average) assertNear(engine.average!.get(name)!.data, values, TOLERANCE.parameter, `average of ${name}`);

      // The trace has to pass through what it is there to check.
      assert.is(engine.firstGradients.size, [...parameters.keys()].filter((name) => !name.includes('running')).length);
      assert.ok(
        reference.losses.at(-1)! < 0.8 * reference.losses[0]!,
        `the loss went from ${reference.losses[0]} to ${reference.losses.at(-1)}`,
      );
      assert.is(average.size > 0, ema > 0);
      if (clipNorm) assert.ok(reference.norms.some((norm) => norm > clipNorm) && reference.norms.some((norm) => norm < clipNorm));
    });
  }
});
