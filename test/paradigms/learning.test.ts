import { UsageError } from '#src/errors.js';
import type { FaceSet } from '#src/faces/face-set.js';
import type { Gpu } from '#src/gpu/gpu.js';
import type { ModelName } from '#src/nn/models.js';
import { OPTIMIZER_DEFAULTS } from '#src/optim/optimizer.js';
import { constantsOf, type ParadigmName, paradigms } from '#src/paradigms/index.js';
import { permutation } from '#src/random.js';
import { Learner, type LearnerOptions, type StepResult } from '#src/run/learner.js';
import { Predictor } from '#src/run/predictor.js';
import { DIRECTIONS, drawStripes, SIDE } from '../run/stripes.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';

const BATCH = 32;
const EPOCHS = 8;
const EXTENT = { height: SIDE, width: SIDE, channels: 1 as const };
const MODEL = { classes: DIRECTIONS, width: 0.25, dropout: 0 };

/** Accuracies to reach, of which guessing has 0.25: most learn quickly, some only begin to in so few steps. */
const LEAST = 0.65;
const LEAST_OF_SLOW: Partial<Record<ParadigmName, number>> = { 'ada-df': 0.35, lws: 0.35, pico: 0.45, 'label-queries': 0.5 };

/** Constants that make the later part of a method begin within the few epochs of this test. */
const SETTINGS: Partial<Record<ParadigmName, string>> = {
  moue: 'teacher=0.3', // all its parts
  scn: 'relabelEpoch=2',
  'ada-df': 'beta=2',
  dmue: 'ramp=2',
  eac: 'consistency=0.1', // mirroring changes the direction of a stripe, as it does not change an expression
};

/** Every paradigm, and what another constant makes another method of. */
const LEARNERS: [ParadigmName, settings: string][] = [
  ...(Object.keys(paradigms) as ParadigmName[]).map((name): [ParadigmName, string] => [name, SETTINGS[name] ?? '']),
  ['aleatoric', 'draws=10'],
];

/** Stripes with ten votes each: eight for their direction, two for any other. */
function facesOf(count: number, seed: number): FaceSet {
  const { pixels, labels } = drawStripes(count, seed);
  const classes = Array.from({ length: DIRECTIONS }, (_, i) => `direction ${i}`);
  const votes = new Float32Array(count * DIRECTIONS);
  labels.forEach((label, i) => {
    const [other] = permutation(seed, i, DIRECTIONS).filter((direction) => direction !== label);
    votes[i * DIRECTIONS + label] = 8;
    votes[i * DIRECTIONS + other] = 2;
  });
  const ids = Array.from(labels, (_, i) => `${i}`);
  return { name: 'stripes', classes, count, ...EXTENT, pixels, voteNames: classes, votes, ids, labels };
}

