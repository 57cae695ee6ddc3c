import type { Gpu } from '#src/gpu/gpu.js';
import { inside, type Scope } from '#src/nn/layers.js';
import { backbones } from '#src/nn/models.js';
import { Parameters } from '#src/nn/parameters.js';
import { transformerBlock } from '#src/nn/transformer.js';
import { embedPatches, encode, layerOf, VISION_TRANSFORMERS } from '#src/nn/vision-transformer.js';
import { normal } from '#src/random.js';
import { multiply, permute, reshape, slice } from '#src/tensor/ops/index.js';
import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import type { Tensor } from '#src/tensor/tensor.js';
import { layerNorm } from '../reference/layer-norm.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose, randomArray } from '../support/tensors.js';

const { vit: SIZES } = VISION_TRANSFORMERS;
const OPTIONS = { classes: 8, width: 0.125, dropout: 0 };
const WIDTH = 3 * 8;

/** What `record` makes of two random faces of 16×16 by random weights. */
async function run(gpu: Gpu, record: (scope: Scope, faces: Tensor) => Tensor): Promise<{ shape: readonly number[]; values: Float32Array }> {
  const tape = new Tape(gpu);
  const parameters = Parameters.create();
  const faces = tape.input('faces', [2, 16, 16, 1]);
  const output = record({ tape, parameters, path: '' }, faces);
  const program = await Program.compile(gpu, tape, { keep: [output] });
  parameters.initialise(gpu, (stream, index) => normal(3, stream, index));
  program.write(faces, randomArray([...faces.shape], 4));
  program.run();
  const values = (await program.read(output)) as Float32Array;
  program.destroy();
  parameters.destroy(gpu);
  return { shape: output.shape, values };
}

