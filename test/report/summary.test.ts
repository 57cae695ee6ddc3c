import { summary } from '#src/report/summary.js';
import { assert, suite } from '../support/suite.js';
import { exampleEvaluation } from './example.js';

const run = { folder: { path: 'runs/one' }, test: exampleEvaluation({ right: 60, confidence: 0.8 }), bestEpoch: 7, seconds: 221.4 };

suite('summary', (test) => {
  test('tells the figures, the time and where everything is', () => {
    const text = summary(run, [
      { file: 'learning-curves.png', shows: 'the curves' },
      { file: 'faces.png', shows: 'the faces' },
    ]);
    assert.match(text, 'Tested on 100 faces, with the weights of epoch 7');
    assert.match(text, /accuracy +60\.0 % +of the 100 faces/);
    assert.match(text, /per expression +60\.\d % +.*hardest: \w+, \d+\.\d % of 3\d faces/);
    assert.match(text, `${run.test.klToVotes.toFixed(3)}`);
    assert.match(text, `gives ${run.test.klOfMeanVotes.toFixed(3)}`);
    assert.match(text, /time +3 min 41 s\n +run folder +runs\/one\n/);
    assert.match(text, /pictures +learning-curves\.png +the curves\n +faces\.png +the faces\n$/);
    assert.not.match(text, 'true distributions');
  });

  test('the truth is told where it is known', () => {
    assert.match(summary({ ...run, published: { accuracy: 0.8499, source: 'A paper' } }), /85\.0 % +published: A paper/);
    assert.match(summary({ ...run, test: { ...run.test, klToTruth: 0.125 } }), /0\.125 +from the true distributions/);
  });

  test('what the paradigm tells of its weights stands behind the figures of all', () => {
    const finding = (value: number, about: string) => ({ value, ideal: -1 / 7, about });
    const text = summary({ ...run, findings: { mean: finding(-0.1, 'mean cosine'), largest: finding(0.25, 'largest cosine') } });
    assert.match(text, /\n {2}paradigm +-0\.100 +mean cosine; -0\.143 at best\n +0\.250 +largest cosine; -0\.143 at best\n\n/);
    assert.not.match(summary(run), 'paradigm');
  });

  test('puts calibration in words', () => {
    const words = (right: number, confidence: number) => summary({ ...run, test: exampleEvaluation({ right, confidence }) });
    assert.match(words(80, 0.81), 'ECE): well calibrated; 81.0 % sure on average and 80.0 % right');
    assert.match(words(80, 0.85), 'ECE): somewhat overconfident;');
    assert.match(words(50, 0.8), 'ECE): overconfident;');
    assert.match(words(100, 0.8), 'ECE): underconfident;');
    const balanced = exampleEvaluation({ right: 80, confidence: 0.8 });
    const bin = { from: 0, to: 1, count: 50, accuracy: 0.8 };
    const mixed = { ...balanced, ece: 0.1, reliability: [{ ...bin, confidence: 0.7 }, { ...bin, confidence: 0.9 }] }; // biome-ignore format: two bins
    assert.match(summary({ ...run, test: mixed }), 'sometimes too sure, sometimes not sure enough');
  });

  test('times are told in the units of people', () => {
    const time = (seconds: number) => /^ +time +(.*)$/m.exec(summary({ ...run, seconds }))?.[1];
    assert.equal(
      [time(4.4), time(59.7), time(60), time(3599.6), time(3600), time(5430)],
      ['4 s', '1 min 0 s', '1 min 0 s', '1 h 0 min', '1 h 0 min', '1 h 30 min'],
    );
  });
});
