import { comparisonReport, type ReportedRun } from '#src/report/comparison-report.js';
import type { EpochRecord } from '#src/report/learning-curves.js';
import { assert, suite } from '../support/suite.js';
import { exampleEvaluation, exampleFaces, exampleLog, exampleRecord } from './example.js';

function reported(label: string, seed: number, peak: number): ReportedRun {
  const { ids, votes, voteNames, count } = exampleFaces();
  const evaluation = exampleEvaluation({ right: 60 + seed, confidence: peak });
  const rows = Array.from({ length: count }, (_, face) => [...votes.subarray(4 * face, 4 * face + 4)]);
  const probabilities = Array.from({ length: count }, (_, face) => [0, 1, 2].map((c) => (c === face % 3 ? peak : (1 - peak) / 2)));
  return {
    label,
    seed,
    seconds: 60,
    bestEpoch: 2,
    record: { ...exampleRecord(evaluation), perFace: { ids: [...ids], voteNames: [...voteNames], probabilities, votes: rows } },
    epochs: exampleLog(3).filter((record): record is EpochRecord => record.type === 'epoch'),
  };
}

suite('comparison report', (test) => {
  test('is one page without a script or anything from elsewhere, and shows every paradigm', async () => {
    const runs = [reported('one-hot', 0, 0.9), reported('one-hot', 1, 0.9), reported('moue', 0, 0.6)];
    const html = await comparisonReport(runs, 'one-hot', exampleFaces(), 'Paradigms compared');
    assert.not.match(html, /<script|<link|src="(?!data:)|url\(/i);
    const addresses = [...html.matchAll(/https?:[^"' )]+/g)].map(([address]) => address);
    assert.equal(
      [...new Set(addresses)].filter((address) => !address.startsWith('http://www.w3.org/')),
      [],
    );
    for (const heading of [
      'Figures',
      'Learning curves',
      'Confusion',
      'Reliability',
      'Risk and coverage',
      'Uncertainty',
      'The most ambiguous faces',
    ])
      assert.match(html, `<h2>${heading}</h2>`);
    assert.not.match(html, '<h2>Robustness</h2>'); // was not measured
    assert.is(html.match(/<svg/g)?.length, 5);
    assert.is(html.match(/<td>moue<\/td>/g)?.length, 1);
    assert.is(html.match(/data:image\/png/g)?.length, 8); // four faces, twice
  });

  test('shows names of files and labels as text, whatever is in them', async () => {
    const nasty = '<img src=x onerror=alert(1)>"&';
    const faces = { ...exampleFaces(), ids: [nasty, 'b', 'c', 'd'], voteNames: ['neutral', 'happiness', 'fear', nasty] };
    const html = await comparisonReport([reported(nasty, 0, 0.7), reported('moue', 0, 0.6)], nasty, faces, nasty);
    assert.not.match(html, '<img src=x');
    assert.not.match(html, 'alert(1)>"');
    assert.match(html, '&lt;img src=x onerror=alert(1)&gt;&quot;&amp;');
  });
});
