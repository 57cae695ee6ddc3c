import { jensenShannon } from '../evaluation/agreement.js';
import type { ReliabilityBin } from '../evaluation/calibration.js';
import { type FaceSet, pixelsOf, votesOf } from '../faces/face-set.js';
import { distribution, entropy, plurality } from '../labels/votes.js';
import { chartSvg, type Panel } from './chart.js';
import { type ComparedRun, comparisonRemark, figureText, isSignificant, summarise } from './comparison.js';
import { escaped } from './escaped.js';
import { imageUrl } from './face-image.js';
import type { EpochRecord } from './learning-curves.js';
import { expressionColours, PALE_INK } from './palette.js';

/** A run with what only its own pictures need. */
export interface ReportedRun extends ComparedRun {
  /** Of the log, one for each epoch. */
  epochs: readonly EpochRecord[];
}

/** Faces shown of a kind. */
const FACES_SHOWN = 12;
const SIDE = 300;
/** Cells along each side of a map of entropies. */
const ENTROPY_CELLS = 20;

/** One page on how paradigms compare. It holds its pictures in itself and needs no network; `faces` are those that the first run was tested on. */
export async function comparisonReport(runs: readonly ReportedRun[], baseline: string, faces: FaceSet, title: string): Promise<string> {
  const labels = [...new Set(runs.map(({ label }) => label))];
  // Where the seed decides on the faces, as with generated ones, only the runs that saw these can be shown beside each other.
  const onThese = runs.filter(({ record }) => hasVotesOf(faces, record.perFace!.votes));
  const shown = labels.filter((label) => onThese.some((run) => run.label === label));
  const means = new Map(shown.map((label) => [label, meanProbabilities(onThese.filter((run) => run.label === label))]));
  const sections: [heading: string, explanation: string, body: string][] = [
    ['Figures', comparisonRemark(runs, baseline), figureTable(runs, baseline)],
    ['Learning curves', 'Validation after every epoch, mean over the seeds.', await learningCurves(runs)],
    [
      'Confusion',
      'Rows: the majority label; columns: the prediction; shares of the row, all seeds together.',
      await confusions(runs, labels),
    ],
    [
      'Reliability',
      'How often predictions of a confidence are right, all seeds together. Below the dashed line a model is overconfident.',
      await reliability(runs, labels),
    ],
    ['Risk and coverage', 'Errors among the faces answered, the surest first; mean over the seeds.', await riskCoverage(runs)],
    ...(runs.every(({ record }) => record.robustness)
      ? [
          ['Robustness', 'Accuracy under corruptions; severity 0 is the clean faces; mean over the seeds.', await robustness(runs)] as [
            string,
            string,
            string,
          ],
        ]
      : []),
    [
      'Uncertainty',
      "The entropy of the prediction against that of the annotators' votes, faces of all seeds; along the dashed line both are alike.",
      await entropies(runs, labels),
    ],
    [
      'The most ambiguous faces',
      'Votes above, below them the mean prediction of each paradigm.',
      faceCards(faces, mostAmbiguous(faces), means),
    ],
    [
      'Where the paradigms differ most',
      'By the mean Jensen–Shannon divergence between their predictions.',
      labels.length > 1 ? faceCards(faces, mostDisputed(faces, [...means.values()]), means) : '<p>There is one paradigm.</p>',
    ],
  ];
  return page(
    title,
    sections
      .map(([heading, explanation, body]) => `<section><h2>${escaped(heading)}</h2><p>${escaped(explanation)}</p>${body}</section>`)
      .join('\n'),
  );
}

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>${escaped(title)}</title>
<style>
body { font: 14px/1.5 "DejaVu Sans", system-ui, sans-serif; color: #22262b; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
section { margin: 3rem 0; overflow-x: auto; }
section > p { color: #6b7178; }
table.figures { border-collapse: collapse; }
table.figures th, table.figures td { padding: .35rem .7rem; border-bottom: 1px solid #d9dde2; text-align: right; white-space: nowrap; }
table.figures th:first-child, table.figures td:first-child { text-align: left; }
table.figures th { font-weight: normal; color: #6b7178; vertical-align: bottom; white-space: normal; }
.faces { display: grid; grid-template-columns: repeat(auto-fill, minmax(22rem, 1fr)); gap: 1.5rem; }
.face { display: grid; grid-template-columns: 96px 1fr; gap: .8rem; align-items: start; }
.face img { width: 96px; height: 96px; border-radius: 5px; object-fit: cover; image-rendering: auto; }
.face figcaption { grid-column: 1 / -1; font-size: 11px; color: #6b7178; overflow-wrap: anywhere; }
.face figure, figure { margin: 0; }
.bars { display: grid; grid-template-columns: max-content 1fr; gap: 2px .5rem; font-size: 11px; align-items: center; }
.bar { display: flex; height: 12px; border-radius: 2px; overflow: hidden; background: #eef1f5; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1rem; margin-bottom: 1rem; font-size: 12px; }
.legend i { display: inline-block; width: 12px; height: 12px; border-radius: 2px; margin-right: .4rem; vertical-align: -1px; }
svg { max-width: 100%; height: auto; }
</style>
</head>
<body>
<h1>${escaped(title)}</h1>
${body}
</body>
</html>
`;
}

function figureTable(runs: readonly ComparedRun[], baseline: string): string {
  const { figures, paradigms } = summarise(runs, baseline);
  const head = ['paradigm', 'seeds', ...figures.map(({ title, higher }) => `${title} ${higher ? '↑' : '↓'}`), 'minutes a run'];
  const rows = paradigms.map(({ label, seeds, seconds, figures: summaries }) => {
    const cells = figures.map((figure) => {
      const summary = summaries[figure.name];
      const text = escaped(figureText(figure, summary)) + (isSignificant(summary) ? ' *' : '');
      return summary.isBest ? `<b>${text}</b>` : text;
    });
    return [escaped(label), String(seeds.length), ...cells, (seconds / 60).toFixed(1)];
  });
  const line = (tag: string, cells: readonly string[]) => `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join('')}</tr>`;
  return `<table class="figures"><thead>${line('th', head.map(escaped))}</thead><tbody>${rows.map((cells) => line('td', cells)).join('\n')}</tbody></table>`;
}

function learningCurves(runs: readonly ReportedRun[]): Promise<string> {
  const epochs = Math.max(...runs.map((run) => run.epochs.length)) - 1;
  const points = runs.flatMap(({ label, epochs }) => epochs.map(({ epoch, validation }) => ({ label, epoch, ...validation })));
  const panel = (field: string, title: string, format?: string): Panel => ({
    title,
    width: SIDE,
    height: 200,
    mark: { type: 'line', strokeWidth: 2, point: { size: 18 } },
    encoding: {
      x: { field: 'epoch', type: 'quantitative', title: 'epoch', axis: { grid: false, format: 'd', tickCount: Math.min(8, epochs) } },
      y: {
        field,
        aggregate: 'mean',
        type: 'quantitative',
        title: null,
        scale: { zero: false },
        axis: { tickCount: 5, ...(format && { format }) },
      },
      color: colourOf(runs),
    },
  });
  return chartSvg({
    data: {
      values: points.map(({ label, epoch, pluralityAccuracy, klToVotes, ece }) => ({ label, epoch, pluralityAccuracy, klToVotes, ece })),
    },
    columns: 3,
    concat: [panel('pluralityAccuracy', 'Plurality accuracy', '%'), panel('klToVotes', 'KL to votes'), panel('ece', 'ECE')],
  });
}

function confusions(runs: readonly ComparedRun[], labels: readonly string[]): Promise<string> {
  const { classes } = runs[0].record.evaluation;
  const panels = labels.map((label): Panel => {
    const matrices = runs.filter((run) => run.label === label).map(({ record }) => record.evaluation.confusion);
    const values = classes.flatMap((row, r) => {
      const counts = classes.map((_, c) => matrices.reduce((sum, matrix) => sum + matrix[r][c], 0));
      const whole = counts.reduce((sum, count) => sum + count, 0);
      return classes.map((column, c) => ({ row, column, share: whole > 0 ? counts[c] / whole : 0 }));
    });
    const x = {
      field: 'column',
      type: 'nominal',
      sort: [...classes],
      title: null,
      axis: { labelAngle: -45, ticks: false, domain: false },
    } as const;
    const y = { field: 'row', type: 'nominal', sort: [...classes], title: null, axis: { ticks: false, domain: false } } as const;
    return {
      title: label,
      width: 200,
      height: 200,
      data: { values },
      encoding: { x, y },
      layer: [
        {
          mark: { type: 'rect' },
          encoding: {
            color: { field: 'share', type: 'quantitative', legend: null, scale: { domain: [0, 1], range: ['#ffffff', '#2e56c8'] } },
          },
        },
        {
          mark: { type: 'text', fontSize: 9 },
          encoding: {
            text: { field: 'share', type: 'quantitative', format: '.0%' },
            color: { condition: { test: 'datum.share > 0.5', value: 'white' }, value: PALE_INK },
          },
        },
      ],
    };
  });
  return chartSvg({ data: { values: [] }, columns: 3, concat: panels });
}

function reliability(runs: readonly ComparedRun[], labels: readonly string[]): Promise<string> {
  const values = labels.flatMap((label) => {
    const own = runs.filter((run) => run.label === label).map(({ record }) => record.evaluation.reliability);
    return own[0].flatMap((_, bin) => {
      const parts = own.map((bins) => bins[bin]).filter(({ count }) => count > 0);
      const count = parts.reduce((sum, part) => sum + part.count, 0);
      const weighted = (of: (part: ReliabilityBin) => number | null) =>
        parts.reduce((sum, part) => sum + part.count * (of(part) ?? 0), 0) / count;
      return count === 0
        ? []
        : [{ label, confidence: weighted(({ confidence }) => confidence), accuracy: weighted(({ accuracy }) => accuracy), count }];
    });
  });
  const share = { type: 'quantitative' as const, scale: { domain: [0, 1] }, axis: { format: '%', tickCount: 5 } };
  return chartSvg({
    width: SIDE,
    height: SIDE,
    layer: [
      {
        data: { values: [0, 1].map((ideal) => ({ confidence: ideal, accuracy: ideal })) },
        mark: { type: 'line', color: PALE_INK, strokeDash: [4, 4] },
        encoding: { x: { field: 'confidence', ...share }, y: { field: 'accuracy', ...share } },
      },
      {
        data: { values },
        mark: { type: 'line', strokeWidth: 2, point: { size: 20 } },
        encoding: {
          x: { field: 'confidence', ...share, title: 'confidence' },
          y: { field: 'accuracy', ...share, title: 'accuracy' },
          color: colourOf(runs),
        },
      },
    ],
  });
}

function riskCoverage(runs: readonly ComparedRun[]): Promise<string> {
  const values = runs.flatMap(({ label, record }) =>
    record.riskCoverage.map(({ coverage, risk }) => ({ label, coverage: Math.round(100 * coverage) / 100, risk })),
  );
  return chartSvg({
    width: SIDE * 1.6,
    height: SIDE,
    data: { values },
    mark: { type: 'line', strokeWidth: 2 },
    encoding: {
      x: { field: 'coverage', type: 'quantitative', title: 'faces answered', axis: { format: '%', grid: false } },
      y: { field: 'risk', aggregate: 'mean', type: 'quantitative', title: 'errors among them', axis: { format: '%' } },
      color: colourOf(runs),
    },
  });
}

function robustness(runs: readonly ComparedRun[]): Promise<string> {
  const values = runs.flatMap(({ label, record: { robustness } }) =>
    robustness!.corruptions.flatMap(({ name, severities }) => [
      { label, name, severity: 0, accuracy: robustness!.clean.accuracy },
      ...severities.map(({ severity, accuracy }) => ({ label, name, severity, accuracy })),
    ]),
  );
  return chartSvg({
    data: { values },
    columns: 5,
    facet: { field: 'name', type: 'nominal', title: null, sort: null },
    spec: {
      width: 150,
      height: 110,
      mark: { type: 'line', strokeWidth: 2 },
      encoding: {
        x: { field: 'severity', type: 'quantitative', title: null, axis: { tickMinStep: 1, grid: false } },
        y: {
          field: 'accuracy',
          aggregate: 'mean',
          type: 'quantitative',
          title: null,
          scale: { domain: [0, 1] },
          axis: { format: '%', tickCount: 4 },
        },
        color: colourOf(runs),
      },
    },
  });
}

function entropies(runs: readonly ComparedRun[], labels: readonly string[]): Promise<string> {
  const classes = runs[0].record.evaluation.classes.length;
  const most = Math.log(classes);
  const cellOf = (row: ArrayLike<number>) => Math.min(ENTROPY_CELLS - 1, Math.floor((entropy(row) / most) * ENTROPY_CELLS));
  const size = most / ENTROPY_CELLS;
  const panels = labels.map((label): Panel => {
    const counts = new Map<number, number>();
    for (const { record } of runs.filter((run) => run.label === label)) {
      const { probabilities, votes } = record.perFace!;
      votes.forEach((row, face) => {
        const shares = distribution(row.slice(0, classes));
        if (plurality(shares) < 0) return;
        const cell = cellOf(shares) * ENTROPY_CELLS + cellOf(probabilities[face]);
        counts.set(cell, (counts.get(cell) ?? 0) + 1);
      });
    }
    const values = [...counts].map(([cell, count]) => {
      const [x, y] = [Math.floor(cell / ENTROPY_CELLS) * size, (cell % ENTROPY_CELLS) * size];
      return { x, x2: x + size, y, y2: y + size, count };
    });
    const axis = { type: 'quantitative' as const, scale: { domain: [0, most] } };
    return {
      title: label,
      width: 220,
      height: 220,
      layer: [
        {
          data: { values },
          mark: { type: 'rect' },
          encoding: {
            x: { field: 'x', ...axis, title: 'entropy of the votes' },
            x2: { field: 'x2' },
            y: { field: 'y', ...axis, title: 'of the prediction' },
            y2: { field: 'y2' },
            color: { field: 'count', type: 'quantitative', scale: { type: 'log', range: ['#dfe6f8', '#2e56c8'] }, legend: null },
          },
        },
        {
          data: { values: [0, most].map((same) => ({ x: same, y: same })) },
          mark: { type: 'line', color: PALE_INK, strokeDash: [4, 4] },
          encoding: { x: { field: 'x', ...axis }, y: { field: 'y', ...axis } },
        },
      ],
    };
  });
  return chartSvg({ data: { values: [] }, columns: 3, concat: panels });
}

/** A colour for each paradigm, in the order of the table. */
function colourOf(runs: readonly ComparedRun[]) {
  return { field: 'label', type: 'nominal' as const, title: null, scale: { domain: [...new Set(runs.map(({ label }) => label))] } };
}

function hasVotesOf({ votes, voteNames, count }: FaceSet, rows: readonly number[][]): boolean {
  return rows.length === count && rows.every((row, face) => row.every((vote, i) => vote === votes[face * voteNames.length + i]));
}

/** What the runs say of each face, mean over them: one row for each face. */
function meanProbabilities(runs: readonly ComparedRun[]): number[][] {
  const tables = runs.map(({ record }) => record.perFace!.probabilities);
  return tables[0].map((row, face) => row.map((_, c) => tables.reduce((sum, table) => sum + table[face][c], 0) / tables.length));
}

function mostAmbiguous(faces: FaceSet): number[] {
  const shares = (face: number) => distribution(votesOf(faces, face).subarray(0, faces.classes.length));
  return ranked(faces, (face) => entropy(shares(face)));
}

function mostDisputed(faces: FaceSet, predictions: readonly number[][][]): number[] {
  return ranked(faces, (face) => {
    const rows = predictions.map((table) => table[face]);
    return rows.reduce((sum, row, i) => sum + rows.slice(i + 1).reduce((part, other) => part + jensenShannon(row, other), 0), 0);
  });
}

/** The faces with the largest values. */
function ranked({ count }: FaceSet, rankOf: (face: number) => number): number[] {
  const values = Float64Array.from({ length: count }, (_, face) => rankOf(face));
  return [...values.keys()].sort((a, b) => values[b] - values[a] || a - b).slice(0, FACES_SHOWN);
}

/** Faces with their votes and what each paradigm says of them, as bars. */
function faceCards(faces: FaceSet, shown: readonly number[], predictions: ReadonlyMap<string, number[][]>): string {
  const colours = expressionColours(faces.voteNames);
  const legend = faces.voteNames.map((name, i) => `<span><i style="background:${colours[i]}"></i>${escaped(name)}</span>`).join('');
  const bar = (name: string, shares: ArrayLike<number>) =>
    `<span>${escaped(name)}</span><span class="bar">${Array.from(shares, (share, i) =>
      share > 0.005
        ? `<span style="width:${(100 * share).toFixed(1)}%;background:${colours[i]}" title="${escaped(faces.voteNames[i])} ${(100 * share).toFixed(0)} %"></span>`
        : '',
    ).join('')}</span>`;
  const cards = shown.map((face) => {
    const rows = [bar('votes', distribution(votesOf(faces, face))), ...[...predictions].map(([label, table]) => bar(label, table[face]))];
    const truth = faces.truth?.subarray(face * faces.classes.length, (face + 1) * faces.classes.length);
    if (truth) rows.splice(1, 0, bar('truth', truth));
    return `<figure class="face"><img src="${imageUrl(pixelsOf(faces, face), faces)}" alt=""><div class="bars">${rows.join('')}</div><figcaption>${escaped(faces.ids[face])}</figcaption></figure>`;
  });
  return `<div class="legend">${legend}</div><div class="faces">${cards.join('\n')}</div>`;
}
