import { ShapeError } from '#src/errors.js';
import type { Gpu } from '#src/gpu/gpu.js';
import { randomOrder, takeTokens } from '#src/tensor/ops/token-order.js';
import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import * as reference from '../reference/token-order.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, type Build, checkGradients, randomArray, runOp } from '../support/tensors.js';
import { disguise } from './disguise.js';

interface Draw {
  seed?: number;
  step?: number;
  epoch?: number;
  /** Uses of randomness that the tape records before. */
  before?: number;
}

async function draw(gpu: Gpu, faces: readonly number[], tokens: number, { seed = 1, step = 0, epoch = 0, before = 0 }: Draw = {}) {
  const tape = new Tape(gpu);
  const indices = tape.constant('indices', [faces.length], Uint32Array.from(faces));
  for (let i = 0; i < before; i++) tape.nextStream();
  const { order, place } = randomOrder(tape, indices, tokens);
  const program = await Program.compile(gpu, tape, { keep: [order, place] });
  const state = new Uint32Array(8);
  [state[0], state[1], state[6]] = [seed, step, epoch];
  program.write(tape.step, state);
  program.run();
  const result = { order: (await program.read(order)) as Uint32Array, place: (await program.read(place)) as Uint32Array };
  program.destroy();
  return result;
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

gpuSuite('random order of tokens', (test) => {
  for (const [faces, tokens] of [
    [1, 1],
    [3, 2],
    [5, 64],
    [7, 67],
    [2, 196],
    [65, 5],
    [2, 1024],
  ] as const) {
    test(`of ${tokens} for ${faces} faces ranks the noise that the host draws`, async (gpu) => {
      const indices = upTo(faces).map((face) => face * 1000 + 1);
      const { order, place } = await draw(gpu, indices, tokens, { seed: 9, epoch: 3, before: 2 });
      const expected = reference.randomOrder(indices, tokens, { seed: 9, epoch: 3, stream: 2 });
      assert.equal(order, expected);
      assert.equal(place, reference.inverse(expected, tokens));
    });
  }

  test("is a face's own in an epoch, whatever its batch and the step, and another in another epoch, seed or use", async (gpu) => {
    const { order } = await draw(gpu, [4, 9, 11], 64);
    const alone = await draw(gpu, [9], 64, { step: 77 });
    assert.equal(alone.order, order.slice(64, 128));
    for (const other of [{ epoch: 1 }, { seed: 2 }, { before: 1 }])
      assert.not.equal((await draw(gpu, [9], 64, other)).order, alone.order, JSON.stringify(other));
    assert.not.equal(order.slice(0, 64), order.slice(64, 128));
  });

  test('lets every token come first equally often', async (gpu) => {
    const { order } = await draw(gpu, upTo(4000), 8);
    const counts = upTo(8).map((token) => order.filter((other, i) => i % 8 === 0 && other === token).length);
    for (const count of counts) assert.ok(Math.abs(count - 500) < 4 * Math.sqrt(437.5), `${counts}`);
  });

  test('same bits from run to run and over two dimensions of dispatch', async (gpu) => {
    const first = await draw(gpu, upTo(301), 65);
    assert.equal(await draw(gpu, upTo(301), 65), first);
    assert.equal(await draw(disguise(gpu, { groups: 7 }), upTo(301), 65), first);
  });

  test('refuses what is no list of faces, and no tokens', async (gpu) => {
    const tape = new Tape(gpu);
    await rejects(() => randomOrder(tape, tape.input('indices', [2]), 4), ShapeError, 'f32 [2]', 'u32 [N]');
    await rejects(() => randomOrder(tape, tape.input('indices', [2, 2], 'u32'), 4), ShapeError, '[2,2]');
    await rejects(() => randomOrder(tape, tape.input('indices', [2], 'u32'), 0), ShapeError, '0 tokens');
    await rejects(() => randomOrder(tape, tape.input('indices', [2], 'u32'), 1 << 20), ShapeError, '1048576 tokens', '--patch');
  });
});

/** Tokens [faces, rows, width] and an order of `tokens` of them. */
function inputsOf(faces: number, rows: number, tokens: number, width: number) {
  const order = reference.randomOrder(upTo(faces), tokens);
  return {
    x: { shape: [faces, rows, width], data: randomArray([faces, rows, width], 1), differentiable: true },
    order: { shape: [faces, tokens], data: order },
    place: { shape: [faces, tokens], data: reference.inverse(order, tokens) },
  };
}

const taking =
  (count: number): Build =>
  (tape, { x, order, place }) =>
    takeTokens(tape, x, { order, place }, count);

/** Back to the places from which the first were taken. */
const puttingBack =
  (count: number): Build =>
  (tape, { x, order, place }) =>
    takeTokens(tape, x, { order: place, place: order }, count);

gpuSuite('tokens taken by an order', (test) => {
  for (const [faces, tokens, kept, width] of [
    [1, 1, 1, 1],
    [2, 3, 2, 5],
    [3, 64, 16, 192],
    [5, 67, 13, 6],
    [65, 5, 5, 4],
  ] as const) {
    test(`${kept} of ${tokens} of width ${width}, of ${faces} faces`, async (gpu) => {
      const inputs = inputsOf(faces, tokens, tokens, width);
      const outputGradient = randomArray([faces, kept, width], 3);
      const { outputs, gradients } = await runOp(gpu, inputs, taking(kept), { outputGradient });
      const sizes = { faces, pitch: tokens, width };
      const { data: order } = inputs.order;
      assert.equal([...outputs.output!], [...reference.takeTokens(inputs.x.data, order, { ...sizes, rows: tokens, count: kept })]);
      const gradient = reference.takeTokens(outputGradient, inputs.place.data, { ...sizes, rows: kept, count: tokens });
      assert.equal([...gradients.x!], [...gradient]);
    });

    test(`${kept} of ${tokens} of width ${width} put back`, async (gpu) => {
      const inputs = inputsOf(faces, kept, tokens, width);
      const outputGradient = randomArray([faces, tokens, width], 3);
      const { outputs, gradients } = await runOp(gpu, inputs, puttingBack(tokens), { outputGradient });
      const sizes = { faces, pitch: tokens, width };
      const { data: place } = inputs.place;
      assert.equal([...outputs.output!], [...reference.takeTokens(inputs.x.data, place, { ...sizes, rows: kept, count: tokens })]);
      const gradient = reference.takeTokens(outputGradient, inputs.order.data, { ...sizes, rows: tokens, count: kept });
      assert.equal([...gradients.x!], [...gradient]);
    });
  }

  test('gradients agree with finite differences', async (gpu) => {
    await checkGradients(gpu, inputsOf(2, 7, 7, 3), taking(4));
    await checkGradients(gpu, inputsOf(2, 3, 7, 4), puttingBack(7));
  });

  test('same bits from run to run and over two dimensions of dispatch', async (gpu) => {
    const inputs = inputsOf(9, 64, 64, 24);
    const options = { outputGradient: randomArray([9, 16, 24], 3) };
    const first = await runOp(gpu, inputs, taking(16), options);
    assert.equal(await runOp(gpu, inputs, taking(16), options), first);
    assert.equal(await runOp(disguise(gpu, { groups: 2 }), inputs, taking(16), options), first);
  });

  test('NaN and infinity stay in their tokens; what was not taken has no gradient', async (gpu) => {
    const { order, place } = inputsOf(1, 4, 4, 1);
    const data = Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY, -0, 4);
    const x = { shape: [1, 4, 1], data, differentiable: true };
    const { outputs, gradients } = await runOp(gpu, { x, order, place }, taking(3), { outputGradient: new Float32Array(3).fill(1) });
    assertClose(
      outputs.output!,
      [...order.data.subarray(0, 3)].map((token) => data[token]!),
    );
    assert.equal(
      [...gradients.x!],
      [0, 1, 2, 3].map((token) => (place.data[token]! < 3 ? 1 : 0)),
    );
  });

  test('refuses what does not fit', async (gpu) => {
    const tape = new Tape(gpu);
    const record = (shape: number[], faces: number, tokens: number, count: number) => {
      const [order, place] = ['order', 'place'].map((name) => tape.input(name, [faces, tokens], 'u32'));
      return takeTokens(tape, tape.tensor('x', shape), { order: order!, place: place! }, count);
    };
    await rejects(() => record([2, 4], 2, 4, 1), ShapeError, '[2,4]', 'tokens [N, K, D]');
    await rejects(() => record([2, 4, 3], 3, 4, 1), ShapeError, 'order [3,4]');
    await rejects(() => record([2, 5, 3], 2, 4, 1), ShapeError, '[2,5,3]');
    await rejects(() => record([2, 4, 3], 2, 4, 5), ShapeError, '5 tokens taken');
    await rejects(() => record([2, 4, 3], 2, 4, 0), ShapeError, '0 tokens taken');
  });
});
