import { ShapeError } from '#src/errors.js';
import { add, scale } from '#src/tensor/ops/arithmetic.js';
import { type DivergenceOptions, softmaxDivergence } from '#src/tensor/ops/softmax-divergence.js';
import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import type { Tensor } from '#src/tensor/tensor.js';
import { type DivergenceCase, gradients as gradientsOf, loss as lossOf, perFace as perFaceOf } from '../reference/softmax-divergence.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, type Build, checkGradients, randomArray, runOp } from '../support/tensors.js';
import { disguise } from './disguise.js';

type Kind = DivergenceOptions['kind'];
const kinds: Kind[] = ['kl', 'cross-entropy', 'multi-target'];

/** Rows of positive numbers: distributions, but every third row sums to 2; or for multi-target the largest number 1. */
function targets(kind: Kind, faces: number, classes: number): Float32Array {
  const rows = randomArray([faces, classes], 2).map((x) => x + 1.1);
  for (let face = 0; face < faces; face++) {
    const row = rows.subarray(face * classes, (face + 1) * classes);
    const whole = kind === 'multi-target' ? Math.max(...row) : row.reduce((sum, t) => sum + t, 0) / (face % 3 === 2 ? 2 : 1);
    row.forEach((t, c) => {
      row[c] = t / whole;
    });
  }
  return rows;
}

function inputsOf(kind: Kind, faces: number, classes: number) {
  return {
    logits: { shape: [faces, classes], data: randomArray([faces, classes], 1, 4), differentiable: true },
    target: { shape: [faces, classes], data: targets(kind, faces, classes), differentiable: true },
    weight: { shape: [faces], data: randomArray([faces], 3).map((x) => 1 + x / 2), differentiable: true },
  };
}

function caseOf(inputs: ReturnType<typeof inputsOf>, kind: Kind, temperature = 1): DivergenceCase {
  const { logits, target, weight } = inputs;
  return { logits: logits.data, target: target.data, weight: weight.data, classes: logits.shape[1], kind, temperature };
}

function build(kind: Kind, temperature?: number): Build {
  return (tape, { logits, target, weight }) => {
    const { loss, perFace } = softmaxDivergence(tape, logits, target, { kind, weight, temperature });
    return { output: loss, perFace };
  };
}

