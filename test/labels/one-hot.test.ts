import { oneHot, oneHots } from '#src/labels/one-hot.js';
import { assert, suite } from '../support/suite.js';
import { assertClose } from '../support/tensors.js';

suite('one-hot', (test) => {
  test('marks the label', () => {
    assert.equal([...oneHot(2, 4)], [0, 0, 1, 0]);
  });

  test('is smoothed towards the uniform distribution', () => {
    assertClose(oneHot(1, 4, 0.1), [0.025, 0.925, 0.025, 0.025]);
  });

  test('is zero without a label', () => {
    assert.equal([...oneHots([255, 1, -1], 2, 0.1)].slice(0, 2), [0, 0]);
    assertClose(oneHots([255, 1, -1], 2, 0.1), [0, 0, 0.05, 0.95, 0, 0]);
  });
});
