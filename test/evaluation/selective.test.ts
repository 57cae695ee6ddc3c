import { areaUnderRiskCoverage, excessAreaUnderRiskCoverage, riskCoverage, riskCoveragePoints } from '#src/evaluation/selective.js';
import { assert, suite } from '../support/suite.js';
import { assertClose } from '../support/tensors.js';

const exact = { relative: 1e-12, absolute: 1e-12 };

suite('selective prediction', (test) => {
  test('the risk of the k surest faces', () => {
    // from the surest: right, wrong, right, wrong
    const risks = riskCoverage([0.5, 0.9, 0.8, 0.6], [false, true, false, true]);
    assertClose(risks, [0, 1 / 2, 1 / 3, 2 / 4], exact);
    assertClose([areaUnderRiskCoverage(risks)], [(0 + 1 / 2 + 1 / 3 + 1 / 2) / 4], exact);
    // two errors at the end would give the risks 0, 0, 1/3, 2/4
    assertClose([excessAreaUnderRiskCoverage(risks)], [(4 / 3 - 5 / 6) / 4], exact);
  });

  test('errors that are the least sure leave no excess, those that are the surest the most', () => {
    const confidences = [0.9, 0.8, 0.7, 0.6];
    assertClose([excessAreaUnderRiskCoverage(riskCoverage(confidences, [true, true, false, false]))], [0], exact);
    // 1, 1, 2/3, 2/4 against 0, 0, 1/3, 2/4
    assertClose([excessAreaUnderRiskCoverage(riskCoverage(confidences, [false, false, true, true]))], [(1 + 1 + 1 / 3) / 4], exact);
    assert.is(excessAreaUnderRiskCoverage(riskCoverage(confidences, [true, true, true, true])), 0);
    assert.is(excessAreaUnderRiskCoverage(riskCoverage(confidences, [false, false, false, false])), 0);
  });

  test('faces of equal confidence share their errors, in whatever order they stand', () => {
    // the surest is right; one of the two at 0.5 is wrong, so that half an error comes with each
    for (const correct of [
      [true, true, false],
      [true, false, true],
    ])
      assertClose(riskCoverage([0.9, 0.5, 0.5], correct), [0, 0.5 / 2, 1 / 3], exact);
  });

  test('a curve is thinned to even coverages that end at all faces', () => {
    const risks = Float64Array.from({ length: 10 }, (_, k) => k / 10);
    assert.equal(riskCoveragePoints(risks, 4), [
      { coverage: 0.3, risk: 0.2 },
      { coverage: 0.5, risk: 0.4 },
      { coverage: 0.8, risk: 0.7 },
      { coverage: 1, risk: 0.9 },
    ]);
    assert.is(riskCoveragePoints(risks).length, 10);
  });
});
