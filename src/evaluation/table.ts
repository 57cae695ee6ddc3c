import type { Evaluation } from './metrics.js';

/** A share as text, e.g. `81.34 %`; `–` where there is none. */
export function percent(share: number | null, digits = 2): string {
  return share === null ? '–' : `${(100 * share).toFixed(digits)} %`;
}

/** The figures of an evaluation as text for the terminal, ending with a table of the classes. */
export function evaluationTable(evaluation: Evaluation): string {
  const number = (value: number | null, digits = 3) => (value === null ? '–' : value.toFixed(digits));
  const count = (value: number) => value.toLocaleString('en-US');
  const { entropy } = evaluation;

  const figures = [
    [`Against the majority label (${count(evaluation.count)} of ${count(evaluation.faces)} faces)`],
    ['accuracy', percent(evaluation.accuracy)],
    ['mean class accuracy', percent(evaluation.meanClassAccuracy)],
    ['macro F1', number(evaluation.macroF1)],
    ['calibration error (ECE)', number(evaluation.ece), `${number(evaluation.classwiseEce)} over the probabilities of all classes`],
    ['negative log-likelihood', number(evaluation.nll)],
    ['Brier score', number(evaluation.brier)],
    ['risk-coverage area', number(evaluation.aurc), `${number(evaluation.excessAurc)} more than if its errors were its least sure answers`],
    [`Against the annotators' votes (${count(evaluation.votedCount)} faces)`],
    ['KL to votes', number(evaluation.klToVotes), `${number(evaluation.klOfMeanVotes)} for guessing their mean distribution`],
    ['calibration error (ECE)', number(evaluation.eceToVotes), 'of votes for the most probable class, against its probability'],
    ['Jensen–Shannon', number(evaluation.jensenShannon)],
    ['cosine', number(evaluation.cosine)],
    ['plurality accuracy', percent(evaluation.pluralityAccuracy)],
    ['entropy', number(entropy.predictions), `${number(entropy.votes)} of the votes, rank correlation ${number(entropy.rankCorrelation)}`],
    ...(evaluation.coveringRate === undefined
      ? []
      : [
          [
            'in the candidate set',
            percent(evaluation.coveringRate),
            `approximated accuracy ${percent(evaluation.approximatedAccuracy ?? null)}`,
          ],
        ]),
    ...(evaluation.klToTruth === undefined
      ? []
      : [[`Against the true distributions (${count(evaluation.faces)} faces)`], ['KL to truth', number(evaluation.klToTruth)]]),
  ].map(([name, value, remark]) => {
    if (value === undefined) return `\n${name}`;
    return `  ${name.padEnd(24)}${value.padStart(9)}${remark ? `   (${remark})` : ''}`;
  });

  const nameWidth = Math.max('class'.length, ...evaluation.classes.map((name) => name.length));
  const line = (name: string, ...cells: string[]) => `  ${name.padEnd(nameWidth)}${cells.map((cell) => cell.padStart(11)).join('')}`;
  const classes = evaluation.perClass.map((figures) =>
    line(figures.name, count(figures.count), percent(figures.accuracy, 1), percent(figures.precision, 1), number(figures.f1)),
  );
  return [...figures, '', line('class', 'faces', 'accuracy', 'precision', 'F1'), ...classes, ''].join('\n').trimStart();
}
