import { CONTRAST, SECOND_ACCENT } from '#src/report/palette.js';
import { reliabilityDiagram } from '#src/report/reliability-diagram.js';
import { assert, suite } from '../support/suite.js';
import { decoded, exampleEvaluation } from './example.js';

/** Pixels of a bar's gap: all faces are in one of 15 bins, a panel being 660 pixels wide and high. */
const BIN_WIDTH = 660 / 15 - 4;
const KEY = 1000; // the legend's squares and rounding

suite('reliability diagram', (test) => {
  const gaps = async (right: number) => {
    const picture = decoded(await reliabilityDiagram(exampleEvaluation({ right, confidence: 0.8 })));
    return { over: picture.pixelsOfColour(SECOND_ACCENT), under: picture.pixelsOfColour(CONTRAST) };
  };

  test('where it is surer than right, the gap above the accuracy is overconfidence', async () => {
    const { over, under } = await gaps(50);
    assert.ok(Math.abs(over - 0.3 * 660 * BIN_WIDTH) < KEY, `${over}`);
    assert.ok(under < KEY);
  });

  test('where it is less sure than right, the gap above the confidence is underconfidence', async () => {
    const { over, under } = await gaps(100);
    assert.ok(Math.abs(under - 0.2 * 660 * BIN_WIDTH) < KEY, `${under}`);
    assert.ok(over < KEY);
  });
});
