import { EXPRESSIONS } from '#src/faces/expressions.js';
import { expressionColours, scaleColour } from '#src/report/palette.js';
import { assert, suite } from '../support/suite.js';

/** What is left of linear RGB without one kind of cone (Machado, Oliveira and Fernandes 2009, severity 1). */
const SIGHT = {
  'full sight': [1, 0, 0, 0, 1, 0, 0, 0, 1],
  protanopia: [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
  deuteranopia: [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
  tritanopia: [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039],
};

/** A colour as it is seen, in OKLab (Ottosson 2020), where distance is difference. */
function seen(colour: string, sight: readonly number[]): number[] {
  const linear = [1, 3, 5].map((i) => {
    const value = Number.parseInt(colour.slice(i, i + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  const times = (matrix: readonly number[], [x, y, z]: number[]) =>
    [0, 3, 6].map((i) => matrix[i] * x + matrix[i + 1] * y + matrix[i + 2] * z);
  const rgb = times(sight, linear).map((value) => Math.min(1, Math.max(0, value)));
  const toCones = [
    0.4122214708, 0.5363325363, 0.0514459929, 0.2119034982, 0.6806995451, 0.1073969566, 0.0883024619, 0.2817188376, 0.6299787005,
  ];
  const toLab = [
    0.2104542553, 0.793617785, -0.0040720468, 1.9779984951, -2.428592205, 0.4505937099, 0.0259040371, 0.7827717662, -0.808675766,
  ];
  return times(toLab, times(toCones, rgb).map(Math.cbrt));
}

suite('palette', (test) => {
  test('an expression has one colour whatever a dataset calls it', () => {
    const [happiness, anger] = expressionColours(['happiness', 'anger']);
    assert.equal(expressionColours(['Angry', 'joy']), [anger, happiness]);
  });

  test('other names get colours that no expression beside them has', () => {
    const colours = expressionColours(['bored', 'happiness', 'awe', 'neutral']);
    assert.is(new Set(colours).size, 4);
    assert.equal([colours[1], colours[3]], expressionColours(['happiness', 'neutral']));
  });

  test('the scale goes from dark to light, and what lies beyond has the colours of its ends', () => {
    assert.equal(scaleColour(0), [0x44, 0x01, 0x54]);
    assert.equal(scaleColour(1), [0xfd, 0xe7, 0x25]);
    assert.equal(scaleColour(-1), scaleColour(0));
    assert.equal(scaleColour(7), scaleColour(1));
    assert.equal(scaleColour(0.05), [70, 18.5, 100.5]);
  });

  test('more names than colours still get one each', () => {
    const colours = expressionColours(Array.from({ length: 30 }, (_, i) => `feeling ${i}`));
    assert.ok(colours.every((colour) => /^#[0-9a-f]{6}$/.test(colour)));
  });

  for (const [name, sight] of Object.entries(SIGHT)) {
    test(`equal steps on the scale look alike with ${name}, and lighter with each`, () => {
      const shares = Array.from({ length: 11 }, (_, i) => i / 10);
      const hex = (share: number) =>
        `#${scaleColour(share)
          .map((value) => Math.round(value).toString(16).padStart(2, '0'))
          .join('')}`;
      const colours = shares.map((share) => seen(hex(share), sight));
      const steps = colours.slice(1).map((colour, i) => Math.hypot(...colour.map((value, k) => value - colours[i][k])));
      const mean = steps.reduce((a, b) => a + b) / steps.length;
      for (const [i, step] of steps.entries()) {
        assert.ok(step > 0.5 * mean && step < 1.8 * mean, `step ${i} is ${(step / mean).toFixed(2)} of the mean`);
        assert.ok(colours[i + 1][0] > colours[i][0] + 0.02, `step ${i} is not lighter`);
      }
    });

    test(`expressions stay apart with ${name}`, () => {
      const colours = expressionColours(EXPRESSIONS).map((colour) => seen(colour, sight));
      for (const [i, a] of colours.entries()) {
        for (const [j, b] of colours.slice(0, i).entries()) {
          const distance = Math.hypot(...a.map((value, k) => value - b[k]));
          assert.ok(distance > 0.1, `${EXPRESSIONS[i]} and ${EXPRESSIONS[j]} are only ${distance.toFixed(3)} apart`);
        }
      }
    });
  }
});