gpuSuite('vision transformer', (test) => {
  test('patches are tokens of their own, which know where they lie', async (gpu) => {
    const { shape, values } = await run(gpu, (scope, faces) => embedPatches(scope, faces, SIZES, OPTIONS));
    assert.equal(shape, [2, 64, WIDTH]);
    const blank = await run(gpu, (scope, faces) =>
      embedPatches(scope, reshape(scope.tape, scope.tape.constant('blank', [512], new Float32Array(512)), faces.shape), SIZES, OPTIONS),
    );
    assert.not.equal(blank.values.slice(0, WIDTH), blank.values.slice(WIDTH, 2 * WIDTH));
    assert.equal(blank.values.slice(0, 64 * WIDTH), blank.values.slice(64 * WIDTH));
    assert.not.equal(values.slice(0, WIDTH), blank.values.slice(0, WIDTH));
  });

  test('the backbone is its parts: the class token, and the others as a map', async (gpu) => {
    const parts = await run(gpu, (scope, faces) => encode(scope, embedPatches(scope, faces, SIZES, OPTIONS), SIZES, OPTIONS));
    assert.equal(parts.shape, [2, 65, WIDTH]);
    const whole = (part: 'map' | 'pooled') =>
      run(gpu, (scope, faces) => backbones.vit.top(scope, backbones.vit.trunk(scope, faces, OPTIONS), OPTIONS)[part]);
    const [map, pooled] = [await whole('map'), await whole('pooled')];
    assert.equal(map.shape, [2, 8, 8, WIDTH]);
    assert.equal(pooled.shape, [2, WIDTH]);
    for (const face of [0, 1]) {
      const seen = parts.values.slice(face * 65 * WIDTH, (face + 1) * 65 * WIDTH);
      assert.equal(pooled.values.slice(face * WIDTH, (face + 1) * WIDTH), seen.slice(0, WIDTH));
      assert.equal(map.values.slice(face * 64 * WIDTH, (face + 1) * 64 * WIDTH), seen.slice(WIDTH));
    }
  });

  test('tokens are encoded alike in any order, whose places they keep', async (gpu) => {
    const encoded = (mix: (scope: Scope, tokens: Tensor) => Tensor) =>
      run(gpu, (scope, faces) => encode(scope, mix(scope, embedPatches(scope, faces, SIZES, OPTIONS)), SIZES, OPTIONS));
    const plain = await encoded((_, tokens) => tokens);
    // Rows of patches become columns.
    const transposed = await encoded(({ tape }, tokens) =>
      reshape(tape, permute(tape, reshape(tape, tokens, [2, 8, 8, WIDTH]), [0, 2, 1, 3]), [2, 64, WIDTH]),
    );
    const row = ({ values }: typeof plain, face: number, place: number) =>
      values.slice((face * 65 + place) * WIDTH, (face * 65 + place + 1) * WIDTH);
    for (const face of [0, 1]) {
      assertClose(row(transposed, face, 0), row(plain, face, 0), { relative: 1e-4, absolute: 1e-5 });
      for (let place = 0; place < 64; place++) {
        const other = (place % 8) * 8 + Math.floor(place / 8);
        assertClose(row(transposed, face, 1 + place), row(plain, face, 1 + other), { relative: 1e-4, absolute: 1e-5 });
      }
    }
  });

  test('some of the tokens are encoded without the others', async (gpu) => {
    const some = async (change: (faces: Tensor, tape: Tape) => Tensor) =>
      run(gpu, (scope, faces) => {
        const tokens = embedPatches(scope, change(faces, scope.tape), SIZES, OPTIONS);
        return encode(scope, slice(scope.tape, tokens, 1, 0, 24), SIZES, OPTIONS);
      });
    const upper = await some((faces) => faces);
    assert.equal(upper.shape, [2, 25, WIDTH]);
    const beheaded = await some((faces, tape) => {
      const mask = Float32Array.from({ length: 256 }, (_, i) => (i < 6 * 16 ? 1 : 0)); // 24 patches of 2×2 are 6 rows of pixels
      return multiply(tape, faces, tape.constant('mask', [1, 16, 16, 1], mask));
    });
    assert.equal(beheaded.values, upper.values);
  });

  test('the mean of the tokens stands for the face, behind a norm of its own', async (gpu) => {
    const mean = { ...OPTIONS, pooling: 'mean' } as const;
    // After initialisation norms scale by 1 and shift by 0, so that what went into them comes out of the last one normed, which has no parameter of its own.
    const parts = await run(gpu, (scope, faces) => backbones.vit.top(scope, backbones.vit.trunk(scope, faces, mean), mean).pooled);
    const last = await run(gpu, (scope, faces) => {
      const trunk = backbones.vit.trunk(scope, faces, mean);
      backbones.vit.top(scope, trunk, mean); // declares
      return transformerBlock(inside(scope, 'block4'), trunk, { heads: 3, dropPath: 0 });
    });
    const ones = new Float32Array(WIDTH).fill(1);
    for (const face of [0, 1]) {
      const means = Float64Array.from({ length: WIDTH }, (_, d) => {
        let sum = 0;
        for (let place = 1; place < 65; place++) sum += last.values[(face * 65 + place) * WIDTH + d];
        return sum / 64;
      });
      const wanted = layerNorm({ input: means, scale: ones, shift: new Float32Array(WIDTH), epsilon: 1e-6 });
      assertClose(parts.values.slice(face * WIDTH, (face + 1) * WIDTH), wanted, { relative: 1e-4, absolute: 1e-5 });
    }
  });

  test('layers are counted from the faces to the head', async () => {
    const layers = [
      'patches.weight',
      'class_token',
      'positions',
      'block1.norm1.scale',
      'block12.mlp.outer.bias',
      'fc_norm.scale',
      'head.weight',
    ];
    assert.equal(
      [...layers, 'auxiliary.projection.weight'].map((name) => layerOf(name, VISION_TRANSFORMERS['vit-base'])),
      [0, 0, 0, 1, 12, 13, 13, 13],
    );
  });

  test('encode asks for embedPatches before it', async (gpu) => {
    const tokens = (tape: Tape) => tape.input('tokens', [1, 4, WIDTH]);
    const parameters = Parameters.create();
    const tape = new Tape(gpu);
    await rejects(() => encode({ tape, parameters, path: '' }, tokens(tape), SIZES, OPTIONS), TypeError, 'class_token', 'embedPatches');
  });
});
