import { type FerPlusMode, ferPlusTarget, ferPlusTargets, multiTargetWeights, withoutOutliers } from '#src/labels/ferplus.js';
import { assert, suite } from '../support/suite.js';
import { assertClose } from '../support/tensors.js';

//              neutral happiness surprise sadness anger disgust fear contempt unknown NF
const CLEAR = [8, 0, 0, 1, 1, 0, 0, 0, 0, 0];
const DIVIDED = [4, 0, 0, 1, 3, 2, 0, 0, 0, 0];
const EVEN = [5, 5, 0, 0, 0, 0, 0, 0, 0, 0];
const UNKNOWN_FIRST = [2, 0, 0, 0, 0, 0, 0, 0, 8, 0];
const UNKNOWN_TIES = [4, 0, 0, 2, 0, 0, 0, 0, 4, 0];
const FIVE_PAIRS = [2, 2, 2, 2, 2, 0, 0, 0, 0, 0];
const ALL_SINGLE = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1];
const NO_FACE = [0, 0, 0, 0, 0, 0, 0, 0, 0, 10];
/** Three classes stand before the tie of two, which makes five. */
const TIE_OVERSHOOTS = [4, 2, 2, 2, 0, 0, 0, 0, 0, 0];

const target = (votes: number[], mode: FerPlusMode) => {
  const found = ferPlusTarget(votes, 8, mode);
  return found && Array.from(found, (share) => Math.round(share * 1e6) / 1e6);
};

suite('FER+ rules', (test) => {
  test('strike out single votes first', () => {
    assert.equal(target(CLEAR, 'majority'), [1, 0, 0, 0, 0, 0, 0, 0]);
    assert.equal(target(CLEAR, 'crossentropy'), [1, 0, 0, 0, 0, 0, 0, 0]);
    assert.is(target(ALL_SINGLE, 'majority'), undefined);
    assert.is(target(ALL_SINGLE, 'probability'), undefined);
    assert.is(target(ALL_SINGLE, 'multi_target'), undefined);
  });

  test('leave single labels and shares as they are', () => {
    for (const mode of ['majority', 'crossentropy', 'multi_target'] as const) {
      assert.equal(target([0, 0, 1, 0, 0, 0, 0, 0], mode), [0, 0, 1, 0, 0, 0, 0, 0], mode);
    }
    assert.equal(target([0.25, 0.75, 0, 0, 0, 0, 0, 0], 'crossentropy'), [0, 1, 0, 0, 0, 0, 0, 0]);
    assert.equal(target([0.375, 0.625, 0, 0, 0, 0, 0, 0], 'multi_target'), [0.375, 0.625, 0, 0, 0, 0, 0, 0]);
    assert.equal([...withoutOutliers(Float32Array.from([0, 1, /**/ 9, 1, /**/ 0.5, 0.5]), 2)], [0, 1, 9, 0, 0.5, 0.5]);
  });

  test('majority wants more than half of the votes', () => {
    assert.is(target(DIVIDED, 'majority'), undefined);
    assert.is(target(EVEN, 'majority'), undefined);
    assert.is(target(UNKNOWN_FIRST, 'majority'), undefined);
    assert.is(target(NO_FACE, 'majority'), undefined);
  });

  test('crossentropy takes the most voted classes up to three quarters of the votes', () => {
    assert.equal(target(DIVIDED, 'crossentropy'), [0.571429, 0, 0, 0, 0.428571, 0, 0, 0]);
    assert.equal(target(EVEN, 'crossentropy'), [0.5, 0.5, 0, 0, 0, 0, 0, 0]);
    assert.equal(target(DIVIDED, 'probability'), target(DIVIDED, 'crossentropy'));
  });

  test('crossentropy drops a face of too many classes', () => {
    assert.is(target(FIVE_PAIRS, 'crossentropy'), undefined);
    assert.is(target(TIE_OVERSHOOTS, 'crossentropy'), undefined);
  });

  test('crossentropy ends at unknown, which counts only when it comes first', () => {
    assert.is(target(UNKNOWN_FIRST, 'crossentropy'), undefined);
    assert.is(target(UNKNOWN_TIES, 'crossentropy'), undefined, 'neutral alone is not more than half');
    assert.equal(target([5, 0, 0, 0, 0, 0, 0, 0, 4, 0], 'crossentropy'), [1, 0, 0, 0, 0, 0, 0, 0]);
    assert.is(target(NO_FACE, 'crossentropy'), undefined);
  });

  test('multi_target takes every class with three tenths of the votes', () => {
    assert.equal(target(DIVIDED, 'multi_target'), [0.571429, 0, 0, 0, 0.428571, 0, 0, 0]);
    assert.equal(target([3, 3, 2, 2, 0, 0, 0, 0, 0, 0], 'multi_target'), [0.5, 0.5, 0, 0, 0, 0, 0, 0]);
    assert.is(target(FIVE_PAIRS, 'multi_target'), undefined);
    assert.equal(target([4, 0, 0, 3, 0, 0, 0, 0, 3, 0], 'multi_target'), [0.571429, 0, 0, 0.428571, 0, 0, 0, 0], 'unknown is cut off');
    assert.is(target(NO_FACE, 'multi_target'), undefined);
  });

  test('give a table of targets and the faces that are kept', () => {
    const { targets, kept } = ferPlusTargets(Float32Array.from([...NO_FACE, ...DIVIDED, ...EVEN]), 10, 8, 'crossentropy');
    assert.equal([...kept], [1, 2]);
    assertClose(targets.subarray(0, 8), new Float32Array(8));
    assertClose(targets.subarray(8, 16), target(DIVIDED, 'crossentropy')!);
    assertClose(targets.subarray(16), target(EVEN, 'crossentropy')!);
  });

  test('weigh the targets of the multi-target loss', () => {
    assertClose(multiTargetWeights([0.5, 0, 0.5]), [1, 0.001, 1]);
  });
});
