import { cosineSimilarity, jensenShannon, klDivergence, rankCorrelation } from '#src/evaluation/agreement.js';
import { assert, suite } from '../support/suite.js';
import { assertClose } from '../support/tensors.js';

const exact = { relative: 1e-12, absolute: 1e-12 };

suite('agreement', (test) => {
  test('KL takes 0 log 0 for 0', () => {
    // ½ log(½ / ¼) + ½ log(½ / ½) + 0
    assertClose([klDivergence([0.5, 0.5, 0], [0.25, 0.5, 0.25])], [0.5 * Math.log(2)], exact);
    assert.is(klDivergence([0.3, 0.7, 0], [0.3, 0.7, 0]), 0);
  });

  test('KL stays finite where the prediction is 0', () => {
    assertClose([klDivergence([0, 1], [1, 0])], [7 * Math.log(10)], exact);
  });

  test('Jensen–Shannon is symmetric, 0 for equals and log 2 for strangers', () => {
    // m = (¾, ¼): ½ log(4/3) + ½ (½ log(2/3) + ½ log 2)
    const expected = 0.5 * Math.log(4 / 3) + 0.25 * Math.log(2 / 3) + 0.25 * Math.log(2);
    assertClose([jensenShannon([1, 0], [0.5, 0.5]), jensenShannon([0.5, 0.5], [1, 0])], [expected, expected], exact);
    assertClose([jensenShannon([1, 0], [0, 1]), jensenShannon([0.2, 0.8], [0.2, 0.8])], [Math.log(2), 0], exact);
  });

  test('cosine', () => {
    assertClose([cosineSimilarity([1, 0], [0.5, 0.5]), cosineSimilarity([0.6, 0.4], [0.6, 0.4])], [Math.SQRT1_2, 1], exact);
    assert.is(cosineSimilarity([1, 0], [0, 1]), 0);
  });

  test('rank correlation of distinct values is 1 − 6 Σ d² / (n (n² − 1))', () => {
    // ranks differ by 0, 1, 1, 0
    assertClose([rankCorrelation([10, 20, 30, 400], [0.1, 0.3, 0.2, 0.4]) ?? NaN], [1 - (6 * 2) / (4 * 15)], exact);
    assertClose([rankCorrelation([1, 2, 3], [9, 5, 1]) ?? NaN], [-1], exact);
  });

  test('equal values share their mean rank', () => {
    // ranks 1, 2½, 2½, 4 against 1, 2, 3, 4: Σ ab = 4½, Σ a² = 4½, Σ b² = 5 about the mean 2½
    assertClose([rankCorrelation([1, 2, 2, 3], [1, 2, 3, 4]) ?? NaN], [4.5 / Math.sqrt(4.5 * 5)], exact);
  });

  test('a constant has no rank correlation with anything', () => {
    assert.is(rankCorrelation([1, 1, 1], [1, 2, 3]), null);
  });
});
