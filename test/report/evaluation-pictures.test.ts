import { robustness } from '#src/evaluation/robustness.js';
import { calibrationFigures } from '#src/evaluation/run-evaluation.js';
import { corruptionSheet, corruptionSheetSvg } from '#src/report/corruption-sheet.js';
import { evaluationPictures } from '#src/report/evaluation-pictures.js';
import { ACCENT, SECOND_ACCENT } from '#src/report/palette.js';
import { riskCoverageChart } from '#src/report/risk-coverage-chart.js';
import { robustnessCurves } from '#src/report/robustness-curves.js';
import { assert, suite } from '../support/suite.js';
import { decoded, exampleEvaluation, exampleFaces, exampleRecord } from './example.js';

const clean = exampleEvaluation({ right: 90, confidence: 0.8 });
const results = robustness(
  4,
  clean,
  ['fog', 'jpeg', 'contrast'].flatMap((name) =>
    [1, 5].map((severity) => ({ name, severity, evaluation: exampleEvaluation({ right: 90 - 10 * severity, confidence: 0.8 }) })),
  ),
);
const shade = (value: number) => ({ severity: value, pixels: new Uint8Array(64).fill(value) });
const extent = { height: 8, width: 8, channels: 1 } as const;

suite('evaluation pictures', (test) => {
  test('curves of accuracy and calibration error', async () => {
    const picture = decoded(await robustnessCurves(results));
    for (const colour of [ACCENT, SECOND_ACCENT]) assert.ok(picture.pixelsOfColour(colour) > 1500, colour);
  });

  test('a risk-coverage curve', async () => {
    assert.ok(decoded(await riskCoverageChart(exampleRecord(clean))).pixelsOfColour(ACCENT) > 500);
  });

  test('the sheet shows the face and each corruption of it', () => {
    const rows = [
      { name: 'fog', severities: [shade(40), shade(80)] },
      { name: 'jpeg', severities: [shade(120), shade(160)] },
      { name: 'contrast', severities: [shade(200), shade(240)] },
    ];
    const picture = decoded(corruptionSheet(new Uint8Array(64).fill(20), rows, extent));
    const size = 168 * 168;
    for (const value of [40, 80, 120, 160, 200, 240]) {
      const grey = value.toString(16).padStart(2, '0').repeat(3);
      assert.ok(
        Math.abs(picture.pixelsOfColour(`#${grey}`) - size) < 0.05 * size,
        `${picture.pixelsOfColour(`#${grey}`)} pixels of ${value}`,
      );
    }
    assert.ok(Math.abs(picture.pixelsOfColour('#141414') - 3 * size) < 0.15 * size); // the face, once for each
    const svg = corruptionSheetSvg(new Uint8Array(64), rows, extent);
    for (const text of ['>fog<', '>jpeg<', '>contrast<', '>clean<', '>severity 40<']) assert.ok(svg.includes(text), text);
  });

  test('pictures of robustness come with corruptions alone, with the draws of the evaluation', async () => {
    const asked: object[] = [];
    const corrupt = async (face: number, setting: { name: string; severity: number; seed: number }) => {
      asked.push({ face, ...setting });
      return new Uint8Array(64);
    };
    const files = async (record: Parameters<typeof evaluationPictures>[0]) =>
      (await evaluationPictures(record, exampleFaces(), corrupt)).map(({ file }) => file);
    const plain = ['confusion.png', 'reliability.png', 'risk-coverage.png'];
    assert.equal(await files(exampleRecord(clean)), plain);
    assert.equal(asked, []);
    const figures = calibrationFigures(clean);
    const temperature = { value: 1.5, validation: { before: figures, after: figures }, evaluation: clean };
    assert.equal(await files({ ...exampleRecord(clean), temperature }), [...plain, 'reliability-after.png']);
    assert.equal(await files({ ...exampleRecord(clean), robustness: results }), [...plain, 'robustness.png', 'corruptions.png']);
    assert.is(asked.length, 6);
    assert.equal(asked[1], { face: 0, name: 'fog', severity: 5, seed: 4 });
  });
});