gpuSuite('softmax divergence', (test) => {
  for (const kind of kinds) {
    for (const [faces, classes, temperature] of [
      [1, 1, 1],
      [1, 8, 1],
      [3, 2, 1],
      [7, 8, 4],
      [65, 7, 0.5],
      [257, 11, 2],
      [5003, 8, 1],
    ]) {
      test(`${kind} of [${faces}, ${classes}] at temperature ${temperature}`, async (gpu) => {
        const inputs = inputsOf(kind, faces, classes);
        const given = caseOf(inputs, kind, temperature);
        const { outputs, gradients } = await runOp(gpu, inputs, build(kind, temperature), { outputGradient: Float32Array.of(-3) });
        const loose = temperature ** 2 * 4e-6;
        assertClose(outputs.perFace, perFaceOf(given), { absolute: loose }, 'loss of a face');
        assertClose(outputs.output, [lossOf(given)], { absolute: loose }, 'loss');
        const wanted = gradientsOf(given);
        for (const name of ['logits', 'target', 'weight'] as const) {
          const tolerance = { relative: 1e-5, absolute: (3 * loose) / faces };
          assertClose(
            gradients[name],
            wanted[name].map((gradient) => -3 * gradient),
            tolerance,
            `gradient of ${name}`,
          );
        }
      });
    }

    test(`gradients of ${kind} agree with finite differences`, async (gpu) => {
      const inputs = inputsOf(kind, 5, 4);
      const loss: Build = (tape, given) => (build(kind, 2)(tape, given) as { output: Tensor }).output;
      await checkGradients(gpu, inputs, loss);
    });

    test(`${kind}: the loss as root hands out the saved gradients, with no further launch`, async (gpu) => {
      const inputs = inputsOf(kind, 9, 8);
      inputs.target.differentiable = false;
      const tape = new Tape(gpu);
      const tensors = Object.fromEntries(
        Object.entries(inputs).map(([name, { shape, differentiable }]) => [name, tape.input(name, shape, 'f32', differentiable)]),
      );
      const { loss } = softmaxDivergence(tape, tensors.logits, tensors.target, { kind, weight: tensors.weight });
      const forward = tape.launches.length;
      tape.backward(loss);
      assert.is(tape.launches.length, forward);
      const kept = { logits: tape.gradient(tensors.logits)!, weight: tape.gradient(tensors.weight)! };
      const program = await Program.compile(gpu, tape, { keep: Object.values(kept) });
      for (const [name, { data }] of Object.entries(inputs)) program.write(tensors[name], data);
      program.run();
      const wanted = gradientsOf(caseOf(inputs, kind));
      assertClose(await program.read(kept.logits), wanted.logits);
      assertClose(await program.read(kept.weight), wanted.weight);
      program.destroy();
    });

    test(`${kind}: same bits from run to run and over two dimensions of dispatch`, async (gpu) => {
      const inputs = inputsOf(kind, 700, 8);
      const options = { outputGradient: Float32Array.of(1.5) };
      const first = await runOp(gpu, inputs, build(kind), options);
      assert.equal(await runOp(gpu, inputs, build(kind), options), first);
      assert.equal(await runOp(disguise(gpu, { groups: 3 }), inputs, build(kind), options), first);
    });

    test(`${kind}: NaN and infinity spoil their own face, and the loss`, async (gpu) => {
      for (const name of ['logits', 'target'] as const) {
        for (const at of [0, 7]) {
          const inputs = inputsOf(kind, 4, 8);
          inputs[name].data[2 * 8 + at] = Number.NaN;
          const { outputs, gradients } = await runOp(gpu, inputs, build(kind), { outputGradient: Float32Array.of(1) });
          assert.equal([...outputs.perFace].map(Number.isNaN), [false, false, true, false], `${name}[${at}]`);
          assert.ok(Number.isNaN(outputs.output[0]));
          assert.ok(gradients.logits.slice(16, 24).some(Number.isNaN) && !gradients.logits.slice(24).some(Number.isNaN));
        }
      }
      const inputs = inputsOf(kind, 2, 8);
      inputs.logits.data[3] = Number.POSITIVE_INFINITY;
      const { outputs } = await runOp(gpu, inputs, build(kind));
      assert.equal([...outputs.perFace].map(Number.isNaN), [true, false]);
    });

    test(`${kind}: a class that is ruled out costs nothing where the target has none of it`, async (gpu) => {
      const inputs = inputsOf(kind, 1, 3);
      inputs.logits.data.set([1, Number.NEGATIVE_INFINITY, 2]);
      inputs.target.data.set([0.25, 0, 0.75]);
      const { outputs, gradients } = await runOp(gpu, inputs, build(kind), { outputGradient: Float32Array.of(1) });
      const given = caseOf(inputs, kind);
      assertClose(outputs.perFace, perFaceOf(given));
      assertClose(gradients.logits, gradientsOf(given).logits);
      inputs.target.data.set([0, 1, 0]);
      assertClose((await runOp(gpu, inputs, build(kind))).outputs.perFace, [Number.POSITIVE_INFINITY]);
    });
  }

  test('more than 65,535 workgroups', async (gpu) => {
    const faces = 65_536 * 64 + 3;
    const logits = { shape: [faces, 1], data: new Float32Array(faces) };
    const target = { shape: [faces, 1], data: Float32Array.from({ length: faces }, (_, i) => 1 + (i % 1009)) };
    const { outputs } = await runOp(
      gpu,
      { logits, target },
      (tape, tensors) => softmaxDivergence(tape, tensors.logits, tensors.target, { kind: 'kl' }).perFace,
    );
    const table = Float64Array.from({ length: 1009 }, (_, i) => (1 + i) * Math.log(1 + i));
    assertClose(
      outputs.output,
      target.data.map((t) => table[t - 1]),
    );
  });

  test('without a weight every face counts alike', async (gpu) => {
    const { logits, target } = inputsOf('kl', 6, 8);
    const weight = { shape: [6], data: new Float32Array(6).fill(1), differentiable: false };
    const { outputs } = await runOp(
      gpu,
      { logits, target },
      (tape, tensors) => softmaxDivergence(tape, tensors.logits, tensors.target, { kind: 'kl' }).loss,
    );
    assertClose(outputs.output, [
      lossOf({ logits: logits.data, target: target.data, weight: weight.data, classes: 8, kind: 'kl', temperature: 1 }),
    ]);
  });

  test('0 log 0 = 0, and a target equal to the prediction has no divergence', async (gpu) => {
    const logits = { shape: [2, 4], data: Float32Array.of(0, 0, 0, 0, 1, 2, 3, 4), differentiable: true };
    const p = [1, 2, 3, 4].map((z) => Math.exp(z - 4) / [1, 2, 3, 4].reduce((sum, x) => sum + Math.exp(x - 4), 0));
    // A share below the smallest normal number counts as none.
    const target = { shape: [2, 4], data: Float32Array.of(1, 0, -0, 1e-40, ...p) };
    const { outputs, gradients } = await runOp(
      gpu,
      { logits, target },
      (tape, tensors) => {
        const { loss, perFace } = softmaxDivergence(tape, tensors.logits, tensors.target, { kind: 'kl' });
        return { output: loss, perFace };
      },
      { outputGradient: Float32Array.of(1) },
    );
    assertClose(outputs.perFace, [Math.log(4), 0]);
    assertClose(gradients.logits, [-0.375, 0.125, 0.125, 0.125, 0, 0, 0, 0]);
  });

  test('a face without any target class: infinite for multi-target, nothing for the others', async (gpu) => {
    for (const kind of kinds) {
      const inputs = inputsOf(kind, 2, 3);
      inputs.target.data.fill(0, 0, 3);
      const { outputs } = await runOp(gpu, inputs, build(kind));
      assert.is(outputs.perFace[0], kind === 'multi-target' ? Number.POSITIVE_INFINITY : 0);
      assert.ok(Number.isFinite(outputs.perFace[1]));
    }
  });

  test('a face of weight 0 has no gradient', async (gpu) => {
    const inputs = inputsOf('kl', 3, 8);
    inputs.weight.data[1] = 0;
    const { gradients } = await runOp(gpu, inputs, build('kl'), { outputGradient: Float32Array.of(1) });
    assert.ok(gradients.logits.slice(8, 16).every((gradient) => gradient === 0));
    assert.ok(gradients.weight[1] > 0);
  });

  test('two losses over the same logits add up', async (gpu) => {
    const inputs = inputsOf('kl', 5, 8);
    const { gradients } = await runOp(
      gpu,
      inputs,
      (tape, { logits, target, weight }) => {
        const plain = softmaxDivergence(tape, logits, target, { kind: 'kl', weight }).loss;
        const soft = softmaxDivergence(tape, logits, target, { kind: 'cross-entropy', weight, temperature: 2 }).loss;
        return add(tape, plain, scale(tape, soft, 0.5));
      },
      { outputGradient: Float32Array.of(1) },
    );
    const plain = gradientsOf(caseOf(inputs, 'kl')).logits;
    const soft = gradientsOf(caseOf(inputs, 'cross-entropy', 2)).logits;
    assertClose(
      gradients.logits,
      plain.map((gradient, i) => gradient + 0.5 * soft[i]),
    );
  });

  test('refuses shapes that do not fit', async (gpu) => {
    const record = (logits: number[], target: number[], weight?: number[], temperature = 1) => {
      const tape = new Tape(gpu);
      const given = weight && { weight: tape.tensor('weight', weight) };
      return softmaxDivergence(tape, tape.tensor('logits', logits), tape.tensor('target', target), { kind: 'kl', temperature, ...given });
    };
    await rejects(() => record([4, 8], [4, 7]), ShapeError, 'logits [4,8], target [4,7], weight [4]', '[B, C]');
    await rejects(() => record([4, 8], [4, 8], [5]), ShapeError, 'weight [5]');
    await rejects(() => record([8], [8]), ShapeError, 'logits [8]');
    await rejects(() => record([4, 8], [4, 8], [4], 0), ShapeError, 'temperature 0');
  });
});
