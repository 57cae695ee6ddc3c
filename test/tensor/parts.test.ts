import { DeviceError } from '#src/errors.js';
import type { Gpu } from '#src/gpu/gpu.js';
import { models } from '#src/nn/models.js';
import { Parameters } from '#src/nn/parameters.js';
import { normal } from '#src/random.js';
import {
  averagePool2d,
  batchNorm,
  conv2d,
  dropout,
  layerNorm,
  matmul,
  maxPool2d,
  relu,
  scale,
  softmaxDivergence,
} from '#src/tensor/ops/index.js';
import { partsOf } from '#src/tensor/ops/parts.js';
import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import type { Tensor } from '#src/tensor/tensor.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, type Build, randomArray, runOp, type TestInputs } from '../support/tensors.js';
import { disguise } from './disguise.js';

const SHAPE = [7, 8, 9, 8]; // an image takes 2304 bytes: nine alignments
const images = (seed: number, shape = SHAPE) => ({ shape, data: randomArray(shape, seed), differentiable: true });

/** Operators over images, and the gradients that are sums over them: divided, these are added in another order. */
const operators: Record<string, { inputs: TestInputs; build: Build; sums: string[]; output?: number[] }> = {
  conv2d: {
    inputs: { x: images(1), weight: images(2, [3, 3, 8, 12]), bias: images(3, [12]), residual: images(4, [7, 8, 9, 12]) },
    build: (tape, { x, weight, bias, residual }) => conv2d(tape, x, weight, { padding: 1, bias, residual, activation: 'relu' }),
    sums: ['weight', 'bias'],
    output: [7, 8, 9, 12],
  },
  'conv2d in groups': {
    inputs: { x: images(1), weight: images(2, [3, 3, 1, 8]) },
    build: (tape, { x, weight }) => conv2d(tape, x, weight, { padding: 1, groups: 8 }),
    sums: ['weight'],
  },
  batchNorm: {
    inputs: { x: images(1), scale: images(2, [8]), shift: images(3, [8]), residual: images(4) },
    build: (tape, { x, scale, shift, residual }) => {
      const running = (label: string) => tape.constant(label, [8], new Float32Array(8).fill(0.5));
      const state = { scale, shift, runningMean: running('mean'), runningVariance: running('variance') };
      return batchNorm(tape, x, state, { activation: 'relu', residual });
    },
    sums: [],
  },
  maxPool2d: {
    inputs: { x: images(1) },
    build: (tape, { x }) => maxPool2d(tape, x, { kernel: 3, stride: 1, padding: 1 }),
    sums: [],
  },
  averagePool2d: {
    inputs: { x: images(1) },
    build: (tape, { x }) => averagePool2d(tape, x, { kernel: 3, stride: 1, padding: 1 }),
    sums: [],
  },
  relu: { inputs: { x: images(1) }, build: (tape, { x }) => relu(tape, x), sums: [] },
  scale: { inputs: { x: images(1) }, build: (tape, { x }) => scale(tape, x, 3), sums: [] },
  layerNorm: {
    inputs: { x: images(1), scale: images(2, [8]), shift: images(3, [8]) },
    build: (tape, { x, scale, shift }) => layerNorm(tape, x, { scale, shift }),
    sums: [],
  },
  'matmul by rows': {
    inputs: { x: images(1), weight: images(2, [8, 8]), bias: images(3, [8]) },
    build: (tape, { x, weight, bias }) => matmul(tape, x, weight, { bias }),
    sums: ['weight'],
  },
  'matmul of many': {
    inputs: { x: images(1, [7, 8, 8, 9]), y: images(2, [7, 8, 8, 9]) },
    build: (tape, { x, y }) => matmul(tape, x, y, { transposeB: true }),
    sums: [],
    output: [7, 8, 8, 8],
  },
  dropout: { inputs: { x: images(1) }, build: (tape, { x }) => dropout(tape, x, 0.3), sums: [] },
  'sum of two gradients': {
    inputs: { x: images(1) },
    build: (tape, { x }) => conv2d(tape, x, tape.constant('w', [1, 1, 8, 8], randomArray([64], 2)), { residual: scale(tape, x, 2) }),
    sums: [],
  },
};

