import type { Gpu } from '#src/gpu/gpu.js';
import { OPTIMIZER_DEFAULTS } from '#src/optim/optimizer.js';
import { maskedImages } from '#src/paradigms/masked-images.js';
import { permutation } from '#src/random.js';
import { Learner, type LearnerOptions } from '#src/run/learner.js';
import { AUGMENTATIONS } from '#src/tensor/ops/augment.js';
import { assert, gpuSuite } from '../support/suite.js';

const [SIDE, COUNT, BATCH] = [16, 64, 16];
const EXTENT = { height: SIDE, width: SIDE, channels: 1 as const };

/** The same waves in all pictures. */
const waves = Uint8Array.from({ length: COUNT * SIDE * SIDE }, (_, i) => {
  const [x, y] = [i % SIDE, Math.floor(i / SIDE) % SIDE];
  return Math.round(128 + 100 * Math.sin(0.4 * x + 0.3 * y));
});

const OPTIONS: LearnerOptions = {
  model: 'vit',
  modelOptions: { classes: 1, width: 0.25, dropout: 0 },
  paradigm: maskedImages,
  constants: { hidden: 0.75, decoderDepth: 1 },
  lesson: { faces: Uint32Array.from({ length: COUNT }, (_, face) => face), targets: new Float32Array(COUNT) },
  optimizer: { ...OPTIMIZER_DEFAULTS.adamw, beta2: 0.95 },
  ema: 0,
  batch: BATCH,
  seed: 1,
  source: EXTENT,
  input: EXTENT,
  augment: undefined,
};

async function learn(gpu: Gpu, learner: Learner, from: number, to: number): Promise<number[]> {
  const losses: number[] = [];
  for (let step = from; step < to; step++) {
    const epoch = Math.floor(step / (COUNT / BATCH));
    const rows = permutation(1, epoch, COUNT)
      .slice((step % (COUNT / BATCH)) * BATCH)
      .slice(0, BATCH);
    const learningRate = 0.003 * Math.min(1, (step + 1) / 8);
    losses.push((await gpu.wait(learner.step({ step, epoch, learningRate, progress: { epoch, epochs: 20 }, rows }))).loss);
  }
  return losses;
}

gpuSuite('masked images', (test) => {
  // Seen: 0.13.
  test('teach where in a picture what is found', async (gpu) => {
    const learner = await Learner.create(gpu, waves, OPTIONS);
    const losses = await learn(gpu, learner, 0, 80);
    const last = losses.slice(-8).reduce((sum, loss) => sum + loss, 0) / 8;
    assert.ok(losses[0]! > 1 && last < 0.4, `losses from ${losses[0]} to ${last}; blank patches have 0.75`);
    learner.destroy();
  });

  test('take less memory with recomputation, and teach the same; the shaders are told before there are faces', async (gpu) => {
    const plain = await Learner.create(gpu, waves, OPTIONS);
    const used = new Set(plain.program.launches.map(({ shader }) => shader.text));
    assert.equal(new Set(Learner.shaders(gpu, OPTIONS).map(({ text }) => text)), used);
    const recomputing = await Learner.create(gpu, waves, { ...OPTIONS, recompute: true });
    assert.ok(recomputing.program.memory.peakBytes < plain.program.memory.peakBytes);
    assert.equal(await learn(gpu, recomputing, 0, 3), await learn(gpu, plain, 0, 3));
    plain.destroy();
    recomputing.destroy();
  });

  test('a new learner that takes up the state goes on bit by bit', async (gpu) => {
    const options = { ...OPTIONS, augment: AUGMENTATIONS.crop };
    const unbroken = await Learner.create(gpu, waves, options);
    await learn(gpu, unbroken, 0, 2);
    const saved = await unbroken.read();
    const rest = await learn(gpu, unbroken, 2, 6);
    const resumed = await Learner.create(gpu, waves, options);
    resumed.write(saved);
    assert.equal(await learn(gpu, resumed, 2, 6), rest);
    assert.equal(await resumed.read(), await unbroken.read());
    unbroken.destroy();
    resumed.destroy();
  });
});
