import { InputError } from '#src/errors.js';
import { evaluateFaces } from '#src/evaluation/metrics.js';
import { evaluationTable } from '#src/evaluation/table.js';
import { NO_LABEL } from '#src/faces/face-set.js';
import { assert, rejects, suite } from '../support/suite.js';
import { assertClose } from '../support/tensors.js';

/** Four faces: two with a majority, one on which the votes are split, one with no vote left. */
const judged = {
  classes: ['happiness', 'sadness'],
  probabilities: Float64Array.of(0.75, 0.25, 0.75, 0.25, 0.5, 0.5, 0.9, 0.1),
  distributions: Float64Array.of(1, 0, 0.25, 0.75, 0.5, 0.5, 0, 0),
  labels: Uint8Array.of(0, 1, NO_LABEL, NO_LABEL),
};
const log = Math.log;

suite('metrics', (test) => {
  test('labelled faces give accuracy and calibration', () => {
    const evaluation = evaluateFaces(judged);
    assert.is(evaluation.faces, 4);
    assert.is(evaluation.count, 2);
    assert.is(evaluation.accuracy, 1 / 2);
    assert.is(evaluation.meanClassAccuracy, 1 / 2);
    assert.is(evaluation.macroF1, (2 / 3 + 0) / 2);
    assert.equal(evaluation.confusion, [
      [1, 0],
      [1, 0],
    ]);
    assert.equal(evaluation.perClass, [
      { name: 'happiness', count: 1, accuracy: 1, precision: 1 / 2, f1: 2 / 3 },
      { name: 'sadness', count: 1, accuracy: 0, precision: null, f1: 0 },
    ]);
    assert.is(evaluation.reliability.length, 15);
    // both confidences are ¾ and one of two is right; Brier 2·¼² and 2·¾²
    assertClose([evaluation.ece, evaluation.nll, evaluation.brier], [0.25, (log(4 / 3) + log(4)) / 2, (2 / 16 + 18 / 16) / 2]);
  });

  test('voted faces give agreement with the annotators', () => {
    const evaluation = evaluateFaces(judged);
    assert.is(evaluation.votedCount, 3);
    assert.is(evaluation.pluralityAccuracy, 2 / 3); // of the face with (½, ½) either class has most votes
    const flipped = 0.25 * log(1 / 3) + 0.75 * log(3); // KL of (¼, ¾) from (¾, ¼), and ½ log 3
    assertClose([evaluation.klToVotes], [(log(4 / 3) + flipped + 0) / 3]);
    // the mean of the votes is (7/12, 5/12)
    const guess = [log(12 / 7), 0.25 * log(3 / 7) + 0.75 * log(9 / 5), 0.5 * log(6 / 7) + 0.5 * log(6 / 5)];
    assertClose([evaluation.klOfMeanVotes], [(guess[0] + guess[1] + guess[2]) / 3]);
    // (1, 0) and (¾, ¼) have the mean (⅞, ⅛); (¼, ¾) and (¾, ¼) have (½, ½)
    const shannon = [0.5 * log(8 / 7) + 0.5 * (0.75 * log(6 / 7) + 0.25 * log(2)), 0.25 * log(0.5) + 0.75 * log(1.5), 0];
    assertClose([evaluation.jensenShannon], [(shannon[0] + shannon[1]) / 3]);
    assertClose([evaluation.cosine], [(3 / Math.sqrt(10) + 6 / 10 + 1) / 3]);

    const quarter = 0.25 * log(4) + 0.75 * log(4 / 3);
    assertClose([evaluation.entropy.predictions, evaluation.entropy.votes], [(2 * quarter + log(2)) / 3, (quarter + log(2)) / 3]);
    // ranks 1½, 1½, 3 against 1, 2, 3: Σ ab = 1½, Σ a² = 1½, Σ b² = 2 about the mean 2
    assertClose([evaluation.entropy.rankCorrelation ?? NaN], [1.5 / Math.sqrt(3)]);
  });

  test('calibration of all classes, and how well confidence tells errors', () => {
    const evaluation = evaluateFaces(judged);
    // class 0: ¾ twice, of which one is 0; class 1: ¼ twice, of which one is 1
    assertClose([evaluation.classwiseEce], [(Math.abs(1 - 1.5) / 2 + Math.abs(1 - 0.5) / 2) / 2]);
    // one error in two faces of equal confidence: risk ½ at both coverages, against 0 and ½
    assertClose([evaluation.aurc, evaluation.excessAurc], [1 / 2, 1 / 4]);
  });

  test('candidates, where given, are compared on the voted faces', () => {
    assert.not('coveringRate' in evaluateFaces(judged));
    const evaluation = evaluateFaces({ ...judged, candidates: [1, 0, 0, 1, 1, 1, 0, 0] });
    // class 0 three times (the first of equals): alone, none of the candidates, one of two
    assert.is(evaluation.coveringRate, 2 / 3);
    assertClose([evaluation.approximatedAccuracy ?? NaN], [(1 + 0 + 0.5) / 3]);
  });

  test('a known truth is compared on every face', () => {
    assert.not('klToTruth' in evaluateFaces(judged));
    const truth = Float64Array.of(0.75, 0.25, 0.75, 0.25, 1, 0, 0.9, 0.1);
    assertClose([evaluateFaces({ ...judged, truth }).klToTruth ?? NaN], [log(2) / 4]);
  });

  test('an evaluation survives JSON', () => {
    const evaluation = evaluateFaces(judged);
    assert.equal(JSON.parse(JSON.stringify(evaluation)), evaluation);
  });

  test('what is no distribution is refused by row', async () => {
    const probabilities = judged.probabilities.slice();
    for (const wrong of [NaN, -0.25, 0.5]) {
      probabilities[3] = wrong;
      await rejects(() => evaluateFaces({ ...judged, probabilities }), InputError, 'probabilities', 'row 1');
    }
    const emptyTruth = Float64Array.of(1, 0, 0, 0, 1, 0, 1, 0);
    await rejects(() => evaluateFaces({ ...judged, truth: emptyTruth }), InputError, 'truth', 'row 1');
  });

  test('missing rows and labels without a class are refused', async () => {
    await rejects(() => evaluateFaces({ ...judged, distributions: judged.distributions.slice(2) }), InputError, 'distributions: 6 values');
    await rejects(() => evaluateFaces({ ...judged, labels: [0, 2, 1, 1] }), InputError, 'face 1 has label 2');
  });

  test('a split on which nothing can be measured is refused', async () => {
    await rejects(() => evaluateFaces({ ...judged, labels: new Uint8Array(4).fill(NO_LABEL) }), InputError, 'a label that counts');
    await rejects(() => evaluateFaces({ ...judged, distributions: new Float64Array(8) }), InputError, 'a vote for a class');
  });

  test('the table shows every figure with its faces', () => {
    const table = evaluationTable(evaluateFaces({ ...judged, truth: judged.probabilities }));
    assert.match(table, /majority label \(2 of 4 faces\)\n +accuracy +50\.00 %\n/);
    assert.match(table, /votes \(3 faces\)\n +KL to votes +0\.279 +\(0\.261 for guessing their mean distribution\)/);
    assert.match(table, /calibration error \(ECE\) +0\.250 +\(0\.250 over the probabilities of all classes\)/);
    assert.match(table, /risk-coverage area +0\.500 +\(0\.250 more/);
    assert.match(table, /true distributions \(4 faces\)\n +KL to truth +0\.000\n/);
    assert.match(evaluationTable(evaluateFaces({ ...judged, candidates: Array(8).fill(1) })), /in the candidate set +100\.00 %/);
    assert.match(table, /\n +happiness +1 +100\.0 % +50\.0 % +0\.667\n +sadness +1 +0\.0 % +– +0\.000\n$/);
  });
});
