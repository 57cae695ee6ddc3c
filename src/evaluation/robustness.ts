import type { Evaluation } from './metrics.js';
import { percent } from './table.js';

/** What is followed over corruptions, as in Evaluation. */
const FOLLOWED = ['accuracy', 'meanClassAccuracy', 'macroF1', 'ece', 'nll', 'brier', 'aurc', 'klToVotes', 'jensenShannon'] as const;
export type RobustnessFigures = Pick<Evaluation, (typeof FOLLOWED)[number]>;

/** How a model fares under one corruption. */
export interface CorruptionResult {
  name: string;
  severities: ({ severity: number } & RobustnessFigures)[];
  /** Over the severities. */
  mean: RobustnessFigures;
  /** Its accuracy as a share of the clean one. */
  relativeAccuracy: number;
}

/** How a model fares on corrupted faces; plain JSON. */
export interface Robustness {
  /** Of what was drawn for each face. */
  seed: number;
  clean: RobustnessFigures;
  corruptions: CorruptionResult[];
  /** Over the corruptions, each weighing the same. */
  mean: RobustnessFigures;
  relativeAccuracy: number;
}

/** Puts evaluations of the same faces together: `clean`, and one for each corruption and severity. */
export function robustness(
  seed: number,
  clean: Evaluation,
  corrupted: readonly { name: string; severity: number; evaluation: Evaluation }[],
): Robustness {
  const relativeAccuracy = (mean: RobustnessFigures) => mean.accuracy / clean.accuracy;
  const names = [...new Set(corrupted.map(({ name }) => name))];
  const corruptions = names.map((name): CorruptionResult => {
    const severities = corrupted
      .filter((result) => result.name === name)
      .map(({ severity, evaluation }) => ({ severity, ...figuresOf(evaluation) }));
    const mean = meanFigures(severities);
    return { name, severities, mean, relativeAccuracy: relativeAccuracy(mean) };
  });
  const mean = meanFigures(corruptions.map((corruption) => corruption.mean));
  return { seed, clean: figuresOf(clean), corruptions, mean, relativeAccuracy: relativeAccuracy(mean) };
}

/** A line for each corruption, and for the clean faces and the mean of all corruptions. */
export function robustnessTable({ clean, corruptions, mean, relativeAccuracy }: Robustness): string {
  const severities = corruptions[0]?.severities.map(({ severity }) => severity) ?? [];
  const nameWidth = Math.max(...corruptions.map(({ name }) => name.length), 'mean of corruptions'.length);
  const line = (name: string, cells: readonly string[]) => `  ${name.padEnd(nameWidth)}${cells.map((cell) => cell.padStart(13)).join('')}`;
  const cells = (figures: RobustnessFigures, relative: number) => [
    percent(figures.accuracy, 1),
    percent(relative, 1),
    figures.ece.toFixed(3),
    figures.klToVotes.toFixed(3),
  ];
  return [
    line('corruption', ['accuracy', 'of clean', 'ECE', 'KL to votes', ...severities.map((severity) => `severity ${severity}`)]),
    line('none', cells(clean, 1)),
    ...corruptions.map(({ name, mean: over, relativeAccuracy: share, severities: each }) =>
      line(name, [...cells(over, share), ...each.map(({ accuracy }) => percent(accuracy, 1))]),
    ),
    line('mean of corruptions', cells(mean, relativeAccuracy)),
    '',
  ].join('\n');
}

function figuresOf(evaluation: Evaluation): RobustnessFigures {
  return Object.fromEntries(FOLLOWED.map((name) => [name, evaluation[name]])) as unknown as RobustnessFigures;
}

function meanFigures(figures: readonly RobustnessFigures[]): RobustnessFigures {
  const mean = (name: keyof RobustnessFigures) => figures.reduce((sum, each) => sum + each[name], 0) / figures.length;
  return Object.fromEntries(FOLLOWED.map((name) => [name, mean(name)])) as unknown as RobustnessFigures;
}
