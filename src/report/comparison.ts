import jstat from 'jstat';
import type { RunEvaluation } from '../evaluation/run-evaluation.js';

/** One run of a comparison, evaluated on the test faces. */
export interface ComparedRun {
  /** The paradigm, with the constants that were changed. */
  label: string;
  seed: number;
  seconds: number;
  bestEpoch: number;
  /** On the test faces; the weights are those of the epoch that was best on validation. */
  record: RunEvaluation;
}

/** A figure by which paradigms are compared. */
export interface Figure {
  name: string;
  title: string;
  /** Which way is better. */
  higher: boolean;
  isShare?: boolean;
  of(record: RunEvaluation): number | null | undefined;
}

/** In the order of the tables; those that the runs do not have are left out. */
export const FIGURES: readonly Figure[] = [
  {
    name: 'pluralityAccuracy',
    title: 'plurality accuracy',
    higher: true,
    isShare: true,
    of: ({ evaluation }) => evaluation.pluralityAccuracy,
  },
  { name: 'accuracy', title: 'majority accuracy', higher: true, isShare: true, of: ({ evaluation }) => evaluation.accuracy },
  {
    name: 'meanClassAccuracy',
    title: 'mean class accuracy',
    higher: true,
    isShare: true,
    of: ({ evaluation }) => evaluation.meanClassAccuracy,
  },
  {
    name: 'accuracyWithoutCopies',
    title: 'majority accuracy without copies',
    higher: true,
    isShare: true,
    of: ({ withoutCopies }) => withoutCopies?.accuracy,
  },
  { name: 'klToVotes', title: 'KL to votes', higher: false, of: ({ evaluation }) => evaluation.klToVotes },
  { name: 'klToTruth', title: 'KL to truth', higher: false, of: ({ evaluation }) => evaluation.klToTruth },
  { name: 'ece', title: 'ECE', higher: false, of: ({ evaluation }) => evaluation.ece },
  { name: 'eceToVotes', title: 'ECE to votes', higher: false, of: ({ evaluation }) => evaluation.eceToVotes },
  { name: 'nll', title: 'NLL', higher: false, of: ({ evaluation }) => evaluation.nll },
  { name: 'aurc', title: 'AURC', higher: false, of: ({ evaluation }) => evaluation.aurc },
  { name: 'entropyCorrelation', title: 'entropy correlation', higher: true, of: ({ evaluation }) => evaluation.entropy.rankCorrelation },
  {
    name: 'corruptedAccuracy',
    title: 'corrupted accuracy',
    higher: true,
    isShare: true,
    of: ({ robustness }) => robustness?.mean.accuracy,
  },
];

export interface FigureSummary {
  mean: number;
  /** Sample standard deviation over the seeds; null for one seed. */
  std: number | null;
  isBest: boolean;
  /** Of a two-sided paired t-test against the baseline over the seeds that both have; null where it cannot be told. */
  p: number | null;
}

export interface ParadigmSummary {
  label: string;
  seeds: number[];
  /** Mean training time of a run. */
  seconds: number;
  figures: Record<string, FigureSummary>;
}

/**
 * Means over seeds, in the order in which paradigms first appear.
 * @param baseline label of what the others are tested against; without a run of it nothing is
 */
export function summarise(runs: readonly ComparedRun[], baseline: string): { figures: Figure[]; paradigms: ParadigmSummary[] } {
  const labels = [...new Set(runs.map(({ label }) => label))];
  const figures = FIGURES.filter(({ of }) => runs.length > 0 && runs.every(({ record }) => Number.isFinite(of(record) ?? Number.NaN)));
  const valuesOf = (label: string, { of }: Figure) =>
    new Map(runs.filter((run) => run.label === label).map((run) => [run.seed, of(run.record) as number]));
  const paradigms = labels.map((label): ParadigmSummary => {
    const own = runs.filter((run) => run.label === label);
    const summaries = figures.map((figure): [string, FigureSummary] => {
      const values = valuesOf(label, figure);
      const tested = valuesOf(baseline, figure);
      const pairs =
        label === baseline
          ? []
          : [...values].filter(([seed]) => tested.has(seed)).map(([seed, value]) => value - (tested.get(seed) as number));
      return [figure.name, { mean: mean([...values.values()]), std: deviation([...values.values()]), isBest: false, p: pairedP(pairs) }];
    });
    return {
      label,
      seeds: own.map(({ seed }) => seed),
      seconds: mean(own.map(({ seconds }) => seconds)),
      figures: Object.fromEntries(summaries),
    };
  });
  for (const { name, higher } of figures) {
    const means = paradigms.map((paradigm) => paradigm.figures[name].mean);
    const best = higher ? Math.max(...means) : Math.min(...means);
    for (const paradigm of paradigms) paradigm.figures[name].isBest = paradigm.figures[name].mean === best;
  }
  return { figures, paradigms };
}

