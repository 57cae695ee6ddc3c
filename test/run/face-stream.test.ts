import type { FaceSet } from '#src/faces/face-set.js';
import { pixelsOf } from '#src/faces/face-set.js';
import { packFaces } from '#src/faces/packed-faces.js';
import { oneHots } from '#src/labels/one-hot.js';
import { OPTIMIZER_DEFAULTS } from '#src/optim/optimizer.js';
import { ferPlusCrossEntropy } from '#src/paradigms/ferplus.js';
import { permutation } from '#src/random.js';
import { FaceStream } from '#src/run/face-stream.js';
import { Learner, STEPS_IN_FLIGHT } from '#src/run/learner.js';
import { AUGMENTATIONS } from '#src/tensor/ops/augment.js';
import { inFolder, png, write } from '../faces/fixtures.js';
import { assert, gpuSuite, suite } from '../support/suite.js';

const SIDE = 13; // 13 × 13 × 3 bytes are no whole number of words
const BATCH = 5;
const COUNT = 24;

/** Faces of noise, in memory or packed into a file. */
async function noiseFaces(folder: string | undefined): Promise<FaceSet> {
  const value = (face: number, i: number) => (Math.imul(face * 1009 + i + 1, 0x9e3779b1) >>> 24) & 255;
  const memory = Uint8Array.from({ length: COUNT * SIDE * SIDE * 3 }, (_, i) =>
    value(Math.floor(i / (SIDE * SIDE * 3)), i % (SIDE * SIDE * 3)),
  );
  const set: FaceSet = {
    ...{ name: 'noise', classes: ['a', 'b', 'c'], voteNames: ['a', 'b', 'c'], count: COUNT, height: SIDE, width: SIDE, channels: 3 },
    ...{ pixels: memory, votes: new Float32Array(COUNT * 3), ids: Array.from({ length: COUNT }, (_, i) => `${i}`) },
  };
  if (!folder) return set;
  const jobs = set.ids.map((id, face) => {
    const pixels = pixelsOf(set, face);
    return {
      file: write(
        folder,
        `${id}.png`,
        png(SIDE, SIDE, (x, y) => [...pixels.subarray(3 * (y * SIDE + x), 3 * (y * SIDE + x) + 3)]),
      ),
    };
  });
  const { pixels } = await packFaces(jobs, { dataset: folder, size: SIDE, channels: 3 });
  return { ...set, pixels };
}

const batchOf = (step: number) => permutation(3, Math.floor(step / 4), COUNT).slice((step % 4) * BATCH, ((step % 4) + 1) * BATCH);

suite('face stream', (test) => {
  for (const where of ['memory', 'a file'] as const) {
    test(`gives the pixels of each batch from ${where}, also where it was not told of it before`, () =>
      inFolder(async (folder) => {
        const faces = await noiseFaces(where === 'memory' ? undefined : folder);
        const stream = new FaceStream(faces, BATCH);
        const given: Uint8Array[] = [];
        for (let step = 0; step < 12; step++) {
          const next = step % 5 === 4 ? undefined : step % 5 === 2 ? batchOf(step + 7) : batchOf(step + 1); // none, a wrong one, the right one
          given.push(await stream.take(batchOf(step), next));
          const from = Math.max(0, step + 1 - STEPS_IN_FLIGHT);
          for (let held = from; held <= step; held++) {
            const expected = Buffer.concat([...batchOf(held)].map((face) => pixelsOf(faces, face)));
            const bytes = given[held].subarray(0, expected.length);
            assert.ok(expected.equals(bytes), `step ${held} at step ${step}`);
          }
          assert.is(given[step].length % 4, 0);
        }
      }));
  }
});

gpuSuite('streamed learner', (test) => {
  const options = {
    model: 'small',
    modelOptions: { classes: 3, width: 0.25, dropout: 0.2 },
    paradigm: ferPlusCrossEntropy,
    constants: {},
    optimizer: { ...OPTIMIZER_DEFAULTS.adamw, clipNorm: 1 },
    ema: 0.9,
    batch: BATCH,
    seed: 4,
    source: { height: SIDE, width: SIDE, channels: 3 },
    input: { height: 16, width: 16, channels: 3 },
    augment: AUGMENTATIONS.strong,
  } as const;

  const lessonOf = ({ count }: FaceSet) => {
    const faces = Uint32Array.from({ length: count }, (_, face) => face);
    return {
      faces,
      targets: oneHots(
        faces.map((face) => face % 3),
        3,
      ),
    };
  };

  test('learns the same losses and weights bit by bit as with faces that stay on the device', (gpu) =>
    inFolder(async (folder) => {
      const results = [];
      for (const streamed of [false, true]) {
        const faces = await noiseFaces(streamed ? folder : undefined);
        const learner = await Learner.create(gpu, faces.pixels, { ...options, lesson: lessonOf(faces), streamed });
        const stream = new FaceStream(faces, BATCH);
        const losses = [];
        for (let step = 0; step < 9; step++) {
          const chosen = batchOf(step);
          const pixels = streamed ? await stream.take(chosen, batchOf(step + 1)) : undefined;
          const batch = {
            step,
            epoch: Math.floor(step / 4),
            learningRate: 0.01,
            progress: { epoch: step / 4, epochs: 3 },
            rows: chosen,
            pixels,
          };
          losses.push(await gpu.wait(learner.step(batch)));
        }
        results.push({ losses, state: await learner.read() });
        learner.destroy();
      }
      const [resident, streamed] = results;
      assert.equal(streamed.losses, resident.losses);
      assert.equal(streamed.state, resident.state);
      assert.ok(new Set(resident.losses.map(({ loss }) => loss)).size === 9);
    }));

  test('wants the pixels of each batch', async (gpu) => {
    const faces = await noiseFaces(undefined);
    const learner = await Learner.create(gpu, faces.pixels, { ...options, lesson: lessonOf(faces), streamed: true });
    const batch = { step: 0, epoch: 0, learningRate: 0.01, progress: { epoch: 0, epochs: 1 }, rows: batchOf(0) };
    assert.throws(() => learner.step(batch), /with their pixels/);
    learner.destroy();
  });
});
