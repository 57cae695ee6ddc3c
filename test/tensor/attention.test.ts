import { ShapeError } from '#src/errors.js';
import type { Gpu } from '#src/gpu/gpu.js';
import { attention, attentionMap } from '#src/tensor/ops/attention.js';
import { Tape } from '#src/tensor/tape.js';
import { attentionGradients, type Heads, attention as reference, weightsOf } from '../reference/attention.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, type Build, checkGradients, randomArray, runOp } from '../support/tensors.js';
import { disguise } from './disguise.js';
import { withoutSubgroups, withTiles } from './kernel-family.js';

const build: Build = (tape, { query, key, value }) => attention(tape, query, key, value);

function inputsOf(heads: number, { queries, tokens, depth, width }: Heads) {
  const input = (shape: number[], seed: number) => ({ shape, data: randomArray(shape, seed, 2), differentiable: true });
  return {
    query: input([heads, queries, depth], 1),
    key: input([heads, tokens, depth], 2),
    value: input([heads, tokens, width], 3),
  };
}

gpuSuite('attention', (test) => {
  for (const [heads, sizes] of [
    [1, { queries: 1, tokens: 1, depth: 1, width: 1 }],
    [2, { queries: 5, tokens: 7, depth: 3, width: 2 }],
    [3, { queries: 65, tokens: 65, depth: 16, width: 16 }],
    [2, { queries: 9, tokens: 68, depth: 64, width: 12 }],
    [3, { queries: 8, tokens: 64, depth: 32, width: 32 }],
    [2, { queries: 8, tokens: 257, depth: 8, width: 4 }],
    [2, { queries: 67, tokens: 1, depth: 4, width: 8 }],
  ] as [number, Heads][]) {
    const compare = async (gpu: Gpu) => {
      const inputs = inputsOf(heads, sizes);
      const rows = sizes.queries * sizes.width;
      const outputGradient = randomArray([heads * rows], 4);
      const { outputs, gradients } = await runOp(gpu, inputs, build, { outputGradient });
      const part = (data: ArrayLike<number>, head: number) => {
        const size = data.length / heads;
        return Array.prototype.slice.call(data, head * size, (head + 1) * size) as number[];
      };
      for (let head = 0; head < heads; head++) {
        const own = {
          query: part(inputs.query.data, head),
          key: part(inputs.key.data, head),
          value: part(inputs.value.data, head),
        };
        assertClose(part(outputs.output, head), reference(own, sizes), {}, 'output');
        const wanted = attentionGradients(own, sizes, part(outputGradient, head));
        for (const name of ['query', 'key', 'value'] as const)
          assertClose(part(gradients[name], head), wanted[name], { relative: 1e-4, absolute: 1e-5 }, name);
      }
    };
    test(`${heads} heads of ${JSON.stringify(sizes)}`, compare);
    test(`${heads} heads of ${JSON.stringify(sizes)} without subgroups, and by tiles`, async (gpu) => {
      await compare(disguise(withoutSubgroups(gpu), { isFallback: false }));
      await compare(withTiles(gpu));
    });
  }

  test('what spoils one head spoils no other', async (gpu) => {
    const sizes = { queries: 5, tokens: 7, depth: 8, width: 4 };
    for (const name of ['query', 'key', 'value'] as const) {
      const inputs = inputsOf(3, sizes);
      inputs[name].data[inputs[name].data.length / 3 + 3] = Number.NaN;
      const { outputs, gradients } = await runOp(gpu, inputs, build, { outputGradient: randomArray([3 * 5 * 4], 4) });
      for (const result of [outputs.output, gradients.query, gradients.key, gradients.value]) {
        const spoilt = [0, 1, 2].map((head) =>
          result.slice((head * result.length) / 3, ((head + 1) * result.length) / 3).some(Number.isNaN),
        );
        assert.equal([spoilt[0], spoilt[2]], [false, false], name);
      }
      assert.ok(outputs.output.some(Number.isNaN));
    }
  });

  test('only the value wants a gradient, or only the query', async (gpu) => {
    for (const wanted of ['query', 'value'] as const) {
      const inputs = inputsOf(2, { queries: 3, tokens: 5, depth: 4, width: 8 });
      for (const [name, input] of Object.entries(inputs)) input.differentiable = name === wanted;
      const { gradients } = await runOp(gpu, inputs, build, { outputGradient: randomArray([2 * 3 * 8], 4) });
      assert.equal(Object.keys(gradients), [wanted]);
    }
  });

  test('the map shows the weights', async (gpu) => {
    const sizes = { queries: 8, tokens: 13, depth: 4, width: 4 };
    const { query, key, value } = inputsOf(1, sizes);
    const { outputs } = await runOp(gpu, { query, key }, (tape, t) => attentionMap(tape, t.query, t.key));
    assertClose(outputs.output, weightsOf({ query: query.data, key: key.data, value: value.data }, sizes).flat());
  });

  test('gradients agree with finite differences', async (gpu) => {
    await checkGradients(gpu, inputsOf(2, { queries: 3, tokens: 5, depth: 4, width: 3 }), build);
  });

  test('same bits over two dimensions of dispatch', async (gpu) => {
    const inputs = inputsOf(6, { queries: 17, tokens: 33, depth: 8, width: 8 });
    const options = { outputGradient: randomArray([6 * 17 * 8], 4) };
    const first = await runOp(gpu, inputs, build, options);
    assert.equal(await runOp(disguise(gpu, { groups: 3 }), inputs, build, options), first);
  });

  test('refuses shapes that do not fit', async (gpu) => {
    const record = (query: number[], key: number[], value: number[]) => {
      const tape = new Tape(gpu);
      return attention(tape, tape.tensor('query', query), tape.tensor('key', key), tape.tensor('value', value));
    };
    await rejects(() => record([2, 3, 4], [2, 5, 8], [2, 5, 4]), ShapeError, 'query [2,3,4], key [2,5,8] and value [2,5,4]');
    await rejects(() => record([2, 3, 4], [2, 5, 4], [2, 6, 4]), ShapeError, 'attention');
    await rejects(() => record([2, 3, 4], [3, 5, 4], [3, 5, 4]), ShapeError, 'key [3,5,4]');
    await rejects(() => record([3], [3], [3]), ShapeError, 'query [3]');
  });
});
