import { candidateSet, candidateSets } from '#src/labels/candidate-set.js';
import { assert, suite } from '../support/suite.js';

suite('candidate set', (test) => {
  test('holds the classes with two votes', () => {
    assert.equal([...candidateSet([4, 0, 0, 1, 3, 2])], [1, 0, 0, 0, 1, 1]);
  });

  test('takes a threshold in votes or as a share', () => {
    assert.equal([...candidateSet([4, 1, 0, 5], { votes: 5 })], [0, 0, 0, 1]);
    assert.equal([...candidateSet([0.4, 0.1, 0, 0.5], { share: 0.4 })], [1, 0, 0, 1]);
    assert.equal([...candidateSet([2, 1, 0], { share: 0 })], [1, 1, 0], 'a class without a vote is never a candidate');
  });

  test('falls back to the most voted classes', () => {
    assert.equal([...candidateSet([1, 0, 1])], [1, 0, 1]);
    assert.equal([...candidateSet([0, 0, 0])], [0, 0, 0]);
  });

  test('looks only at the classes of a table', () => {
    assert.equal([...candidateSets(Float32Array.from([3, 1, 9, 0, 2, 0]), 3, 2)], [1, 0, 0, 1]);
  });
});
