import type { Evaluation } from './metrics.js';
import { type Robustness, robustnessTable } from './robustness.js';
import type { RiskAtCoverage } from './selective.js';
import { evaluationTable, percent } from './table.js';

/** By names that stay the same; `ideal` is what a figure would be at best. */
export type Findings = Readonly<Record<string, { value: number; ideal: number; about: string }>>;

/** All that was measured of one run on one split of one dataset: plain JSON, from which reports and comparisons are made. */
export interface RunEvaluation {
  run: { path: string; checkpoint: 'best' | 'last'; model: string; paradigm: string; seed: number; data: string };
  /** What was evaluated on; `source` as given to --data. */
  data: { name: string; source: string; split: string };
  evaluation: Evaluation;
  /** Risk at coverages from 0.01 to 1, the surest faces first. */
  riskCoverage: RiskAtCoverage[];

  /** Figures of what the paradigm of the run has learned, where it tells any. */
  findings?: Findings;

  /** Faces of the split of which the training faces of the run hold an exact copy; absent for the training split and for other data. */
  copies?: number;
  /** Figures without these, where there are any and not all are. */
  withoutCopies?: Evaluation;

  /** For data with other classes: the figures above are of the shared ones alone. */
  shift?: {
    classes: string[];
    leftOut: {
      model: string[];
      data: string[];
      /** Faces of the split whose majority label is a class that the model does not know. */
      faces: number;
    };
  };

  /** Temperature scaling, where asked for. The figures above are those before. */
  temperature?: {
    /** What the logits are divided by, fitted on the validation faces of the run's own data. */
    value: number;
    validation: { before: CalibrationFigures; after: CalibrationFigures };
    evaluation: Evaluation;
  };

  /** Before temperature scaling. */
  robustness?: Robustness;

  /** Of every face, where asked for: rows in the order of `ids`. */
  perFace?: { ids: string[]; voteNames: string[]; probabilities: number[][]; votes: number[][] };
}

/** What temperature scaling changes. */
export type CalibrationFigures = Pick<Evaluation, 'ece' | 'classwiseEce' | 'nll' | 'brier' | 'klToVotes'>;

export function calibrationFigures({ ece, classwiseEce, nll, brier, klToVotes }: Evaluation): CalibrationFigures {
  return { ece, classwiseEce, nll, brier, klToVotes };
}

/** The same as text for the terminal. */
export function runEvaluationText({
  evaluation,
  findings = {},
  copies,
  withoutCopies,
  shift,
  temperature,
  robustness,
}: RunEvaluation): string {
  const parts = [evaluationTable(evaluation)];
  if (shift) {
    const { classes, leftOut } = shift;
    const unknown = leftOut.data.length > 0 ? `, and ${count(leftOut.faces)} faces with a majority for ${leftOut.data.join(', ')}` : '';
    parts.unshift(
      `Classes that model and data share: ${classes.join(', ')}\n  left out: ${leftOut.model.join(', ') || 'none'} of the model${unknown}\n`,
    );
  }
  if (withoutCopies) {
    parts.push(
      `Without the ${count(copies ?? 0)} faces of which training has an exact copy: accuracy ${percent(withoutCopies.accuracy)}, ` +
        `mean class accuracy ${percent(withoutCopies.meanClassAccuracy)}, KL to votes ${withoutCopies.klToVotes.toFixed(3)}\n`,
    );
  }
  const found = Object.values(findings).map(
    ({ value, ideal, about }) => `  ${about.padEnd(40)}${value.toFixed(3).padStart(9)}   (${ideal.toFixed(3)} at best)\n`,
  );
  if (found.length > 0) parts.push(`What its paradigm has learned\n${found.join('')}`);
  if (temperature) {
    const { value, validation, evaluation: after } = temperature;
    const line = (name: string, figures: readonly string[]) =>
      `  ${name.padEnd(24)}${figures.map((figure) => figure.padStart(15)).join('')}`;
    const row = (name: string, figures: CalibrationFigures) =>
      line(
        name,
        [figures.ece, figures.classwiseEce, figures.nll, figures.klToVotes].map((figure) => figure.toFixed(3)),
      );
    parts.push(
      [
        `Temperature ${value.toFixed(3)}, fitted on the votes of the validation faces`,
        line('', ['ECE', 'classwise ECE', 'NLL', 'KL to votes']),
        row('before', calibrationFigures(evaluation)),
        row('after', calibrationFigures(after)),
        row('validation, before', validation.before),
        row('validation, after', validation.after),
        '',
      ].join('\n'),
    );
  }
  if (robustness) parts.push(robustnessTable(robustness));
  return parts.join('\n');
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}