/** Two runs say nothing of their spread. */
const FEWEST_PAIRS = 3;

/** p of the two-sided t-test that paired differences have mean 0 (Student 1908); null for fewer than three, or for equal differences. */
export function pairedP(differences: readonly number[]): number | null {
  const spread = deviation(differences);
  if (differences.length < FEWEST_PAIRS || !spread) return null;
  const t = mean(differences) / (spread / Math.sqrt(differences.length));
  return 2 * jstat.studentt.cdf(-Math.abs(t), differences.length - 1);
}

/** Below this a difference counts as significant. */
const SIGNIFICANT = 0.05;

/** `84.2 ± 0.3 %`. */
export function figureText({ isShare }: Figure, { mean: value, std }: FigureSummary): string {
  const [factor, digits] = isShare ? [100, 2] : [1, 3];
  const text = (factor * value).toFixed(digits) + (std === null ? '' : ` ± ${(factor * std).toFixed(digits)}`);
  return isShare ? `${text} %` : text;
}

export function isSignificant({ p }: FigureSummary): boolean {
  return p !== null && p < SIGNIFICANT;
}

/** The table for a README: mean ± standard deviation over seeds, the best in bold, * where it differs from the baseline. */
export function comparisonMarkdown(runs: readonly ComparedRun[], baseline: string): string {
  const { figures, paradigms } = summarise(runs, baseline);
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const lines = paradigms.map(({ label, seeds, figures: summaries }) =>
    row([
      label,
      String(seeds.length),
      ...figures.map((figure) => {
        const summary = summaries[figure.name];
        const text = figureText(figure, summary) + (isSignificant(summary) ? ' *' : '');
        return summary.isBest ? `**${text}**` : text;
      }),
    ]),
  );
  const head = ['paradigm', 'seeds', ...figures.map(({ title, higher }) => `${title} ${higher ? '↑' : '↓'}`)];
  const rule = row(head.map((_, i) => (i === 0 ? '---' : '---:')));
  return [row(head), rule, ...lines, '', comparisonRemark(runs, baseline), ''].join('\n');
}

/** How the tables are to be read. */
export function comparisonRemark(runs: readonly ComparedRun[], baseline: string): string {
  const significance = runs.some(({ label }) => label === baseline)
    ? `* differs from ${baseline} (paired t-test over seeds, p < ${SIGNIFICANT})`
    : `no differences are tested, for the baseline ${baseline} has no run`;
  return `Mean ± standard deviation over seeds; best in bold; ${significance}.`;
}

/** One line for each run. */
export function comparisonCsv(runs: readonly ComparedRun[]): string {
  const quoted = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const head = ['paradigm', 'seed', 'best_epoch', 'seconds', ...FIGURES.map(({ name }) => name)];
  const lines = runs.map(({ label, seed, bestEpoch, seconds, record }) => [
    quoted(label),
    seed,
    bestEpoch,
    seconds.toFixed(1),
    ...FIGURES.map(({ of }) => of(record) ?? ''),
  ]);
  return [head, ...lines].map((cells) => `${cells.join(',')}\n`).join('');
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Sample standard deviation; null for fewer than two values. */
function deviation(values: readonly number[]): number | null {
  if (values.length < 2) return null;
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1));
}
