import { ShapeError } from '#src/errors.js';
import { add, divide, multiply, scale, subtract } from '#src/tensor/ops/arithmetic.js';
import { Tape } from '#src/tensor/tape.js';
import { operandGradient, operate } from '../reference/arithmetic.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, type Build, checkGradients, randomArray, runOp } from '../support/tensors.js';
import { disguise } from './disguise.js';

const operators = { add, subtract, multiply, divide };
type Name = keyof typeof operators;

const values: Record<Name, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
};
const derivatives: Record<Name, { left: (a: number, b: number) => number; right: (a: number, b: number) => number }> = {
  add: { left: () => 1, right: () => 1 },
  subtract: { left: () => 1, right: () => -1 },
  multiply: { left: (_, b) => b, right: (a) => a },
  divide: { left: (_, b) => 1 / b, right: (a, b) => -a / b ** 2 },
};

/** Numbers in [−1, 1] on the left, of either sign and at least 0.5 away from 0 on the right, so that quotients stay tame. */
function operands(left: number[], right: number[]) {
  return {
    left: { shape: left, data: randomArray(left, 1), differentiable: true },
    right: { shape: right, data: randomArray(right, 2).map((x) => x + 0.5 * (Math.sign(x) || 1)), differentiable: true },
  };
}

const build =
  (name: Name): Build =>
  (tape, { left, right }) =>
    operators[name](tape, left, right);

gpuSuite('arithmetic', (test) => {
  const shapes: [number[], number[], number[]][] = [
    [[1], [1], [1]],
    [[7], [7], [7]],
    [[2051], [2051], [2051]],
    [[5, 3], [3], [5, 3]],
    [[3], [5, 3], [5, 3]],
    [
      [5, 1],
      [1, 67],
      [5, 67],
    ],
    [
      [4, 130, 3],
      [130, 1],
      [4, 130, 3],
    ],
    [
      [2, 3, 5, 7],
      [3, 1, 7],
      [2, 3, 5, 7],
    ],
    [
      [2, 1, 5, 1],
      [3, 1, 7],
      [2, 3, 5, 7],
    ],
    [[1, 1, 6], [6], [1, 1, 6]],
    [[], [4], [4]],
    [[9, 100], [1], [9, 100]],
    [
      [2, 3, 1, 1, 4, 5],
      [2, 3, 7, 1, 4, 5],
      [2, 3, 7, 1, 4, 5],
    ],
  ];
  for (const name of Object.keys(operators) as Name[]) {
    for (const [left, right, output] of shapes) {
      test(`${name} of [${left}] and [${right}]`, async (gpu) => {
        const inputs = operands(left, right);
        const outputGradient = randomArray(output, 3);
        const { outputs, gradients } = await runOp(gpu, inputs, build(name), { outputGradient });
        assertClose(outputs.output, operate(inputs.left, inputs.right, values[name]), {}, 'output');
        for (const side of ['left', 'right'] as const) {
          const wanted = operandGradient(inputs.left, inputs.right, side, derivatives[name][side], outputGradient);
          assertClose(gradients[side], wanted, { relative: 1e-5, absolute: 5e-6 }, `gradient of ${side}`);
        }
      });
    }

    test(`gradients of ${name} agree with finite differences`, async (gpu) => {
      await checkGradients(gpu, operands([4, 5], [5]), build(name));
      await checkGradients(gpu, operands([6], [6]), build(name));
    });

    test(`${name}: same bits from run to run and over two dimensions of dispatch`, async (gpu) => {
      for (const right of [[70, 130], [130]]) {
        const inputs = operands([70, 130], right);
        const options = { outputGradient: randomArray([70, 130], 4) };
        const first = await runOp(gpu, inputs, build(name), options);
        assert.equal(await runOp(gpu, inputs, build(name), options), first);
        assert.equal(await runOp(disguise(gpu, { groups: 3 }), inputs, build(name), options), first);
      }
    });

    test(`${name}: NaN and infinity as in IEEE 754`, async (gpu) => {
      const special = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 1];
      const left = { shape: [5, 1], data: Float32Array.from(special) };
      const right = { shape: [5], data: Float32Array.from(special) };
      const { outputs } = await runOp(gpu, { left, right }, build(name));
      assertClose(outputs.output, operate(left, right, values[name]));
    });
  }

  test('the same tensor twice', async (gpu) => {
    const x = { shape: [11], data: randomArray([11], 1), differentiable: true };
    const outputGradient = randomArray([11], 2);
    const doubled = await runOp(gpu, { x }, (tape, { x }) => add(tape, x, x), { outputGradient });
    assertClose(
      doubled.outputs.output,
      x.data.map((value) => 2 * value),
    );
    assertClose(
      doubled.gradients.x,
      outputGradient.map((gradient) => 2 * gradient),
    );
    const squared = await runOp(gpu, { x }, (tape, { x }) => multiply(tape, x, x), { outputGradient });
    assertClose(
      squared.gradients.x,
      outputGradient.map((gradient, i) => 2 * gradient * x.data[i]),
    );
  });

  test('only one operand wants a gradient', async (gpu) => {
    for (const name of Object.keys(operators) as Name[]) {
      const inputs = operands([3, 4], [4]);
      inputs.left.differentiable = false;
      const { gradients } = await runOp(gpu, inputs, build(name), { outputGradient: randomArray([3, 4], 3) });
      assert.equal(Object.keys(gradients), ['right']);
    }
  });

  test('scale', async (gpu) => {
    for (const size of [1, 6, 2049, 9001]) {
      const x = { shape: [size], data: randomArray([size], 1), differentiable: true };
      const outputGradient = randomArray([size], 2);
      const { outputs, gradients } = await runOp(gpu, { x }, (tape, { x }) => scale(tape, x, -2.5), { outputGradient });
      assert.equal(
        outputs.output,
        x.data.map((value) => -2.5 * value),
      );
      assert.equal(
        gradients.x,
        outputGradient.map((value) => -2.5 * value),
      );
    }
    const special = Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, 3);
    const { outputs } = await runOp(gpu, { x: { shape: [3], data: special } }, (tape, { x }) => scale(tape, x, 0));
    assertClose(outputs.output, [Number.NaN, Number.NaN, 0]);
    await checkGradients(gpu, { x: { shape: [5], data: randomArray([5], 1), differentiable: true } }, (tape, { x }) => scale(tape, x, 3));
  });

  test('elements beyond the last are written as zeros', async (gpu) => {
    const ones = new Float32Array(8).fill(1);
    const { outputs } = await runOp(gpu, { x: { shape: [8], data: ones } }, (tape, { x }) => {
      const output = tape.tensor('output', [8]);
      const launch = (shader: string, tensors: object, params: object = {}) =>
        tape.launch(shader, { params: { size: 5, ...params }, tensors: { ...tensors, output }, groups: 1 });
      launch('scale', { input: x }, { factor: 7 });
      return output;
    });
    assert.equal([...outputs.output], [7, 7, 7, 7, 7, 0, 0, 0]);
  });

  test('refuses shapes that do not broadcast', async (gpu) => {
    const record = (left: number[], right: number[]) => {
      const tape = new Tape(gpu);
      return multiply(tape, tape.tensor('left', left), tape.tensor('right', right));
    };
    await rejects(() => record([2, 3], [2]), ShapeError, 'multiply of [2,3] and [2]', 'equal or 1');
    await rejects(() => record([2, 1, 2, 1, 2], [1, 2, 1, 2, 1]), ShapeError, 'multiply of [2,1,2,1,2] and [1,2,1,2,1]', '4 times');
  });
});
