import type { Gpu } from '#src/gpu/gpu.js';
import { type ModelName, models } from '#src/nn/models.js';
import { Parameters } from '#src/nn/parameters.js';
import { OPTIMIZER_DEFAULTS, type OptimizerOptions, stepState } from '#src/optim/optimizer.js';
import { normal } from '#src/random.js';
import { recordUpdate } from '#src/run/learner.js';
import { batchNorm, conv2d, globalAveragePool, matmul, maxPool2d, softmaxDivergence } from '#src/tensor/ops/index.js';
import { Program, Readback } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import type { Tensor } from '#src/tensor/tensor.js';

/**
 * `m1`, the step on which engines are compared: five 3×3 convolutions of 32, 32, 64, 64 and 128 channels with batch norm and ReLU, 2×2 max pooling
 * after the second and fourth, global average pooling and a dense layer; 64 grey faces of 48×48, Adam.
 */
export const BENCH_MODELS = ['m1', 'small', 'vgg13', 'resnet18'] as const;
export type BenchModel = (typeof BENCH_MODELS)[number];

const CLASSES = 8;
const SIZE = 48;

/** A training step on one made-up batch, compiled. */
export interface BenchStep {
  program: Program;
  batch: number;
  /** Multiply-adds of convolutions and products, counted twice. */
  flops: number;
  parameters: number;
  /** Queues one step; its loss arrives with the promise. */
  run(): Promise<number>;
  destroy(): void;
}

export async function benchStep(gpu: Gpu, model: BenchModel, batch: number): Promise<BenchStep> {
  const tape = new Tape(gpu, { training: true });
  const parameters = Parameters.create();
  const faces = tape.input('faces', [batch, SIZE, SIZE, 1]);
  const targets = tape.input('targets', [batch, CLASSES]);
  const logits =
    model === 'm1'
      ? m1(tape, parameters, faces)
      : models[model as ModelName]({ tape, parameters, path: '' }, faces, {
          classes: CLASSES,
          width: 1,
          dropout: model === 'vgg13' ? 0.5 : 0,
        });
  const { loss } = softmaxDivergence(tape, logits, targets, { kind: 'cross-entropy' });
  tape.backward(loss);
  const optimizer: OptimizerOptions = { ...OPTIMIZER_DEFAULTS.adamw, epsilon: 1e-7, weightDecay: 0 };
  const { state } = recordUpdate(tape, parameters, optimizer, false);
  const program = await Program.compile(gpu, tape, { keep: [loss] });
  parameters.initialise(gpu, (stream, index) => normal(1, stream, index));
  program.write(faces, uniformNumbers(faces.size, 1, 3));
  program.write(targets, madeUpTargets(batch));
  const readback = new Readback(gpu, [loss], 3);
  const words = new ArrayBuffer(32);
  const view = new DataView(words);
  let step = 0;
  return {
    program,
    batch,
    flops: tape.launches.reduce((sum, launch) => sum + launch.flops, 0),
    parameters: parameters.count(),
    async run() {
      const { biasCorrection1, biasCorrection2 } = stepState(optimizer, step);
      view.setUint32(4, step++, true);
      view.setFloat32(8, 1e-3, true);
      view.setFloat32(16, biasCorrection1, true);
      view.setFloat32(20, biasCorrection2, true);
      program.write(tape.step, words);
      return (await program.run(readback)!)[0][0];
    },
    destroy() {
      program.destroy();
      readback.destroy();
      parameters.destroy(gpu);
      for (const tensor of state.values()) tensor.storage?.destroy(gpu);
    },
  };
}

/** The first values depend on the order of declaration alone, so that other engines can begin with the same ones (peers/). */
function m1(tape: Tape, parameters: Parameters, faces: Tensor): Tensor {
  let seed = 8;
  const layer = (x: Tensor, name: string, channels: number) => {
    const input = x.shape[3];
    const own = seed;
    seed += 3; // weight, scale, shift
    const weight = parameters.weight(`${name}.weight`, [3, 3, input, channels], (values) => {
      const outerFirst = uniformNumbers(values.length, Math.sqrt(6 / (9 * input)), own); // [out, in, 3, 3]
      for (let tap = 0; tap < 9; tap++) {
        for (let i = 0; i < input; i++)
          for (let o = 0; o < channels; o++) values[(tap * input + i) * channels + o] = outerFirst[(o * input + i) * 9 + tap];
      }
    });
    const fill = (kind: 'weight' | 'buffer', part: string, value: number) =>
      parameters[kind](`${name}.${part}`, [channels], (values) => values.fill(value));
    const norm = {
      scale: fill('weight', 'scale', 1),
      shift: fill('weight', 'shift', 0),
      runningMean: fill('buffer', 'mean', 0),
      runningVariance: fill('buffer', 'variance', 1),
    };
    return batchNorm(tape, conv2d(tape, x, weight, { padding: 1 }), norm, { activation: 'relu' });
  };
  let x = layer(layer(faces, 'c1', 32), 'c2', 32);
  x = maxPool2d(tape, x, { kernel: 2 });
  x = layer(layer(x, 'c3', 64), 'c4', 64);
  x = maxPool2d(tape, x, { kernel: 2 });
  x = globalAveragePool(tape, layer(x, 'c5', 128));
  const weight = parameters.weight('head.weight', [128, CLASSES], (values) =>
    values.set(uniformNumbers(values.length, Math.sqrt(3 / 128), seed)),
  );
  const bias = parameters.weight('head.bias', [CLASSES], (values) => values.fill(0));
  return matmul(tape, x, weight, { bias });
}

/** `count` numbers uniform in [-scale, scale): mulberry32, which any engine can repeat. */
function uniformNumbers(count: number, scale: number, seed: number): Float32Array {
  const next = mulberry32(seed);
  return Float32Array.from({ length: count }, () => (2 * next() - 1) * scale);
}

function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let word = Math.imul(state ^ (state >>> 15), 1 | state);
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word;
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

function madeUpTargets(batch: number): Float32Array {
  const next = mulberry32(5);
  const targets = new Float32Array(batch * CLASSES);
  for (let face = 0; face < batch; face++) {
    const row = Array.from({ length: CLASSES }, () => Math.exp(3 * next()));
    const sum = row.reduce((a, b) => a + b);
    targets.set(
      row.map((value) => value / sum),
      face * CLASSES,
    );
  }
  return targets;
}
