import { approximatedAccuracy, coveringRate } from '#src/evaluation/partial-label.js';
import { assert, suite } from '../support/suite.js';
import { assertClose } from '../support/tensors.js';

const probabilities = [
  [0.6, 0.2, 0.2],
  [0.1, 0.5, 0.4],
  [0.3, 0.3, 0.4],
];

suite('partial labels', (test) => {
  test('the covering rate counts faces whose most probable class is a candidate', () => {
    // classes 0, 1 and 2 are the most probable; the second is none of its candidates
    const candidates = [
      [1, 1, 0],
      [1, 0, 1],
      [0, 0, 1],
    ];
    assert.is(coveringRate(probabilities, candidates), 2 / 3);
    // 0.6 / (0.6 + 0.2), nothing, 0.4 / 0.4
    assertClose([approximatedAccuracy(probabilities, candidates)], [(0.75 + 0 + 1) / 3], { relative: 1e-12, absolute: 0 });
  });

  test('with one candidate each both are the accuracy; with all, the confidence remains', () => {
    const oneHot = [
      [1, 0, 0],
      [0, 0, 1],
      [0, 0, 1],
    ];
    assert.is(coveringRate(probabilities, oneHot), 2 / 3);
    assert.is(approximatedAccuracy(probabilities, oneHot), 2 / 3);
    const all = probabilities.map((row) => row.map(() => 1));
    assert.is(coveringRate(probabilities, all), 1);
    assertClose([approximatedAccuracy(probabilities, all)], [(0.6 + 0.5 + 0.4) / 3], { relative: 1e-12, absolute: 0 });
  });
});
