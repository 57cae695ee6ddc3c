import {
  brierScore,
  classwiseCalibrationError,
  expectedCalibrationError,
  negativeLogLikelihood,
  reliabilityBins,
  voteReliabilityBins,
} from '#src/evaluation/calibration.js';
import { NO_LABEL } from '#src/faces/face-set.js';
import { assert, suite } from '../support/suite.js';
import { assertClose } from '../support/tensors.js';

const exact = { relative: 1e-12, absolute: 1e-12 };
/** Confidences 0.9 (right), 0.9 (wrong), 0.62 (right), and one face that does not count. */
const probabilities = [
  [0.9, 0.1],
  [0.9, 0.1],
  [0.38, 0.62],
  [1, 0],
];
const labels = [0, 1, 1, NO_LABEL];

suite('calibration', (test) => {
  test('a bin holds the faces whose confidence is in (from, to]', () => {
    const bins = reliabilityBins(probabilities, labels);
    assert.is(bins.length, 15);
    assert.equal(
      bins.map((bin) => bin.count),
      [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0],
    );
    assert.equal(bins[9], { from: 9 / 15, to: 10 / 15, count: 1, confidence: 0.62, accuracy: 1 });
    assert.equal(bins[13], { from: 13 / 15, to: 14 / 15, count: 2, confidence: 0.9, accuracy: 1 / 2 });
    assert.equal(bins[14], { from: 14 / 15, to: 1, count: 0, confidence: null, accuracy: null });
  });

  test('the ends of a bin', () => {
    const counts = (confidence: number) => reliabilityBins([[confidence, 1 - confidence]], [0], 4).map((bin) => bin.count);
    assert.equal(counts(0.5), [0, 1, 0, 0]);
    assert.equal(counts(0.51), [0, 0, 1, 0]);
    assert.equal(counts(0.75), [0, 0, 1, 0]);
    assert.equal(counts(1), [0, 0, 0, 1]);
    assert.equal(counts(1 + 2 ** -23), [0, 0, 0, 1]);
  });

  test('expected calibration error weighs the gaps by the faces', () => {
    // ⅔ |0.5 − 0.9| + ⅓ |1 − 0.62|
    assertClose([expectedCalibrationError(reliabilityBins(probabilities, labels))], [(2 * 0.4 + 0.38) / 3], exact);
  });

  test('against votes, a face counts by the share of its annotators who agree', () => {
    const votes = [
      [0.8, 0.2],
      [0.5, 0.5],
      [0.3, 0.7],
      [1, 0],
    ];
    // Bins of 0.9 (twice), of 0.62 and of 1: ½ |0.65 − 0.9| + ¼ |0.7 − 0.62| + ¼ |1 − 1|
    assertClose([expectedCalibrationError(voteReliabilityBins(probabilities, votes))], [0.5 * 0.25 + 0.25 * 0.08], exact);
    assert.is(expectedCalibrationError(voteReliabilityBins(votes, votes)), 0);
  });

  test('classwise calibration error weighs the gaps of every class', () => {
    // 15 bins. Class 0: 0.9 twice in one bin, of which one is 0: |1 − 1.8|; 0.38 alone: |0 − 0.38|. Class 1: 0.1 twice: |1 − 0.2|; 0.62: |1 − 0.62|.
    assertClose([classwiseCalibrationError(probabilities, labels, 2)], [(0.8 + 0.38 + 0.8 + 0.38) / 3 / 2], exact);
    // With two bins, 0.38 and 0.1 fall together, as do 0.62 and 0.9. Class 0: 0.8 and 0.38; class 1: |1 − 0.2| and |1 − 0.62|.
    assertClose([classwiseCalibrationError(probabilities, labels, 2, 2)], [(0.8 + 0.38 + 0.8 + 0.38) / 3 / 2], exact);
    // With one bin a class has one gap: |1 − 2.18| and |2 − 0.82|.
    assertClose([classwiseCalibrationError(probabilities, labels, 2, 1)], [(1.18 + 1.18) / 3 / 2], exact);
    assert.is(classwiseCalibrationError([[1, 0]], [0], 2), 0);
  });

  test('Brier score', () => {
    // (0.7 − 1)² + 0.2² + 0.1²; and the two extremes
    assertClose([brierScore([0.7, 0.2, 0.1], 0), brierScore([0, 1], 1), brierScore([0, 1], 0)], [0.14, 0, 2], exact);
  });

  test('negative log-likelihood is finite even for the impossible', () => {
    assertClose([negativeLogLikelihood([0.75, 0.25], 1), negativeLogLikelihood([1, 0], 1)], [2 * Math.log(2), 7 * Math.log(10)], exact);
  });
});
