import { ShapeError } from '#src/errors.js';
import { max, mean, type ReduceOptions, sum } from '#src/tensor/ops/reduce.js';
import { Tape } from '#src/tensor/tape.js';
import { average, largest, reduce, reduceGradient, total } from '../reference/reduce.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, checkGradients, randomArray, runOp } from '../support/tensors.js';
import { disguise } from './disguise.js';

const operators = {
  sum: { operator: sum, combine: total, share: () => 1 },
  mean: { operator: mean, combine: average, share: (terms: number[]) => 1 / terms.length },
  max: { operator: max, combine: largest, share: (terms: number[], term: number) => Number(term === largest(terms)) },
};

/** Distinct numbers in [−1, 1): no two maxima are equal. */
function distinct(shape: number[]): Float32Array {
  const data = randomArray(shape, 1);
  const order = [...data.keys()].sort((a, b) => data[a] - data[b]);
  order.forEach((place, rank) => {
    data[place] = (2 * rank) / data.length - 1;
  });
  return data;
}

gpuSuite('reduce', (test) => {
  const cases: [number[], number[]][] = [
    [[1], [0]],
    [[64], [0]],
    [[65], [0]],
    [[4099], [0]],
    [[3, 7], [1]],
    [[3, 7], [0]],
    [[130, 67], [0]],
    [[67, 130], [1]],
    [
      [2, 5, 129, 3],
      [1, 2],
    ],
    [
      [5, 7, 3, 11],
      [0, 2],
    ],
    [
      [3, 1, 70, 2, 5],
      [0, 2, 4],
    ],
    [
      [4, 6, 2],
      [0, 1, 2],
    ],
  ];
  for (const [name, { operator, combine, share }] of Object.entries(operators)) {
    const build =
      (options: ReduceOptions) =>
      (tape: Tape, { x }: { x: Parameters<typeof operator>[1] }) =>
        operator(tape, x, options);

    for (const [shape, axes] of cases) {
      test(`${name} of [${shape}] over ${axes}`, async (gpu) => {
        const data = distinct(shape);
        const kept = shape.filter((_, axis) => !axes.includes(axis));
        const outputGradient = randomArray(kept, 2);
        const inputs = { x: { shape, data, differentiable: true } };
        const { outputs, gradients } = await runOp(gpu, inputs, build({ axes }), { outputGradient });
        assertClose(outputs.output, reduce(data, shape, axes, combine), { absolute: 1e-5 }, 'output');
        assertClose(gradients.x, reduceGradient(data, shape, axes, share, outputGradient), {}, 'gradient');
      });
    }

    test(`${name}: shapes of the result`, (gpu) => {
      const tape = new Tape(gpu);
      const shapeOf = (options?: ReduceOptions) => operator(tape, tape.tensor('x', [2, 3, 4]), options).shape;
      assert.equal(shapeOf(), []);
      assert.equal(shapeOf({ axes: [-1] }), [2, 3]);
      assert.equal(shapeOf({ axes: [0, 2] }), [3]);
      assert.equal(shapeOf({ axes: [0, -1], keepDims: true }), [1, 3, 1]);
      assert.equal(shapeOf({ axes: [] }), [2, 3, 4]);
      return Promise.resolve();
    });

    test(`${name} over no axes copies`, async (gpu) => {
      const x = { shape: [3, 5], data: randomArray([3, 5], 1), differentiable: true };
      const outputGradient = randomArray([3, 5], 2);
      const { outputs, gradients } = await runOp(gpu, { x }, build({ axes: [] }), { outputGradient });
      assert.equal(outputs.output, x.data);
      assert.equal(gradients.x, outputGradient);
    });

    test(`gradient of ${name} agrees with finite differences`, async (gpu) => {
      const x = { shape: [3, 5, 4], data: distinct([3, 5, 4]), differentiable: true };
      await checkGradients(gpu, { x }, build({ axes: [1], keepDims: true }));
      await checkGradients(gpu, { x }, build({ axes: [0, 2] }));
    });

    test(`${name}: same bits from run to run and over two dimensions of dispatch`, async (gpu) => {
      const x = { shape: [70, 33, 13], data: randomArray([70, 33, 13], 1), differentiable: true };
      const options = { outputGradient: randomArray([33], 2) };
      const first = await runOp(gpu, { x }, build({ axes: [0, 2] }), options);
      assert.equal(await runOp(gpu, { x }, build({ axes: [0, 2] }), options), first);
      assert.equal(await runOp(disguise(gpu, { groups: 3 }), { x }, build({ axes: [0, 2] }), options), first);
    });

    test(`${name}: NaN and infinity reach their own result and no other`, async (gpu) => {
      for (const bad of [0x7fc00000, 0xffc00000, 0x7f800000]) {
        for (const at of [0, 1, 99]) {
          const data = randomArray([3, 100], 1);
          new Uint32Array(data.buffer)[100 + at] = bad; // by its bits: a NaN with its sign may not survive as a number
          const { outputs } = await runOp(gpu, { x: { shape: [3, 100], data } }, build({ axes: [1] }));
          assert.ok(Object.is(outputs.output[1], bad === 0x7f800000 ? Number.POSITIVE_INFINITY : Number.NaN));
          assert.ok(Number.isFinite(outputs.output[0]) && Number.isFinite(outputs.output[2]));
        }
      }
    });

    test(`${name} with more than 65,535 workgroups`, async (gpu) => {
      const rows = 65_536 * 64 + 5;
      const data = Float32Array.from({ length: rows }, (_, i) => i % 1009);
      const { outputs } = await runOp(gpu, { x: { shape: [rows, 1], data } }, build({ axes: [1] }));
      assert.ok(outputs.output.every((value, i) => value === i % 1009));
    });

    test(`${name} refuses axes that do not exist or come twice`, async (gpu) => {
      const record = (axes: number[]) => {
        const tape = new Tape(gpu);
        return operator(tape, tape.tensor('x', [2, 3]), { axes });
      };
      await rejects(() => record([2]), ShapeError, `${name} of [2,3] over axes 2`, 'from -2 to 1');
      await rejects(() => record([-3]), ShapeError);
      await rejects(() => record([0.5]), ShapeError);
      await rejects(() => record([1, -1]), ShapeError, 'once');
    });
  }

  test('a long sum keeps its digits', async (gpu) => {
    const size = 1_000_003;
    const x = { shape: [size], data: randomArray([size], 1).map((value) => 1 + value / 1000) };
    const { outputs } = await runOp(gpu, { x }, (tape, { x }) => mean(tape, x));
    assertClose(outputs.output, [x.data.reduce((sum, value) => sum + value, 0) / size], { relative: 3e-7, absolute: 0 });
  });

  test('of equal maxima one gets the gradient', async (gpu) => {
    const data = new Float32Array(2 * 200).fill(-1);
    for (const i of [3, 77, 150, 199]) data[i] = 5;
    const x = { shape: [2, 200], data, differentiable: true };
    const { gradients } = await runOp(gpu, { x }, (tape, { x }) => max(tape, x, { axes: [1] }), { outputGradient: Float32Array.of(2, 3) });
    const receivers = [...gradients.x.entries()].filter(([, gradient]) => gradient !== 0);
    assert.equal(
      receivers.map(([, gradient]) => gradient),
      [2, 3],
    );
    assert.is(data[receivers[0][0]], 5);
    assert.ok(receivers[1][0] >= 200);
  });

  test('the gradient of a maximum that is NaN goes to the NaN, of -infinity to one of them', async (gpu) => {
    const nothing = Number.NEGATIVE_INFINITY;
    const x = { shape: [2, 3], data: Float32Array.of(1, Number.NaN, 2, nothing, nothing, nothing), differentiable: true };
    const { outputs, gradients } = await runOp(gpu, { x }, (tape, { x }) => max(tape, x, { axes: [1] }), {
      outputGradient: Float32Array.of(4, 5),
    });
    assertClose(outputs.output, [Number.NaN, nothing]);
    assert.equal([...gradients.x], [0, 4, 0, 5, 0, 0]);
  });
});
