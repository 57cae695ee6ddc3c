import type { FaceSet } from '#src/faces/face-set.js';
import type { Gpu } from '#src/gpu/gpu.js';
import { oneHots } from '#src/labels/one-hot.js';
import { OPTIMIZER_DEFAULTS } from '#src/optim/optimizer.js';
import { ferPlusCrossEntropy } from '#src/paradigms/ferplus.js';
import { permutation } from '#src/random.js';
import { Learner, type LearnerOptions, type StepResult } from '#src/run/learner.js';
import { Predictor } from '#src/run/predictor.js';
import { AUGMENTATIONS } from '#src/tensor/ops/augment.js';
import { assert, gpuSuite } from '../support/suite.js';
import { DIRECTIONS, drawStripes, SIDE, type Stripes } from './stripes.js';

const BATCH = 32;
const EXTENT = { height: SIDE, width: SIDE, channels: 1 as const };
const MODEL = { classes: DIRECTIONS, width: 0.25, dropout: 0 };

const PLAIN: LearnerOptions = {
  model: 'small',
  modelOptions: MODEL,
  paradigm: ferPlusCrossEntropy,
  optimizer: { ...OPTIMIZER_DEFAULTS.sgd },
  ema: 0,
  batch: BATCH,
  seed: 1,
  source: EXTENT,
  input: EXTENT,
  augment: undefined,
};

/** Everything that draws random numbers or keeps state between steps. */
const FULL: LearnerOptions = {
  ...PLAIN,
  modelOptions: { ...MODEL, dropout: 0.3 },
  optimizer: { ...OPTIMIZER_DEFAULTS.adamw, clipNorm: 1 },
  ema: 0.9,
  augment: AUGMENTATIONS.light,
};

/** Passes over the pictures in an order drawn anew each time. */
async function learn(
  gpu: Gpu,
  learner: Learner,
  { labels }: Stripes,
  { from = 0, to, learningRate = 0.05 }: { from?: number; to: number; learningRate?: number },
): Promise<StepResult[]> {
  const stepsPerEpoch = Math.floor(labels.length / BATCH);
  const results: StepResult[] = [];
  for (let step = from; step < to; step++) {
    const epoch = Math.floor(step / stepsPerEpoch);
    const first = (step % stepsPerEpoch) * BATCH;
    const faces = permutation(1, epoch, labels.length).slice(first, first + BATCH);
    const targets = oneHots(
      Array.from(faces, (face) => labels[face]!),
      DIRECTIONS,
    );
    results.push(await gpu.wait(learner.step({ step, epoch, learningRate, faces, targets })));
  }
  return results;
}

/** Share of the pictures whose direction the model tells, in evaluation mode. */
async function accuracy(gpu: Gpu, learner: Learner, { pixels, labels }: Stripes): Promise<number> {
  const predictor = await Predictor.create(gpu, learner.parameters, {
    model: 'small',
    modelOptions: MODEL,
    batch: BATCH,
    source: EXTENT,
    input: EXTENT,
  });
  const probabilities = await predictor.predict(faceSet(pixels, labels.length));
  predictor.destroy();
  const told = labels.filter((label, i) => {
    const row = probabilities.subarray(i * DIRECTIONS, (i + 1) * DIRECTIONS);
    return row.indexOf(Math.max(...row)) === label;
  });
  return told.length / labels.length;
}

function faceSet(pixels: Uint8Array, count: number): FaceSet {
  const classes = Array.from({ length: DIRECTIONS }, (_, i) => `direction ${i}`);
  return { name: 'stripes', classes, count, ...EXTENT, pixels, voteNames: classes, votes: new Float32Array(count * DIRECTIONS), ids: [] };
}

gpuSuite('learner', (test) => {
  const pictures = drawStripes(512, 1);

  test('probe', async (gpu) => {
    const unseen = drawStripes(256, 2);
    for (const seed of [1, 2, 3]) {
      const learner = await Learner.create(gpu, pictures.pixels, { ...PLAIN, seed });
      for (let s = 0; s < 96; s += 16) {
        const start = performance.now();
        const results = await learn(gpu, learner, pictures, { from: s, to: s + 16 });
        console.log(
          seed,
          s + 16,
          (results.reduce((a, r) => a + r.loss, 0) / 16).toFixed(3),
          (performance.now() - start).toFixed(0),
          'ms',
          await accuracy(gpu, learner, unseen),
        );
      }
      learner.destroy();
    }
    const wrong = { ...pictures, labels: pictures.labels.map((_, i) => (i >> 2) % 4) };
    const learner = await Learner.create(gpu, pictures.pixels, PLAIN);
    const results = await learn(gpu, learner, wrong, { to: 96 });
    console.log(results.slice(-16).reduce((a, r) => a + r.loss, 0) / 16, await accuracy(gpu, learner, unseen));
    learner.destroy();
  });
});
void FULL;
