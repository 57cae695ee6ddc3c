import { ShapeError } from '#src/errors.js';
import type { Gpu } from '#src/gpu/gpu.js';
import { attention, attentionMap } from '#src/tensor/ops/attention.js';
import { Tape } from '#src/tensor/tape.js';
import { attentionGradients, type Heads, attention as reference, weightsOf } from '../reference/attention.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, type Build, checkGradients, randomArray, runOp } from '../support/tensors.js';
import { disguise } from './disguise.js';
import { withAttention, withoutSubgroups, withTiles } from './kernel-family.js';

const FORMS = ['products', 'fused'] as const;

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
    [2, { queries: 33, tokens: 31, depth: 20, width: 8 }],
    [2, { queries: 37, tokens: 37, depth: 80, width: 80 }],
    [1, { queries: 3, tokens: 97, depth: 8, width: 132 }],
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
    test(`${heads} heads of ${JSON.stringify(sizes)}, fused`, async (gpu) => {
      await compare(withAttention(gpu, 'fused'));
    });
  }

  /** Scores that f32 computes exactly, around ±3000 and close to one another: only the softmax can lose digits. The greatest of them rises and falls by tiles. */
  function hardInputs(queries: number, tokens: number) {
    const depth = 64;
    const whole = (size: number, seed: number, most: number) => randomArray([size], seed, most + 0.5).map(Math.round);
    const [base, query, key] = [whole(depth, 5, 30), whole(queries * depth, 6, 1), new Float32Array(tokens * depth)];
    for (let row = 0; row < queries; row++) for (let d = 8; d < depth; d++) query[row * depth + d] = base[d] * (row % 2 === 0 ? 1 : -1);
    const near = whole(tokens * 8, 7, 2);
    for (let token = 0; token < tokens; token++)
      for (let d = 0; d < depth; d++)
        key[token * depth + d] = d < 8 ? near[token * 8 + d] * 4 : base[d] + (d === 8 ? [0, 1, -1][Math.floor(token / 32) % 3] : 0);
    const inputs = inputsOf(1, { queries, tokens, depth, width: depth });
    inputs.query.data = query;
    inputs.key.data = key;
    return inputs;
  }

  test('large scores lose nothing', async (gpu) => {
    const sizes = { queries: 35, tokens: 97, depth: 64, width: 64 };
    const inputs = hardInputs(sizes.queries, sizes.tokens);
    const operands = { query: inputs.query.data, key: inputs.key.data, value: inputs.value.data };
    const weights = weightsOf(operands, sizes);
    assert.ok(
      weights.every((row) => Math.max(...row) < 0.9),
      'no row looks at one token alone',
    );
    const outputGradient = randomArray([sizes.queries * sizes.width], 4);
    const wanted = attentionGradients(operands, sizes, outputGradient);
    for (const form of FORMS) {
      const { outputs, gradients } = await runOp(withAttention(gpu, form), inputs, build, { outputGradient });
      assertClose(outputs.output, reference(operands, sizes), { relative: 2e-6, absolute: 1e-6 }, form);
      for (const name of ['query', 'key', 'value'] as const) {
        // Slopes that add up to 0 are multiplied by keys of up to 30, and cancel: seen up to 1.3e-6.
        const absolute = 2e-6 * wanted[name].reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        assertClose(gradients[name], wanted[name], { relative: 1e-5, absolute }, `${form}, gradient of ${name}`);
      }
    }
  });

  test('both forms agree', async (gpu) => {
    const inputs = inputsOf(3, { queries: 65, tokens: 129, depth: 64, width: 64 });
    const options = { outputGradient: randomArray([3 * 65 * 64], 4) };
    const [products, fused] = [
      await runOp(withAttention(gpu, 'products'), inputs, build, options),
      await runOp(withAttention(gpu, 'fused'), inputs, build, options),
    ];
    assertClose(fused.outputs.output, products.outputs.output, { relative: 1e-5, absolute: 1e-6 });
    for (const name of ['query', 'key', 'value'] as const)
      assertClose(fused.gradients[name], products.gradients[name], { relative: 1e-5, absolute: 5e-6 }, name);
  });

  for (const form of FORMS) {
    test(`by ${form}, heads take turns where a binding does not hold them all`, async (gpu) => {
      const inputs = inputsOf(48, { queries: 8, tokens: 12, depth: 8, width: 8 });
      const options = { outputGradient: randomArray([48 * 8 * 8], 4) };
      const whole = await runOp(withAttention(gpu, form), inputs, build, options);
      assert.equal(await runOp(disguise(withAttention(gpu, form), { bindingBytes: 9216 }), inputs, build, options), whole);
    });
  }

  test('fused, nothing has the size of the weights', (gpu) => {
    const tape = new Tape(withAttention(gpu, 'fused'));
    const [query, key, value] = ['query', 'key', 'value'].map((name) => tape.input(name, [2, 300, 8], 'f32', true));
    const output = attention(tape, query, key, value);
    tape.backward(output, tape.input('gradient', output.shape));
    const largest = Math.max(...tape.launches.flatMap(({ tensors }) => Object.values(tensors).map(({ size }) => size)));
    assert.is(largest, 2 * 300 * 8);
    return Promise.resolve();
  });

  test('one head beyond a binding is fused', async (gpu) => {
    const inputs = inputsOf(2, { queries: 40, tokens: 40, depth: 8, width: 8 });
    const options = { outputGradient: randomArray([2 * 40 * 8], 4) };
    const fused = await runOp(withAttention(gpu, 'fused'), inputs, build, options);
    assert.equal(await runOp(disguise(gpu, { bindingBytes: 4096 }), inputs, build, options), fused);
  });

  test('what spoils one head spoils no other', async (gpu) => {
    const sizes = { queries: 5, tokens: 7, depth: 8, width: 4 };
    for (const name of ['query', 'key', 'value'] as const) {
      const inputs = inputsOf(3, sizes);
      inputs[name].data[inputs[name].data.length / 3 + 3] = Number.NaN;
      for (const form of FORMS) {
        const { outputs, gradients } = await runOp(withAttention(gpu, form), inputs, build, {
          outputGradient: randomArray([3 * 5 * 4], 4),
        });
        for (const result of [outputs.output, gradients.query, gradients.key, gradients.value]) {
          const spoilt = [0, 1, 2].map((head) =>
            result.slice((head * result.length) / 3, ((head + 1) * result.length) / 3).some(Number.isNaN),
          );
          assert.equal([spoilt[0], spoilt[2]], [false, false], name);
        }
        assert.ok(outputs.output.some(Number.isNaN));
      }
    }
  });

  test('only the value wants a gradient, or only the query', async (gpu) => {
    for (const wanted of ['query', 'value'] as const) {
      const inputs = inputsOf(2, { queries: 3, tokens: 5, depth: 4, width: 8 });
      for (const [name, input] of Object.entries(inputs)) input.differentiable = name === wanted;
      for (const form of FORMS) {
        const { gradients } = await runOp(withAttention(gpu, form), inputs, build, { outputGradient: randomArray([2 * 3 * 8], 4) });
        assert.equal(Object.keys(gradients), [wanted]);
      }
    }
  });

  test('the map shows the weights', async (gpu) => {
    const sizes = { queries: 8, tokens: 13, depth: 4, width: 4 };
    const { query, key, value } = inputsOf(1, sizes);
    const { outputs } = await runOp(gpu, { query, key }, (tape, t) => attentionMap(tape, t.query, t.key));
    assertClose(outputs.output, weightsOf({ query: query.data, key: key.data, value: value.data }, sizes).flat());
  });

  test('gradients agree with finite differences', async (gpu) => {
    for (const form of FORMS)
      await checkGradients(withAttention(gpu, form), inputsOf(2, { queries: 3, tokens: 5, depth: 4, width: 3 }), build);
  });

  test('same bits over two dimensions of dispatch', async (gpu) => {
    const inputs = inputsOf(6, { queries: 17, tokens: 33, depth: 8, width: 8 });
    const options = { outputGradient: randomArray([6 * 17 * 8], 4) };
    for (const form of FORMS) {
      const own = withAttention(gpu, form);
      const first = await runOp(own, inputs, build, options);
      assert.equal(await runOp(disguise(own, { groups: 3 }), inputs, build, options), first);
    }
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
