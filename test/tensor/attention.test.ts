import { ShapeError } from '#src/errors.js';
import { attention } from '#src/tensor/ops/attention.js';
import { Tape } from '#src/tensor/tape.js';
import { attentionGradients, type Heads, attention as reference } from '../reference/attention.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, type Build, checkGradients, randomArray, runOp } from '../support/tensors.js';
import { disguise } from './disguise.js';

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
  ] as [number, Heads][]) {
    test(`${heads} heads of ${JSON.stringify(sizes)}`, async (gpu) => {
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
    });
  }

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
  });
});
