import { InputError } from '#src/errors.js';
import type { FaceSet } from '#src/faces/face-set.js';
import { agreementLesson, candidateLesson, pluralityLesson, singleLabelLesson, voteLesson } from '#src/paradigms/lessons.js';
import { assert, rejects, suite } from '../support/suite.js';
import { assertClose } from '../support/tensors.js';

/** Ten votes each over three classes and 'unknown': agreed on, split evenly, with an outlier, and nobody for a class. */
const VOTES = [10, 0, 0, 0, 5, 5, 0, 0, 1, 6, 3, 0, 1, 0, 0, 9];
const faces: FaceSet = {
  ...{ name: 'four', classes: ['a', 'b', 'c'], count: 4, height: 1, width: 1, channels: 1, pixels: new Uint8Array(4) },
  ...{ voteNames: ['a', 'b', 'c', 'unknown'], votes: Float32Array.from(VOTES), ids: ['0', '1', '2', '3'] },
};
/** Seeds that break the tie of the second face in favour of its first class, and of its second. */
const [FIRST, SECOND] = [1, 2];

suite('lessons', (test) => {
  test('shares of the votes, without outliers and faces without a vote for a class', () => {
    const { faces: kept, targets } = voteLesson(faces);
    assert.equal([...kept], [0, 1, 2]);
    assertClose(targets, [1, 0, 0, 0.5, 0.5, 0, 0, 6 / 9, 3 / 9]);
  });

  test('the plurality, of equals the one that the seed draws, with smoothing spread over all classes', () => {
    const of = (seed: number, smoothing?: number) => pluralityLesson(faces, seed, smoothing).targets;
    const [first, second] = [FIRST, SECOND].map((seed) => of(seed));
    assertClose(first, [1, 0, 0, 1, 0, 0, 0, 1, 0]);
    assertClose(second, [1, 0, 0, 0, 1, 0, 0, 1, 0]);
    assertClose(of(FIRST, 0.3), [0.8, 0.1, 0.1, 0.8, 0.1, 0.1, 0.1, 0.8, 0.1]);
    assert.equal([...pluralityLesson(faces, FIRST).faces], [0, 1, 2]);
  });

  test('weights follow the agreement, and their mean is 1', () => {
    const weights = agreementLesson(faces, 0.2).tables!.weights!;
    const agreed = (h: number) => 0.2 + 0.8 * (1 - h / Math.log(3));
    const third = -(2 / 3) * Math.log(2 / 3) - (1 / 3) * Math.log(1 / 3);
    const wanted = [1, agreed(Math.log(2)), agreed(third)];
    const mean = wanted.reduce((a, b) => a + b, 0) / 3;
    assertClose(
      weights,
      wanted.map((weight) => weight / mean),
    );
  });

  test('candidates by votes, and by shares as if of ten votes', () => {
    assert.equal([...candidateLesson(faces, 2).targets], [1, 0, 0, 1, 1, 0, 0, 1, 1]);
    const shares = { ...faces, votes: faces.votes.map((vote) => vote / 10) };
    assert.equal([...candidateLesson(shares, 2).targets], [1, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0, 0]); // shares tell no single votes
  });

  test('single labels, and what is said where there are none', async () => {
    assert.equal([...singleLabelLesson({ ...faces, labels: Uint8Array.of(2, 255, 0, 255) }).faces], [0, 2]);
    await rejects(() => singleLabelLesson(faces), InputError, '--paradigm', 'none of the 4 faces of four');
  });
});
