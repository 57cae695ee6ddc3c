import type { FaceSet } from '#src/faces/face-set.js';
import { models } from '#src/nn/models.js';
import { Parameters } from '#src/nn/parameters.js';
import { paradigms } from '#src/paradigms/index.js';
import { normal } from '#src/random.js';
import { Corrupter, corruptedFace } from '#src/run/corrupter.js';
import { Predictor } from '#src/run/predictor.js';
import { faceStatistics } from '#src/tensor/ops/augment.js';
import { Tape } from '#src/tensor/tape.js';
import { persistentTensor } from '#src/tensor/tensor.js';
import { assert, gpuSuite } from '../support/suite.js';
import { assertClose } from '../support/tensors.js';
import { drawStripes, SIDE } from './stripes.js';

const { pixels } = drawStripes(7, 2);
const faces: FaceSet = {
  name: 'stripes',
  classes: ['a', 'b', 'c'],
  count: 7,
  height: SIDE,
  width: SIDE,
  channels: 1,
  pixels,
  voteNames: ['a', 'b', 'c'],
  votes: new Float32Array(21),
  ids: Array.from({ length: 7 }, (_, face) => String(face)),
};
const noise = { name: 'gaussian-noise', severity: 4, seed: 3 } as const;

gpuSuite('corrupter', (test) => {
  test('writes bytes and their statistics, a face alike alone and in its batch', async (gpu) => {
    const into = { words: persistentTensor('words', [SIDE * SIDE], 'u32'), statistics: persistentTensor('statistics', [4, 2]) };
    const corrupter = await Corrupter.create(gpu, noise, 4, faces, into);
    const words = new Uint32Array(into.words.size);
    new Uint8Array(words.buffer).set(pixels.subarray(2 * SIDE * SIDE, 6 * SIDE * SIDE));
    corrupter.run(words, 2);
    const bytes = new Uint8Array(await corrupter.read(into.words));
    const statistics = new Float32Array(await corrupter.read(into.statistics));
    assertClose(statistics, faceStatistics(bytes, 4), { relative: 1e-5, absolute: 0 });
    assertClose(await corruptedFace(gpu, faces, 5, noise), bytes.subarray(3 * SIDE * SIDE), { relative: 0, absolute: 0 });
    corrupter.destroy();
    for (const tensor of Object.values(into)) tensor.storage?.destroy(gpu);
  });

  test('a predictor sees corrupted faces as it would see them in a file', async (gpu) => {
    const source = { height: SIDE, width: SIDE, channels: 1 };
    const modelOptions = { classes: 3, width: 0.25, dropout: 0 };
    const parameters = Parameters.create();
    models.small({ tape: new Tape(gpu), parameters, path: '' }, new Tape(gpu).input('faces', [1, SIDE, SIDE, 1]), modelOptions);
    parameters.initialise(gpu, (stream, index) => normal(1, stream, index));
    const predictor = await Predictor.create(gpu, parameters, {
      model: 'small',
      modelOptions,
      paradigm: paradigms.distribution,
      constants: {},
      batch: 4,
      source,
      input: source,
    });
    const clean = await predictor.predict(faces);
    const corrupted = await predictor.predict(faces, undefined, noise);
    const stored = new Uint8Array(pixels.length);
    for (let face = 0; face < faces.count; face++) stored.set(await corruptedFace(gpu, faces, face, noise), face * SIDE * SIDE);
    assertClose(corrupted, await predictor.predict({ ...faces, pixels: stored }), { relative: 1e-4, absolute: 1e-6 });
    assert.ok(corrupted.some((value, i) => Math.abs(value - clean[i]) > 1e-3));
    assertClose(await predictor.predict(faces), clean, { relative: 0, absolute: 0 });
    predictor.destroy();
    parameters.destroy(gpu);
  });
});
