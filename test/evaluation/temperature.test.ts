import { atTemperature, fitTemperature } from '#src/evaluation/temperature.js';
import { assert, suite } from '../support/suite.js';
import { assertClose, randomArray } from '../support/tensors.js';

const exact = { relative: 1e-12, absolute: 1e-12 };
const close = { relative: 1e-9, absolute: 0 };

suite('temperature', (test) => {
  test('probabilities are raised to 1/T and normalised', () => {
    // √0.64 : √0.36 = 0.8 : 0.6; squares 0.64² : 0.36² = 0.4096 : 0.1296
    assertClose(atTemperature([0.64, 0.36], 2, 2), [4 / 7, 3 / 7], exact);
    assertClose(atTemperature([0.64, 0.36, 0.5, 0.5], 2, 0.5), [0.4096 / 0.5392, 0.1296 / 0.5392, 0.5, 0.5], exact);
    assertClose(atTemperature([0.2, 0.3, 0.5], 3, 1), [0.2, 0.3, 0.5], exact);
  });

  test('a probability that was rounded to 0 stays finite and small', () => {
    const [likely, unlikely] = atTemperature([1, 0], 2, 1);
    assert.ok(likely! > 0.999 && unlikely! > 0 && unlikely! < 1e-38);
  });

  test('the fit is exact where it can be worked out', () => {
    // All faces (0.9, 0.1), logit ln 9. With shares (0.75, 0.25), logit ln 3, the best T is ln 9 / ln 3 = 2.
    const said = [0.9, 0.1, 0.9, 0.1, 0.9, 0.1, 0.9, 0.1];
    assertClose([fitTemperature(said, [1, 0, 1, 0, 1, 0, 0, 1], 2)], [2], close);
    assertClose([fitTemperature(said.slice(0, 2), [0.75, 0.25], 2)], [2], close);
    // (0.75, 0.25) where (0.9, 0.1) is true: T = ln 3 / ln 9
    assertClose([fitTemperature([0.75, 0.25], [0.9, 0.1], 2)], [1 / 2], close);
  });

  test('rows without votes do not count', () => {
    assertClose([fitTemperature([0.9, 0.1, 0.01, 0.99], [0.75, 0.25, 0, 0], 2)], [2], close);
  });

  test('no other temperature has a lower cross-entropy, and logits made sharper are found out', () => {
    const [count, classes] = [400, 5];
    const truth = Float64Array.from({ length: count * classes });
    const scores = randomArray([count, classes], 1, 3);
    for (let row = 0; row < count; row++) {
      const exps = Array.from(scores.subarray(row * classes, (row + 1) * classes), Math.exp);
      const sum = exps.reduce((total, value) => total + value);
      exps.forEach((value, c) => {
        truth[row * classes + c] = value / sum;
      });
    }
    const sharp = atTemperature(truth, classes, 1 / 3);
    assertClose([fitTemperature(sharp, truth, classes)], [3], { relative: 1e-6, absolute: 0 });
    // every fourth face is of class 0, the others of their likeliest
    const labels = Float64Array.from(truth, (p, i) => {
      const row = Math.floor(i / classes);
      const likeliest = p === Math.max(...truth.subarray(row * classes, (row + 1) * classes));
      return (row % 4 === 0 ? i % classes === 0 : likeliest) ? 1 : 0;
    });
    const crossEntropy = (temperature: number) =>
      atTemperature(truth, classes, temperature).reduce((sum, p, i) => sum - labels[i] * Math.log(p), 0);
    const best = fitTemperature(truth, labels, classes);
    for (const factor of [0.5, 0.99, 1.01, 2]) assert.ok(crossEntropy(best) <= crossEntropy(best * factor), `${best} times ${factor}`);
  });
});
