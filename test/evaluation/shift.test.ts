import { UsageError } from '#src/errors.js';
import { facesOfShared, probabilitiesOfShared, sharedClasses } from '#src/evaluation/shift.js';
import { type FaceSet, NO_LABEL } from '#src/faces/face-set.js';
import { judge } from '#src/run/judge.js';
import { assert, rejects, suite } from '../support/suite.js';
import { assertClose } from '../support/tensors.js';

const shared = sharedClasses(['neutral', 'happiness', 'fear', 'contempt'], ['sad', 'happy', 'neutral', 'afraid']);

/** Three faces: one all happy, one all sad (which the model does not know), one with most votes for fear. */
const faces: FaceSet = {
  name: 'other',
  classes: ['sad', 'happy', 'neutral', 'afraid'],
  count: 3,
  height: 1,
  width: 1,
  channels: 1,
  pixels: Uint8Array.of(1, 2, 3),
  voteNames: ['sad', 'happy', 'neutral', 'afraid', 'unknown'],
  votes: Float32Array.of(0, 10, 0, 0, 0, 8, 0, 2, 0, 0, 2, 0, 0, 6, 2),
  ids: ['a', 'b', 'c'],
  labels: Uint8Array.of(1, 0, NO_LABEL),
  truth: Float32Array.of(0, 1, 0, 0, 1, 0, 0, 0, 0.25, 0, 0, 0.75),
};

suite('shift', (test) => {
  test('classes are matched by what they mean, in the order of the model', () => {
    assert.equal(shared, {
      names: ['neutral', 'happiness', 'fear'],
      inModel: [0, 1, 2],
      inData: [2, 1, 3],
      leftOut: { model: ['contempt'], data: ['sad'] },
    });
  });

  test('fewer than two shared classes are refused', async () => {
    await rejects(() => sharedClasses(['happiness', 'fear'], ['happy', 'angry']), UsageError, '--data', 'happy, angry', 'at least two');
    await rejects(() => sharedClasses(['cat', 'dog'], ['happy', 'angry']), UsageError);
  });

  test('votes for the shared classes come first, those for the others still count against a majority', () => {
    const confined = facesOfShared(faces, shared);
    assert.equal(confined.classes, ['neutral', 'happiness', 'fear']);
    assert.equal(confined.voteNames, ['neutral', 'happiness', 'fear', 'sad', 'unknown']);
    assert.equal(Array.from(confined.votes), [0, 10, 0, 0, 0, 2, 0, 0, 8, 0, 0, 0, 6, 2, 2]);
    assert.equal(Array.from(confined.labels ?? []), [1, NO_LABEL, NO_LABEL]);
    assert.not('truth' in confined);

    const evaluation = judge(confined, Float64Array.of(0.2, 0.6, 0.2, 1, 0, 0, 0.5, 0, 0.5));
    // the happy face and the afraid one have a label; both sad and unknown votes count in 6 of 10
    assert.is(evaluation.count, 2);
    assert.is(evaluation.accuracy, 1 / 2);
    assert.equal(
      evaluation.perClass.map(({ count }) => count),
      [0, 1, 1],
    );
  });

  test('with all classes of the data shared the truth is kept, in the new order', () => {
    const all = sharedClasses(['afraid', 'neutral', 'happy', 'sad'], faces.classes);
    assert.equal(all.leftOut, { model: [], data: [] });
    assertClose(facesOfShared(faces, all).truth ?? [], [0, 0, 1, 0, 0, 0, 0, 1, 0.75, 0, 0, 0.25]);
  });

  test('probabilities are taken given the shared classes', () => {
    // (0.1, 0.2, 0.1) of 0.4; nothing left gives the same for all
    const confined = probabilitiesOfShared([0.1, 0.2, 0.1, 0.6, 0, 0, 0, 1], 4, shared);
    assertClose(confined, [0.25, 0.5, 0.25, 1 / 3, 1 / 3, 1 / 3]);
  });
});
