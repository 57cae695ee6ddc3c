import { accuracy, classFigures, confusionMatrix, macroF1, meanClassAccuracy } from '#src/evaluation/accuracy.js';
import { NO_LABEL } from '#src/faces/face-set.js';
import { assert, suite } from '../support/suite.js';

/** Faces of class 0: two right, one taken for 1. The face of 1 right, the face of 2 taken for 0. Class 3 never occurs. */
const labels = Uint8Array.of(0, 0, 0, 1, 2, NO_LABEL);
const probabilities = [
  [0.7, 0.1, 0.1, 0.1],
  [0.4, 0.3, 0.3, 0.0],
  [0.2, 0.6, 0.1, 0.1],
  [0.0, 0.9, 0.1, 0.0],
  [0.5, 0.1, 0.4, 0.0],
  [0.0, 0.0, 1.0, 0.0],
];
const confusion = [
  [2, 1, 0, 0],
  [0, 1, 0, 0],
  [1, 0, 0, 0],
  [0, 0, 0, 0],
];

suite('accuracy', (test) => {
  test('the confusion matrix counts labelled faces by label and prediction', () => {
    assert.equal(confusionMatrix(probabilities, labels, 4), confusion);
  });

  test('accuracy is the share on the diagonal', () => {
    assert.is(accuracy(confusion), 3 / 5);
  });

  test('mean class accuracy weighs every class that occurs the same', () => {
    assert.is(meanClassAccuracy(confusion), (2 / 3 + 1 + 0) / 3);
  });

  test('macro F1 is the mean of 2·TP / (2·TP + FP + FN)', () => {
    assert.is(macroF1(confusion), (2 / 3 + 2 / 3 + 0) / 3);
  });

  test('a class without faces has no accuracy, one never predicted no precision', () => {
    assert.equal(classFigures(confusion), [
      { count: 3, accuracy: 2 / 3, precision: 2 / 3, f1: 2 / 3 },
      { count: 1, accuracy: 1, precision: 1 / 2, f1: 2 / 3 },
      { count: 1, accuracy: 0, precision: null, f1: 0 },
      { count: 0, accuracy: null, precision: null, f1: null },
    ]);
  });

  test('without labelled faces there is no accuracy', () => {
    const empty = confusionMatrix(probabilities, new Uint8Array(6).fill(NO_LABEL), 4);
    assert.ok(Number.isNaN(accuracy(empty)));
    assert.ok(Number.isNaN(meanClassAccuracy(empty)));
  });
});
