import type { Evaluation } from '../evaluation/metrics.js';
import type { Findings } from '../evaluation/run-evaluation.js';
import { percent } from '../evaluation/table.js';
import type { Picture } from './run-pictures.js';

/** What a finished run has to tell. */
export interface FinishedRun {
  folder: { path: string };
  /** On the test split, with the weights of `bestEpoch`. */
  test: Evaluation;
  /** Without the faces that training has seen. */
  testWithoutCopies?: Evaluation | undefined;
  /** What the paradigm tells of these weights. */
  findings?: Findings | undefined;
  bestEpoch: number;
  /** Of training and validation. */
  seconds: number;
  /** What the authors of the preset report, as a share, and where. */
  published?: { accuracy: number; source: string } | undefined;
}

/** The text that a person reads at the end of a run. */
export function summary(
  { folder, test, testWithoutCopies, findings = {}, bestEpoch, seconds, published }: FinishedRun,
  pictures: readonly Picture[] = [],
): string {
  const lines = [
    `Tested on ${count(test.faces)} faces, with the weights of epoch ${bestEpoch}, the best on validation:`,
    ...table([
      ['accuracy', percent(test.accuracy, 1), `of the ${count(test.count)} faces on which most annotators agree`],
      ...(testWithoutCopies
        ? [
            [
              '',
              percent(testWithoutCopies.accuracy, 1),
              `without the ${count(test.faces - testWithoutCopies.faces)} test faces of which training has seen an exact copy`,
            ],
          ]
        : []),
      ...(published ? [['', percent(published.accuracy, 1), `published: ${published.source}`]] : []),
      ['per expression', percent(test.meanClassAccuracy, 1), `on average, rare ones counting as much as common ones; ${hardest(test)}`],
      [
        'agreement',
        test.klToVotes.toFixed(3),
        `KL divergence (nats) from the annotators' votes; guessing their mean every time gives ${test.klOfMeanVotes.toFixed(3)}`,
      ],
      ...(test.klToTruth === undefined
        ? []
        : [['', test.klToTruth.toFixed(3), 'from the true distributions, which are known for these faces']]),
      ['calibration', test.ece.toFixed(3), `expected error (ECE): ${calibration(test)}`],
      ...Object.values(findings).map(({ value, ideal, about }, i) => [
        i === 0 ? 'paradigm' : '',
        value.toFixed(3),
        `${about}; ${ideal.toFixed(3)} at best`,
      ]),
    ]),
    '',
    ...table([
      ['time', duration(seconds)],
      ['run folder', folder.path],
      ...pictures.map(({ file, shows }, i) => [i === 0 ? 'pictures' : '', file, shows]),
    ]),
  ];
  return `\n${lines.join('\n')}\n`;
}

/** Rows of cells below each other, indented. */
function table(rows: readonly string[][]): string[] {
  const widths = [0, 1].map((column) => Math.max(...rows.filter((row) => row.length > column + 1).map((row) => row[column].length)));
  return rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd());
}

/** Which expression it recognises least. */
function hardest({ perClass }: Evaluation): string {
  const occurring = perClass.filter((figures) => figures.accuracy !== null);
  const { name, accuracy, count: faces } = occurring.reduce((worst, figures) => (figures.accuracy! < worst.accuracy! ? figures : worst));
  return `hardest: ${name}, ${percent(accuracy, 1)} of ${count(faces)} faces`;
}

/** How far one can believe the model when it says how sure it is. */
function calibration({ reliability, accuracy, ece, count }: Evaluation): string {
  const confidence = reliability.reduce((sum, bin) => sum + bin.count * (bin.confidence ?? 0), 0) / count;
  const excess = confidence - accuracy;
  const verdict =
    ece < 0.03
      ? 'well calibrated'
      : Math.abs(excess) < ece / 2
        ? 'sometimes too sure, sometimes not sure enough'
        : `${ece < 0.1 ? 'somewhat ' : ''}${excess > 0 ? 'overconfident' : 'underconfident'}`;
  return `${verdict}; ${percent(confidence, 1)} sure on average and ${percent(accuracy, 1)} right`;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
