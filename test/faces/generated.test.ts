import { blend } from '#src/faces/action-units.js';
import { perceived, reliability, vote } from '#src/faces/annotators.js';
import { openDataset } from '#src/faces/dataset.js';
import { EXPRESSIONS } from '#src/faces/expressions.js';
import { NO_LABEL, pixelsOf } from '#src/faces/face-set.js';
import { generateFace } from '#src/faces/generated.js';
import { distributions, plurality } from '#src/labels/votes.js';
import { uniform } from '#src/random.js';
import { assert, suite } from '../support/suite.js';
import { assertClose } from '../support/tensors.js';
import { OPTIONS } from './fixtures.js';

const sum = (values: ArrayLike<number>) => Array.from(values).reduce((left, right) => left + right, 0);
const pure = (index: number) => EXPRESSIONS.map((_, other) => (other === index ? 1 : 0));

suite('generated faces', (test) => {
  test('are a pure function of seed and index', () => {
    const face = generateFace(7, 123, 48, 1);
    generateFace(8, 5, 48, 1);
    assert.equal(generateFace(7, 123, 48, 1), face);
    for (const [seed, index] of [
      [8, 123],
      [7, 124],
    ]) {
      const other = generateFace(seed, index, 48, 1);
      assert.not.equal(other.pixels, face.pixels);
      assert.not.equal(other.mixture, face.mixture);
    }
  });

  test('mean the same in every size and colour', () => {
    const grey = generateFace(1, 9, 48, 1);
    for (const other of [generateFace(1, 9, 64, 1), generateFace(1, 9, 20, 3)]) {
      assert.equal([other.mixture, other.votes, other.label], [grey.mixture, grey.votes, grey.label]);
    }
    assert.is(generateFace(1, 9, 20, 3).pixels.length, 20 * 20 * 3);
  });

  test('in colour look like those in grey', () => {
    let difference = 0;
    for (let index = 0; index < 20; index++) {
      const grey = generateFace(1, index, 32, 1).pixels;
      const color = generateFace(1, index, 32, 3).pixels;
      grey.forEach((value, at) => {
        difference += Math.abs(value - (0.299 * color[3 * at] + 0.587 * color[3 * at + 1] + 0.114 * color[3 * at + 2]));
      });
    }
    assert.ok(difference / (20 * 32 * 32) < 3, `${difference / (20 * 32 * 32)} grey levels on average`);
  });

  test('have a truth and ten votes that are distributions', () => {
    for (let index = 0; index < 200; index++) {
      const { mixture, truth, votes, difficulty } = generateFace(2, index, 8, 1);
      assertClose([sum(mixture), sum(truth)], [1, 1]);
      assert.ok(mixture.every((share) => share >= 0) && truth.every((share) => share > 0 || share === 0));
      assert.is(sum(votes), 10);
      assert.is(votes.length, 10);
      assert.ok(difficulty >= 0 && difficulty <= 1);
    }
  });

  test('are unbalanced, mostly clear, and often really mixed', () => {
    const counts = new Array<number>(8).fill(0);
    let mixed = 0;
    let hard = 0;
    for (let index = 0; index < 2000; index++) {
      const { mixture, difficulty } = generateFace(3, index, 8, 1);
      counts[plurality(mixture)]++;
      if (Math.max(...mixture) < 0.7) mixed++;
      if (difficulty >= 0.5) hard++;
    }
    assert.ok(counts[0] > 400 && counts[1] > 300, `${counts}`);
    for (const rare of [5, 6, 7]) assert.ok(counts[rare] > 10 && counts[rare] < 150, `${counts}`);
    assert.ok(mixed > 300 && mixed < 900, `${mixed} of 2000 are mixed`);
    assert.ok(hard > 300 && hard < 500, `${hard} of 2000 are hard`);
  });

  test('are voted on from their truth: votes of many faces agree with it, and unknown is for hard faces', async () => {
    const { train } = await openDataset('generated', { ...OPTIONS, size: 8, count: 3000, validationShare: 0.1 });
    const shares = distributions(train.votes, 10, 8);
    const voted = new Array<number>(8).fill(0);
    const true_ = new Array<number>(8).fill(0);
    let same = 0;
    for (let face = 0; face < train.count; face++) {
      const [given, truth] = [shares.subarray(face * 8, face * 8 + 8), train.truth!.subarray(face * 8, face * 8 + 8)];
      given.forEach((share, index) => {
        voted[index] += share / train.count;
        true_[index] += truth[index] / train.count;
      });
      if (plurality(given) === plurality(truth)) same++;
    }
    // Blind votes, an eighth of all, are spread evenly.
    assertClose(
      voted,
      true_.map((share) => 0.88 * share + 0.12 / 8),
      { relative: 0, absolute: 0.03 },
    );
    assert.ok(same / train.count > 0.8 && same / train.count < 0.95, `${same / train.count} of the pluralities are the truth's`);
  });

  test('are seen through a confusion that grows with difficulty', () => {
    const clear = perceived(pure(6), 0);
    const hard = perceived(pure(6), 1);
    assert.is(plurality(clear), 6);
    assert.ok(clear[2] > 0.2, 'fear is taken for surprise');
    assert.ok(hard[6] < clear[6] && hard[2] > clear[2]);
    for (let shown = 0; shown < 8; shown++) assertClose([sum(perceived(pure(shown), 0.3))], [1]);
  });

  test('have annotators who see, guess, or find nothing to tell', () => {
    const truth = pure(3);
    const count = (difficulty: number, reliable: number) => {
      const votes = new Array<number>(10).fill(0);
      for (let draw = 0; draw < 4000; draw++)
        votes[
          vote(
            truth,
            difficulty,
            reliable,
            [0, 1, 2, 3].map((which) => uniform(5, 99, draw, which)),
          )
        ]++;
      return votes.map((votesFor) => votesFor / 4000);
    };
    assertClose(count(0, 1), [0, 0, 0, 0.996, 0, 0, 0, 0, 0.004, 0], { relative: 0, absolute: 0.01 });
    const [blind, unsure] = [count(0, 0), count(1, 1)];
    assertClose(blind.slice(0, 8), Array(8).fill(0.1245), { relative: 0, absolute: 0.02 });
    assertClose(unsure, [0, 0, 0, 0.866, 0, 0, 0, 0, 0.124, 0.01], { relative: 0, absolute: 0.02 });
    assert.equal([reliability(0), reliability(1)], [1, 0.75]);
  });

  test('move by the action units of their mixture', () => {
    const half = blend(pure(2).map((share, index) => (index === 0 ? 0.5 : share / 2)));
    const whole = blend(pure(2));
    assert.ok(whole.jawDrop > 0.5 && whole.innerBrowRaiser > 0.5 && whole.lipCornerPuller === 0);
    assertClose([half.jawDrop, half.upperLidRaiser], [whole.jawDrop / 2, whole.upperLidRaiser / 2]);
  });

  test('make a dataset whose splits do not depend on its size', async () => {
    const progress: number[] = [];
    const small = await openDataset('generated', { ...OPTIONS, size: 16, count: 40, onProgress: (done) => progress.push(done) });
    const large = await openDataset('generated', { ...OPTIONS, size: 16, count: 80 });
    assert.equal([small.train.count, small.validation.count, small.test.count], [20, 10, 10]);
    assert.equal([large.train.count, large.validation.count, large.test.count], [40, 20, 20]);
    for (const role of ['train', 'validation', 'test'] as const) {
      assert.equal(pixelsOf(large[role], 9), pixelsOf(small[role], 9), role);
      assert.is(small[role].ids[9], `generated ${role} face 9`);
    }
    assert.not.equal(pixelsOf(small.train, 0), pixelsOf(small.test, 0));
    assert.ok(small.train.labels!.every((label) => label < 8 || label === NO_LABEL));
    assert.equal(progress, [40]);
  });
});
