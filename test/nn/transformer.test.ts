import type { Gpu } from '#src/gpu/gpu.js';
import { Parameters } from '#src/nn/parameters.js';
import { patchesOf, sinCosPositions, transformerBlock } from '#src/nn/transformer.js';
import { normal } from '#src/random.js';
import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import { activations } from '../reference/activation.js';
import { attention } from '../reference/attention.js';
import { layerNorm } from '../reference/layer-norm.js';
import { matmul } from '../reference/matmul.js';
import { assert, gpuSuite } from '../support/suite.js';
import { assertClose, randomArray, runOp } from '../support/tensors.js';

const [FACES, TOKENS, WIDTH, HEADS] = [16, 5, 12, 3];

/** A block's weights as they are after initialisation, all drawn at random, and what it gives for `tokens`. */
async function runBlock(gpu: Gpu, { training, dropPath, only }: { training: boolean; dropPath: number; only?: 'attention' }) {
  const tape = new Tape(gpu, { training });
  const parameters = Parameters.create();
  const x = tape.input('tokens', [FACES, TOKENS, WIDTH]);
  const y = transformerBlock({ tape, parameters, path: '' }, x, { heads: HEADS, dropPath });
  for (const [name, entry] of parameters.entries) {
    const silent = only && name.startsWith('mlp.outer');
    entry.initial = (values, random) => values.forEach((_, i) => void (values[i] = silent ? 0 : 0.3 * random(i)));
  }
  const program = await Program.compile(gpu, tape, { keep: [y] });
  parameters.initialise(gpu, (stream, index) => normal(1, stream, index));
  const tokens = randomArray([...x.shape], 2);
  program.write(x, tokens);
  program.run();
  const result = { tokens, output: (await program.read(y)) as Float32Array, weights: await parameters.read(gpu) };
  program.destroy();
  parameters.destroy(gpu);
  return result;
}

gpuSuite('transformer', (test) => {
  test('patches are squares of the face, row by row', async (gpu) => {
    const data = Float32Array.from({ length: 2 * 4 * 6 * 3 }, (_, i) => i);
    const { outputs } = await runOp(gpu, { faces: { shape: [2, 4, 6, 3], data } }, (tape, { faces }) => patchesOf(tape, faces, 2));
    const wanted: number[] = [];
    for (let n = 0; n < 2; n++)
      for (const top of [0, 2])
        for (const left of [0, 2, 4])
          for (const y of [top, top + 1])
            for (const x of [left, left + 1]) for (let c = 0; c < 3; c++) wanted.push(((n * 4 + y) * 6 + x) * 3 + c);
    assert.equal([...outputs.output], wanted);
  });

  test('positions are sines and cosines of column and row', async () => {
    const row = (place: number) => sinCosPositions(3, 5, 8).slice(place * 8, place * 8 + 8);
    assertClose(row(0), [0, 0, 1, 1, 0, 0, 1, 1]);
    const { sin, cos } = Math;
    assertClose(row(2 * 5 + 3), [sin(3), sin(0.03), cos(3), cos(0.03), sin(2), sin(0.02), cos(2), cos(0.02)]);
  });

  test('a block is its formula', async (gpu) => {
    const { tokens, output, weights } = await runBlock(gpu, { training: false, dropPath: 0.5 });
    const of = (name: string) => weights.get(name)!.data;
    const rows = FACES * TOKENS;
    const dense = (x: ArrayLike<number>, name: string) => {
      const bias = of(`${name}.bias`);
      const sizes = { batch: 1, rows, depth: x.length / rows, columns: bias.length };
      return matmul(x, of(`${name}.weight`), sizes).map((value, i) => value + bias[i % bias.length]);
    };
    const norm = (input: ArrayLike<number>, name: string) =>
      layerNorm({ input, scale: of(`${name}.scale`), shift: of(`${name}.shift`), epsilon: 1e-6 });
    const joint = dense(norm(tokens, 'norm1'), 'attention.qkv');
    const depth = WIDTH / HEADS;
    const seen = new Float64Array(rows * WIDTH);
    for (let face = 0; face < FACES; face++) {
      for (let head = 0; head < HEADS; head++) {
        const part = (which: number) =>
          Float64Array.from({ length: TOKENS * depth }, (_, i) => {
            const row = face * TOKENS + Math.floor(i / depth);
            return joint[row * 3 * WIDTH + which * WIDTH + head * depth + (i % depth)];
          });
        const sizes = { queries: TOKENS, tokens: TOKENS, depth, width: depth };
        attention({ query: part(0), key: part(1), value: part(2) }, sizes).forEach((value, i) => {
          seen[(face * TOKENS + Math.floor(i / depth)) * WIDTH + head * depth + (i % depth)] = value;
        });
      }
    }
    const x = dense(seen, 'attention.output').map((value, i) => value + tokens[i]);
    const wide = dense(norm(x, 'norm2'), 'mlp.inner').map(activations.gelu);
    const wanted = dense(wide, 'mlp.outer').map((value, i) => value + x[i]);
    assertClose(output, wanted, { relative: 1e-4, absolute: 1e-5 });
  });

  test('a dropped path is dropped for whole faces, and others make up for it', async (gpu) => {
    const whole = await runBlock(gpu, { training: false, dropPath: 0.5, only: 'attention' });
    const { output, tokens } = await runBlock(gpu, { training: true, dropPath: 0.5, only: 'attention' });
    const size = TOKENS * WIDTH;
    let dropped = 0;
    for (let face = 0; face < FACES; face++) {
      const part = (values: Float32Array) => values.slice(face * size, (face + 1) * size);
      const before = part(tokens);
      const isDropped = part(output).every((value, i) => value === before[i]);
      const branch = part(whole.output).map((value, i) => value - before[i]);
      assertClose(
        part(output),
        branch.map((value, i) => before[i] + (isDropped ? 0 : 2 * value)),
        { absolute: 1e-5 },
      );
      if (isDropped) dropped++;
    }
    assert.ok(dropped > 1 && dropped < FACES - 1, `${dropped} of ${FACES}`);
  });
});