gpuSuite('parts', (test) => {
  test('ranges cover all, begin at alignments, fit a binding and are as few as can be', async (gpu) => {
    for (const limit of [4096, 10_000, 65_536]) {
      const tape = new Tape(disguise(gpu, { bindingBytes: limit }));
      for (const count of [1, 2, 17, 256, 1000, 40_961]) {
        for (const unitBytes of [[4], [16, 4], [32, 96], [256], [2304, 576], [36, 1028]]) {
          const parts = partsOf(tape, count, unitBytes);
          let end = 0;
          for (const part of parts) {
            assert.is(part.first, end);
            end += part.count;
            for (const bytes of unitBytes) {
              assert.is((part.first * bytes) % 256, 0);
              if (parts.length > 1) assert.ok(part.count > 0 && part.count * bytes <= limit);
            }
          }
          assert.is(end, count);
          const whole = count * Math.max(...unitBytes);
          if (whole <= limit) assert.is(parts.length, 1);
          else if (Math.max(...unitBytes) * 64 <= limit) assert.ok(parts.length > 1 && parts.length <= Math.ceil((2 * whole) / limit));
        }
      }
    }
  });

  for (const [name, { inputs, build, sums, output = SHAPE }] of Object.entries(operators)) {
    test(`${name} over several bindings`, async (gpu) => {
      const options = { outputGradient: randomArray(output, 9) };
      for (const isFallback of [true, false]) {
        const whole = await runOp(disguise(gpu, { isFallback }), inputs, build, options);
        const divided = await runOp(disguise(gpu, { isFallback, bindingBytes: 9216 }), inputs, build, options); // each binding is checked
        assert.equal(divided.outputs, whole.outputs);
        for (const [input, gradient] of Object.entries(whole.gradients)) {
          if (sums.includes(input)) assertClose(divided.gradients[input]!, gradient, { relative: 1e-5, absolute: 2e-5 }, input);
          else assert.equal(divided.gradients[input], gradient, `gradient of ${input}`);
        }
      }
    });
  }

  test('an image beyond the binding is refused', async (gpu) => {
    const { inputs, build } = operators.maxPool2d!;
    await rejects(() => runOp(disguise(gpu, { bindingBytes: 2048 }), inputs, build), DeviceError, '2048 bytes a binding', '--batch');
  });
});

const record = (gpu: Gpu, model: keyof typeof models, batch: number, width: number) => {
  const tape = new Tape(gpu, { training: true });
  const parameters = Parameters.create();
  const faces = tape.input('faces', [batch, 48, 48, 1]);
  const logits = models[model]({ tape, parameters, path: '' }, faces, { classes: 8, width, dropout: 0.5 });
  const targets = tape.constant('targets', [batch, 8], new Float32Array(8 * batch).fill(1 / 8));
  const { loss } = softmaxDivergence(tape, logits, targets, { kind: 'cross-entropy' });
  tape.backward(loss);
  return { tape, parameters, faces, loss };
};

gpuSuite('parts of the models', (test) => {
  for (const model of ['vgg13', 'resnet18', 'vit'] as const) {
    test(`a step of ${model} on 1024 faces binds at most 128 MiB`, async (gpu) => {
      const { tape } = record(disguise(gpu, { isFallback: true, bindingBytes: 2 ** 27 }), model, 1024, 1);
      const largest = Math.max(...tape.launches.flatMap(({ tensors }) => Object.values(tensors).map(({ bytes }) => bytes)));
      assert.ok(largest <= 2 ** 27 && largest > 2 ** 26, `${largest} bytes`);
    });
  }

  for (const model of ['small', 'vgg13', 'resnet18', 'vit'] as const) {
    test(`gradients of ${model} over several bindings`, async (gpu) => {
      const gradientsOf = async (bindingBytes: number) => {
        // As a GPU, which has one form of convolution for all numbers of images.
        const { tape, parameters, faces, loss } = record(disguise(gpu, { isFallback: false, bindingBytes }), model, 16, 0.25);
        const program = await Program.compile(gpu, tape, { keep: [loss] });
        parameters.initialise(gpu, (stream, index) => normal(1, stream, index));
        program.write(faces, randomArray([...faces.shape], 3));
        program.run();
        const read = async (tensor: Tensor) => (await program.read(tensor)) as Float32Array;
        const values: [string, Float32Array][] = [['loss', await read(loss)]];
        for (const [name, { tensor }] of parameters.entries) if (tensor.gradientSlot) values.push([name, await read(tensor.gradientSlot)]);
        program.destroy();
        parameters.destroy(gpu);
        return { values: new Map(values), launches: tape.launches.length };
      };
      const whole = await gradientsOf(2 ** 27);
      const divided = await gradientsOf(2 ** 19);
      assert.ok(divided.launches > whole.launches);
      assert.equal(divided.values.get('loss'), whole.values.get('loss'));
      for (const [name, gradient] of whole.values) {
        const absolute = 1e-5 * gradient.reduce((most, value) => Math.max(most, Math.abs(value)), 0) + 1e-8;
        assertClose(divided.values.get(name)!, gradient, { relative: 1e-4, absolute }, name);
      }
    });
  }
});
