import type { FaceSet } from '#src/faces/face-set.js';
import { judge, judgeWithoutCopies, riskOfFaces } from '#src/run/judge.js';
import { assert, suite } from '../support/suite.js';
import { assertClose } from '../support/tensors.js';

/** Faces of one pixel each, on which ten annotators agree. */
function facesOf(pixels: number[], classes: number[]): FaceSet {
  return {
    name: 'faces',
    classes: ['happiness', 'fear'],
    count: pixels.length,
    height: 1,
    width: 1,
    channels: 1,
    pixels: Uint8Array.from(pixels),
    voteNames: ['happiness', 'fear'],
    votes: Float32Array.from(classes.flatMap((c) => (c === 0 ? [10, 0] : [0, 10]))),
    ids: pixels.map(String),
  };
}

const faces = facesOf([1, 2, 3, 4], [0, 0, 1, 1]);
/** The first two right, the third wrong, the last right. */
const probabilities = Float32Array.of(0.9, 0.1, 0.8, 0.2, 0.7, 0.3, 0.4, 0.6);

suite('judge', (test) => {
  test('figures without the faces of which training has a copy', () => {
    const { copies, withoutCopies } = judgeWithoutCopies(faces, probabilities, facesOf([2, 9, 3, 2], [0, 0, 0, 0]));
    assert.is(copies, 2);
    assert.is(withoutCopies?.faces, 2);
    assert.is(withoutCopies?.accuracy, 1);
    assert.equal(withoutCopies, judge(facesOf([1, 4], [0, 1]), Float64Array.from([0.9, 0.1, 0.4, 0.6], Math.fround)));
  });

  test('without copies, or without other faces, the count stands alone', () => {
    assert.equal(judgeWithoutCopies(faces, probabilities, facesOf([7], [0])), { copies: 0 });
    assert.equal(judgeWithoutCopies(faces, probabilities, faces), { copies: 4 });
  });

  test('candidates follow from the votes: at least two', () => {
    const evaluation = judge({ ...faces, votes: Float32Array.of(9, 1, 8, 2, 2, 8, 1, 9) }, probabilities);
    // the third face is taken for class 0, a candidate by its two votes, with 0.7; the others have 0.9 / 0.9, 0.8, 0.6 / 0.6
    assert.is(evaluation.coveringRate, 1);
    assertClose([evaluation.approximatedAccuracy ?? NaN], [(1 + 0.8 + 0.7 + 1) / 4]);
  });

  test('the risk of the surest faces', () => {
    // 0.9 and 0.8 right, 0.7 wrong, 0.6 right
    assertClose(riskOfFaces(faces, probabilities), [0, 0, 1 / 3, 1 / 4]);
  });
});
