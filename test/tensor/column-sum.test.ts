import type { Gpu } from '#src/gpu/gpu.js';
import { Parameters } from '#src/nn/parameters.js';
import { launchColumnSum, partialsOf } from '#src/tensor/ops/column-sum.js';
import { launchPointwise } from '#src/tensor/ops/parts.js';
import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import { columnSums } from '../reference/matmul.js';
import { assert, gpuSuite } from '../support/suite.js';
import { assertClose, randomArray } from '../support/tensors.js';
import { disguise } from './disguise.js';

interface Gradient {
  shape: number[];
  parts: number;
}

/** Launches gradients of weights as sums of given parts, and returns the gradients, with the names of the shaders that made them. */
async function sums(gpu: Gpu, wanted: readonly Gradient[]) {
  const tape = new Tape(gpu, { training: true });
  const parameters = Parameters.create();
  const weights = wanted.map(({ shape }, i) => parameters.weight(`w${i}`, shape, (values) => values.fill(0)));
  const given = wanted.map(({ shape, parts }, i) => tape.input(`parts${i}`, [parts, ...shape]));
  const loss = tape.record({
    name: 'sums',
    inputs: weights,
    output: tape.tensor('loss', [1]),
    gradient: () =>
      weights.map((weight, i) => {
        const target = tape.gradientTarget(weight);
        const partials = partialsOf(tape, wanted[i]!.parts, target);
        launchPointwise(tape, 'copy', { input: given[i]!, output: partials });
        if (partials !== target) launchColumnSum(tape, partials, target.size, target);
        return target;
      }),
  });
  tape.backward(loss);
  const program = await Program.compile(gpu, tape);
  try {
    given.forEach((tensor, i) => {
      program.write(tensor, randomArray([...tensor.shape], i));
    });
    const flat = parameters.flatGradients();
    program.write(flat, new Float32Array(flat.size).fill(Number.NaN));
    program.run();
    const gradients = await Promise.all(weights.map(async ({ gradientSlot }) => (await program.read(gradientSlot!)) as Float32Array));
    return { gradients, launched: tape.launches.map(({ shader }) => shader.name).filter((name) => name !== 'copy') };
  } finally {
    program.destroy();
    parameters.destroy(gpu);
  }
}

function compare(gradients: Float32Array[], wanted: readonly Gradient[]) {
  wanted.forEach(({ shape, parts }, i) => {
    const columns = shape.reduce((product, extent) => product * extent, 1);
    assertClose(gradients[i]!, columnSums(randomArray([parts, ...shape], i), columns), { absolute: 1e-5 }, `gradient ${i}`);
  });
}

const WANTED: Gradient[] = [
  { shape: [4], parts: 2 },
  { shape: [3, 3, 4, 8], parts: 7 },
  { shape: [68], parts: 1 }, // no sum
  { shape: [20, 44], parts: 128 }, // the most in one stage
  { shape: [8, 12], parts: 129 },
  { shape: [16], parts: 3 },
];

gpuSuite('sums of parts of gradients', (test) => {
  test('those of all parameters are one launch', async (gpu) => {
    for (const isFallback of [true, false]) {
      const { gradients, launched } = await sums(disguise(gpu, { isFallback }), WANTED);
      compare(gradients, WANTED);
      assert.equal(launched, ['column_sum', 'column_sums']); // the first stage of 129 parts goes ahead
    }
  });

  test('columns that no four divide', async (gpu) => {
    const odd = [...WANTED, { shape: [3, 7], parts: 5 }];
    compare((await sums(gpu, odd)).gradients, odd);
  });

  test('in small bindings', async (gpu) => {
    const small = disguise(gpu, { bindingBytes: 2 ** 14 });
    const many = Array.from({ length: 6 }, () => ({ shape: [512], parts: 2 }));
    const full = await sums(small, many);
    compare(full.gradients, many);
    assert.equal(full.launched, ['column_sum', 'column_sum', 'column_sums']); // parts of four fill one
    const apart = [many[0]!, { shape: [4096], parts: 1 }, many[1]!];
    const divided = await sums(small, apart);
    compare(divided.gradients, apart);
    assert.equal(divided.launched, ['column_sums', 'column_sums']);
  });
});