gpuSuite('paradigms', (test) => {
  const faces = facesOf(512, 1);
  const unseen = facesOf(256, 2);

  const optionsOf = (name: ParadigmName, settings = SETTINGS[name] ?? '', model: ModelName = 'small'): LearnerOptions => {
    const paradigm = paradigms[name];
    const constants = constantsOf(name, settings);
    const teacher = Float32Array.from(faces.votes, (share) => share / 10);
    return {
      model,
      modelOptions: MODEL,
      paradigm,
      constants,
      lesson: paradigm.lesson(faces, { constants, seed: 1, teacher }),
      optimizer: OPTIMIZER_DEFAULTS.sgd,
      ema: 0,
      batch: BATCH,
      seed: 1,
      source: EXTENT,
      input: EXTENT,
      augment: undefined,
    };
  };
  const create = (gpu: Gpu, name: ParadigmName, settings?: string) => Learner.create(gpu, faces.pixels, optionsOf(name, settings));

  const stepsPerEpoch = faces.count / BATCH;
  const learn = async (gpu: Gpu, learner: Learner, from: number, to: number): Promise<StepResult[]> => {
    const results: StepResult[] = [];
    for (let step = from; step < to; step++) {
      const epoch = Math.floor(step / stepsPerEpoch);
      const rows = permutation(1, epoch, faces.count)
        .slice((step % stepsPerEpoch) * BATCH)
        .slice(0, BATCH);
      const progress = { epoch: step / stepsPerEpoch, epochs: EPOCHS };
      results.push(await gpu.wait(learner.step({ step, epoch, learningRate: 0.05 * (1 - progress.epoch / EPOCHS), progress, rows })));
    }
    return results;
  };

  /** Share of unseen pictures whose direction is told. */
  const accuracyOf = async (gpu: Gpu, learner: Learner, name: ParadigmName): Promise<number> => {
    const options = {
      model: 'small',
      modelOptions: MODEL,
      paradigm: paradigms[name],
      batch: BATCH,
      source: EXTENT,
      input: EXTENT,
    } as const;
    const predictor = await Predictor.create(gpu, learner.average ?? learner.parameters, options);
    const probabilities = await predictor.predict(unseen);
    predictor.destroy();
    const told = Array.from(unseen.labels!).filter((label, i) => {
      const row = probabilities.subarray(i * DIRECTIONS, (i + 1) * DIRECTIONS);
      return row.indexOf(Math.max(...row)) === label;
    });
    return told.length / unseen.count;
  };

  test('eac refuses a network whose last layer does not read the feature map', async (gpu) => {
    await rejects(() => Learner.shaders(gpu, optionsOf('eac', '', 'vgg13')), UsageError, '--model', 'vgg13', 'resnet18');
  });

  test('pico leaves the confidences alone while its prototypes lie anywhere', async (gpu) => {
    const learner = await create(gpu, 'pico');
    const confidence = async () => (await learner.read()).kept.get('confidence')!.data;
    const first = await confidence();
    await learn(gpu, learner, 0, stepsPerEpoch);
    assert.equal(await confidence(), first);
    await learn(gpu, learner, stepsPerEpoch, stepsPerEpoch + 1);
    assert.not.equal(await confidence(), first);
    learner.destroy();
  });

  test('scn leaves the labels alone before the epoch of relabelling', async (gpu) => {
    const learner = await create(gpu, 'scn', 'relabelEpoch=1,relabelMargin=0');
    const labels = async () => (await learner.read()).kept.get('labels')!.data;
    const first = await labels();
    await learn(gpu, learner, 0, stepsPerEpoch);
    assert.equal(await labels(), first);
    await learn(gpu, learner, stepsPerEpoch, stepsPerEpoch + 1);
    assert.not.equal(await labels(), first);
    learner.destroy();
  });

  test('ldl-va trusts every label anew as it learns', async (gpu) => {
    const learner = await create(gpu, 'ldl-va');
    const trust = async () => [...(await learner.read()).kept.get('trust')!.data];
    assert.equal(await trust(), new Array(faces.count).fill(0.5));
    await learn(gpu, learner, 0, 1);
    assert.is((await trust()).filter((value) => value !== 0.5).length, BATCH);
    learner.destroy();
  });

  for (const [name, settings] of LEARNERS) {
    test(`${[name, settings].filter(Boolean).join(' ')} learns directions from votes, and goes on after a break bit by bit`, async (gpu) => {
      const learner = await create(gpu, name, settings);
      await learn(gpu, learner, 0, 2 * stepsPerEpoch + 3);
      const saved = await learner.read();
      const rest = await learn(gpu, learner, 2 * stepsPerEpoch + 3, EPOCHS * stepsPerEpoch);
      for (const { loss, gradientNorm } of rest) assert.ok(Number.isFinite(loss) && Number.isFinite(gradientNorm));
      const accuracy = await accuracyOf(gpu, learner, name);
      learner.destroy();
      const resumed = await create(gpu, name, settings);
      resumed.write(saved);
      assert.equal(await learn(gpu, resumed, 2 * stepsPerEpoch + 3, 3 * stepsPerEpoch), rest.slice(0, stepsPerEpoch - 3));
      resumed.destroy();
      assert.ok(accuracy > (LEAST_OF_SLOW[name] ?? LEAST), `accuracy ${accuracy}`);
    });
  }
});
