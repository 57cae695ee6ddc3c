import { confusionChart } from '#src/report/confusion-chart.js';
import { ACCENT } from '#src/report/palette.js';
import { assert, suite } from '../support/suite.js';
import { decoded, exampleEvaluation } from './example.js';

suite('confusion chart', (test) => {
  test('a cell is as dark as its share of the row', async () => {
    const full = async (right: number) =>
      decoded(await confusionChart(exampleEvaluation({ right, confidence: 0.8 }))).pixelsOfColour(ACCENT);
    assert.ok((await full(100)) > 3 * 10_000); // three cells of 120 × 120 pixels, less their text
    assert.ok((await full(0)) > 3 * 10_000); // beside the diagonal
    assert.is(await full(50), 0);
  });

  test('a class without faces has an empty row', async () => {
    const evaluation = exampleEvaluation({ right: 100, confidence: 0.8 });
    evaluation.confusion[2] = [0, 0, 0];
    evaluation.perClass[2] = { name: 'fear', count: 0, accuracy: null, precision: null, f1: null };
    const filled = decoded(await confusionChart(evaluation)).pixelsOfColour(ACCENT);
    assert.ok(filled > 2 * 10_000 && filled < 3 * 10_000);
  });
});
