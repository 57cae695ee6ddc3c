import { ShapeError, UsageError } from '#src/errors.js';
import type { FaceSet } from '#src/faces/face-set.js';
import type { Gpu } from '#src/gpu/gpu.js';
import type { ModelName } from '#src/nn/models.js';
import { OPTIMIZER_DEFAULTS } from '#src/optim/optimizer.js';
import { constantsOf, type ParadigmName, paradigms } from '#src/paradigms/index.js';
import { permutation } from '#src/random.js';
import { Learner, type LearnerOptions, type StepResult } from '#src/run/learner.js';
import { Predictor } from '#src/run/predictor.js';
import { AUGMENTATIONS } from '#src/tensor/ops/augment.js';
import { DIRECTIONS, drawStripes, SIDE } from '../run/stripes.js';
import { assert, gpuSuite, rejects } from '../support/suite.js';
import { assertClose } from '../support/tensors.js';

const BATCH = 32;
const EPOCHS = 8;
const EXTENT = { height: SIDE, width: SIDE, channels: 1 as const };
const MODEL = { classes: DIRECTIONS, width: 0.25, dropout: 0 };

/** Accuracies to reach, of which guessing has 0.25: most learn quickly, some only begin to in so few steps. */
const LEAST = 0.65;
const LEAST_OF_SLOW: Partial<Record<ParadigmName, number>> = { 'ada-df': 0.35, lws: 0.35, pico: 0.45 };

