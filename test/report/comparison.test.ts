import type { RunEvaluation } from '#src/evaluation/run-evaluation.js';
import { type ComparedRun, comparisonCsv, comparisonMarkdown, pairedP, summarise } from '#src/report/comparison.js';
import { assert, suite } from '../support/suite.js';
import { assertClose } from '../support/tensors.js';

function run(label: string, seed: number, accuracy: number, klToVotes: number): ComparedRun {
  const evaluation = {
    pluralityAccuracy: accuracy,
    accuracy,
    meanClassAccuracy: accuracy,
    klToVotes,
    ece: 0.25,
    nll: 1,
    aurc: 0.2,
    entropy: { rankCorrelation: null },
  };
  return { label, seed, seconds: 10 * (seed + 1), bestEpoch: 3, record: { evaluation } as unknown as RunEvaluation };
}

const runs = [
  run('one-hot', 0, 0.5, 0.9),
  run('one-hot', 1, 0.6, 0.8),
  run('one-hot', 2, 0.7, 0.7),
  run('moue', 0, 0.61, 0.5),
  run('moue', 1, 0.7, 0.4),
  run('moue', 2, 0.82, 0.3),
  run('rare, "odd"', 1, 0.1, 2),
];

suite('comparison', (test) => {
  test('means and sample deviations over seeds, the best of each figure, and figures that some run lacks left out', () => {
    const { figures, paradigms } = summarise(runs, 'one-hot');
    assert.equal(
      figures.map(({ name }) => name),
      ['pluralityAccuracy', 'accuracy', 'meanClassAccuracy', 'klToVotes', 'ece', 'nll', 'aurc'],
    );
    const [oneHot, moue, rare] = paradigms;
    // 0.5, 0.6, 0.7: mean 0.6, deviations 0.1, 0, 0.1 → √(0.02 / 2) = 0.1
    assertClose([oneHot.figures.accuracy.mean, oneHot.figures.accuracy.std ?? NaN, oneHot.seconds], [0.6, 0.1, 20]);
    assertClose([moue.figures.accuracy.mean, moue.figures.klToVotes.mean], [0.71, 0.4]);
    assert.equal(
      [oneHot, moue, rare].map(({ figures: { accuracy, klToVotes, ece } }) => [accuracy.isBest, klToVotes.isBest, ece.isBest]),
      [
        [false, false, true],
        [true, true, true],
        [false, false, true],
      ],
    );
    assert.equal([oneHot.figures.accuracy.p, rare.figures.accuracy.p, rare.figures.accuracy.std], [null, null, null]);
    // Differences 0.11, 0.10, 0.12: mean 0.11, deviation 0.01, t = 0.11 / (0.01 / √3) = 19.05 with 2 degrees of freedom. Then the two-sided p is
    // 1 − t / √(2 + t²) = 1 − 19.0526 / 19.1050 = 0.002744.
    assertClose([moue.figures.accuracy.p ?? NaN], [0.002744], { relative: 1e-3 });
  });

  test('a baseline without a run is not replaced by another paradigm', () => {
    const others = runs.filter(({ label }) => label !== 'one-hot').flatMap((of) => [of, { ...of, label: 'rc' }]);
    for (const { figures } of summarise(others, 'one-hot').paradigms) for (const { p } of Object.values(figures)) assert.is(p, null);
    const markdown = comparisonMarkdown(others, 'one-hot');
    assert.match(markdown, 'no differences are tested, for the baseline one-hot has no run');
    assert.not.match(markdown, 'differs from');
    assert.match(comparisonMarkdown(others, 'moue'), '* differs from moue');
  });

  test('the paired test agrees with tables of Student', () => {
    // t = mean / (deviation / √n); for 1, 2, 3, 4: 2.5 / (1.29099 / 2) = 3.87298 with 3 degrees of freedom: p = 0.0305
    assertClose([pairedP([1, 2, 3, 4]) ?? NaN], [0.030466], { relative: 1e-4 });
    assertClose([pairedP([-1, -2, -3, -4]) ?? NaN], [0.030466], { relative: 1e-4 });
    assert.equal([pairedP([]), pairedP([1]), pairedP([1, 2]), pairedP([2, 2, 2])], [null, null, null, null]);
  });

  test('as Markdown and as CSV', () => {
    const markdown = comparisonMarkdown(runs, 'one-hot');
    assert.match(markdown, '| paradigm | seeds | plurality accuracy ↑ |');
    assert.match(markdown, '| one-hot | 3 | 60.00 ± 10.00 % |');
    assert.match(markdown, '| moue | 3 | **71.00 ± 10.54 % *** |');
    assert.match(markdown, '| rare, "odd" | 1 | 10.00 % |');
    const lines = comparisonCsv(runs).trimEnd().split('\n');
    assert.is(lines.length, runs.length + 1);
    assert.match(lines[0], /^paradigm,seed,best_epoch,seconds,pluralityAccuracy,accuracy/);
    assert.match(lines[7], /^"rare, ""odd""",1,3,20\.0,0\.1,0\.1,/);
  });
});
