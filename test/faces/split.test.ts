import { copiedFaces, pixelDigests } from '#src/faces/duplicates.js';
import { type FaceSet, selectFaces } from '#src/faces/face-set.js';
import { splitFaces, stratifiedSample } from '#src/faces/split.js';
import { assert, suite } from '../support/suite.js';
import { OPTIONS } from './fixtures.js';

/** Faces of one pixel; their votes are for `strata`. */
function faceSet(pixels: readonly number[], strata: readonly number[]): FaceSet {
  const votes = new Float32Array(strata.length * 2);
  strata.forEach((stratum, face) => {
    votes[face * 2 + stratum] = 1;
  });
  return {
    name: 'dots',
    classes: ['happiness', 'fear'],
    count: pixels.length,
    height: 1,
    width: 1,
    channels: 1,
    pixels: Uint8Array.from(pixels),
    voteNames: ['happiness', 'fear'],
    votes,
    ids: pixels.map((_, face) => `face ${face}`),
  };
}

const range = (count: number) => Array.from({ length: count }, (_, index) => index);

suite('split', (test) => {
  test('takes the same share of every stratum', () => {
    const strata = range(1000).map((face) => (face % 10 === 0 ? 1 : 0));
    const sample = stratifiedSample(range(1000), strata, range(1000).map(String), 0.1, 5, 0);
    assert.is(sample.size, 100);
    assert.is([...sample].filter((face) => strata[face] === 1).length, 10);
  });

  test('depends on the seed and the stream, and on nothing else', () => {
    const draw = (seed: number, stream: number) =>
      [...stratifiedSample(range(100), Array(100).fill(0), range(100).map(String), 0.2, seed, stream)].sort((a, b) => a - b);
    assert.equal(draw(1, 0), draw(1, 0));
    assert.not.equal(draw(1, 0), draw(2, 0));
    assert.not.equal(draw(1, 0), draw(1, 1));
    assert.ok(draw(1, 0).some((face) => face < 50) && draw(1, 0).some((face) => face >= 50));
  });

  test('keeps groups together', () => {
    const groups = range(90).map((face) => String(face % 30));
    const sample = stratifiedSample(range(90), Array(90).fill(0), groups, 0.2, 3, 0);
    assert.is(sample.size, 18);
    for (const face of sample) assert.ok(sample.has((face + 30) % 90));
  });

  test('never parts exact copies', () => {
    const pixels = range(200).map((face) => face % 100);
    const { train, validation, test: held } = splitFaces(faceSet(pixels, Array(200).fill(0)), undefined, { ...OPTIONS, size: 1 }, 'dots');
    assert.is(train.count + validation.count + held.count, 200);
    for (const [one, other] of [
      [train, validation],
      [train, held],
      [validation, held],
    ])
      assert.is(copiedFaces(one, other).length, 0);
  });

  test('reports copies that the dataset itself has put on both sides', () => {
    const roles = [...Array(8).fill('train'), 'validation', 'test', 'test'] as const;
    const {
      notes,
      test: held,
      train,
    } = splitFaces(faceSet([0, 1, 2, 3, 4, 5, 6, 7, 9, 3, 8], Array(11).fill(0)), roles, { ...OPTIONS, size: 1 }, 'dots');
    assert.equal(notes, ['1 of 2 test faces have an exact copy among the training faces']);
    assert.equal([...copiedFaces(held, train)], [0]);
  });

  test('digests are equal exactly for equal faces', () => {
    const digests = pixelDigests(faceSet([1, 2, 1], [0, 0, 1]));
    assert.is(digests[0], digests[2]);
    assert.is.not(digests[0], digests[1]);
  });

  test('selects every field of a face', () => {
    const faces = {
      ...faceSet([5, 6, 7], [0, 1, 0]),
      labels: Uint8Array.from([0, 1, 255]),
      truth: Float32Array.from([1, 0, 0, 1, 0.5, 0.5]),
    };
    const { name, count, pixels, votes, ids, labels, truth } = selectFaces(faces, [2, 1], 'two');
    assert.equal([name, count, [...pixels.subarray(0, 2)], [...votes], ids], ['two', 2, [7, 6], [1, 0, 0, 1], ['face 2', 'face 1']]);
    assert.equal(
      [[...labels!], [...truth!]],
      [
        [255, 1],
        [0.5, 0.5, 0, 1],
      ],
    );
  });
});