/** Constants that make the later part of a method begin within the few epochs of this test. */
const SETTINGS: Partial<Record<ParadigmName, string>> = {
  moue: 'agreement=0.2,teacher=0.3,doubt=0.1', // all its parts
  scn: 'relabelEpoch=2',
  'ada-df': 'beta=2',
  dmue: 'ramp=2',
  'pll-mim': 'initial=1', // even confidences become uneven in more epochs than these
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

  const optionsOf = (name: ParadigmName, settings = SETTINGS[name] ?? '', model: ModelName = 'small', taught = faces): LearnerOptions => {
    const paradigm = paradigms[name];
    const constants = constantsOf(name, settings);
    const teacher = Float32Array.from(faces.votes, (share) => share / 10);
    return {
      model,
      modelOptions: MODEL,
      paradigm,
      constants,
      lesson: paradigm.lesson(taught, { constants, seed: 1, teacher }),
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
      constants: constantsOf(name, SETTINGS[name] ?? ''),
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

  test('moue decides between candidates by what it says of a face, and leaves shares of votes alone', async (gpu) => {
    const candidates = { ...faces, votes: faces.votes.map((votes) => Math.min(votes, 2)), areCandidates: true };
    const accuracyWith = async (settings: string) => {
      const learner = await Learner.create(gpu, faces.pixels, optionsOf('moue', settings, 'small', candidates));
      await learn(gpu, learner, 0, EPOCHS * stepsPerEpoch);
      const accuracy = await accuracyOf(gpu, learner, 'moue');
      learner.destroy();
      return accuracy;
    };
    const [resolved, even] = [await accuracyWith(''), await accuracyWith('resolve=0')];
    assert.ok(resolved > LEAST, `${resolved}, and ${even} where candidates stay even`);

    const lessonFrom = (taught: FaceSet, settings: string) => optionsOf('moue', settings, 'small', taught).lesson.tables!.resolve;
    assert.equal([...lessonFrom(candidates, '').slice(0, 2)], [1, 1]);
    assert.equal([lessonFrom(candidates, 'resolve=0'), lessonFrom(faces, '')], [undefined, undefined]);
    assert.equal([...lessonFrom(faces, 'doubt=0.3').slice(0, 2)], [0, 0]);
  });

  test('moue adds to its loss how far two views of a face are from what they say together', async (gpu) => {
    const firstLoss = async (consistency: number, augment: LearnerOptions['augment']) => {
      const learner = await Learner.create(gpu, faces.pixels, { ...optionsOf('moue', `consistency=${consistency}`), augment });
      const [{ loss }] = await learn(gpu, learner, 0, 1);
      learner.destroy();
      return loss;
    };
    const [little, one, two] = [
      await firstLoss(1e-6, AUGMENTATIONS.strong),
      await firstLoss(1, AUGMENTATIONS.strong),
      await firstLoss(2, AUGMENTATIONS.strong),
    ];
    assert.ok(one - little > 1e-3, `${one} with consistency, ${little} without`);
    assertClose([two - one], [one - little], { relative: 1e-2 });
    // Views that are the same have nothing to teach.
    assertClose([await firstLoss(2, undefined)], [await firstLoss(0, undefined)], { relative: 1e-5 });
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

  test('pll-mim moves the confidences of the batch a little, within their candidates, and those of no other face', async (gpu) => {
    const learner = await create(gpu, 'pll-mim', 'begin=0.9,initial=1');
    const confidence = async () => (await learner.read()).kept.get('confidence')!.data as Float32Array;
    const first = await confidence();
    assertClose(first.slice(0, DIRECTIONS).toSorted(), [0, 0, 0.2, 0.8]);
    await learn(gpu, learner, 0, 1);
    const second = await confidence();
    const rows = permutation(1, 0, faces.count).slice(0, BATCH);
    for (let row = 0; row < faces.count; row++) {
      const [before, after] = [first, second].map((table) => table.slice(row * DIRECTIONS, (row + 1) * DIRECTIONS));
      if (!rows.includes(row)) assert.equal(after, before);
      else {
        assert.not.equal(after, before);
        after.forEach((share, c) => {
          // 0.9 of what was, and a tenth of something from 0 to 1.
          assert.ok(
            share >= 0.9 * before[c] - 1e-6 && share <= 0.9 * before[c] + (before[c] > 0 ? 0.1 : 0) + 1e-6,
            `${share} from ${before[c]}`,
          );
        });
        assertClose([after.reduce((a, b) => a + b)], [1]);
      }
    }
    learner.destroy();
  });

  test('the parts of pll-mim can be left out, and what they need with them', async (gpu) => {
    const observe = async (settings: string) => {
      const learner = await create(gpu, 'pll-mim', settings);
      const [{ loss }] = await learn(gpu, learner, 0, 1);
      const { kept, weights } = await learner.read();
      learner.destroy();
      return { loss, kept: [...kept.keys()], weights: [...weights.keys()].map((name) => name.split('.').slice(0, 3).join('.')) };
    };
    const whole = await observe('');
    assert.equal(whole.kept, ['confidence']);
    assert.ok(whole.weights.includes('auxiliary.label_queries.layer2') && !whole.weights.includes('head.weight'));

    const plain = await observe('decoder=0');
    assert.ok(plain.weights.includes('head.weight') && !plain.weights.some((name) => name.startsWith('auxiliary')));
    assert.is((await observe('decoder=0,uniformity=0')).loss, plain.loss);

    const fixed = await observe('disambiguation=0');
    assert.equal(fixed.kept, []);
    assert.is((await observe('begin=1,end=1')).loss, fixed.loss); // confidences that keep all that they were
    assert.is.not(fixed.loss, whole.loss);
    assert.is.not((await observe('disambiguation=0,initial=1')).loss, fixed.loss);

    const uneven = await observe('uniformity=0');
    assert.ok(uneven.loss > whole.loss + 0.5, `${uneven.loss} and ${whole.loss}`); // the logarithm of a mean of exp(−2 d²) is far below 0
    assert.not((await observe('layers=1')).weights.includes('auxiliary.label_queries.layer2'));
    await rejects(() => Learner.shaders(gpu, optionsOf('pll-mim', 'heads=3')), ShapeError, 'width 128 with 3 heads');
  });

  test('pll-mim begins with even confidences, those of the votes, or some of both', async () => {
    const three = { ...faces, count: 3, votes: Float32Array.of(6, 3, 1, 0, 0, 10, 0, 0, 2, 2, 4, 2) };
    const confidenceBy = (settings: string) => {
      const constants = constantsOf('pll-mim', settings);
      return paradigms['pll-mim'].lesson(three, { constants, seed: 1, teacher: undefined }).tables!.confidence;
    };
    assertClose(confidenceBy(''), [0.5, 0.5, 0, 0, 0, 1, 0, 0, 0.25, 0.25, 0.25, 0.25]);
    assertClose(confidenceBy('initial=1'), [2 / 3, 1 / 3, 0, 0, 0, 1, 0, 0, 0.2, 0.2, 0.4, 0.2]);
    assertClose(confidenceBy('initial=0.5'), [7 / 12, 5 / 12, 0, 0, 0, 1, 0, 0, 0.225, 0.225, 0.325, 0.225]);
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
