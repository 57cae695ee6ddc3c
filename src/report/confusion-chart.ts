import type { Evaluation } from '../evaluation/metrics.js';
import { chartPng, heading } from './chart.js';
import { ACCENT, GRID, INK } from './palette.js';

const CELL = 62;

/** The confusion matrix as PNG: which expressions the labelled faces of each class were taken for, as shares of the row above counts. */
export function confusionChart({ confusion, perClass }: Evaluation, title = 'Confusion matrix'): Promise<Buffer> {
  const columns = perClass.map(({ name }) => name);
  const rows = perClass.map(({ name, count }) => `${name} (${count.toLocaleString('en-US')})`);
  const cells = confusion.flatMap((counts, label) =>
    counts.map((count, predicted) => {
      const share = count / Math.max(1, perClass[label].count);
      return {
        label: rows[label],
        predicted: columns[predicted],
        share,
        count,
        percent: share < 0.005 ? '<1%' : `${Math.round(100 * share)}%`,
      };
    }),
  );
  const isAny = { filter: 'datum.count > 0' };
  const color = { condition: { test: 'datum.share > 0.5', value: 'white' }, value: INK };
  const bare = { title: null, domain: false, ticks: false, labelColor: INK };
  return chartPng({
    title: heading(title, 'rows: majority label (faces); columns: most probable expression'),
    data: { values: cells },
    width: { step: CELL },
    height: { step: CELL },
    encoding: {
      x: { field: 'predicted', type: 'nominal', sort: columns, axis: { ...bare, orient: 'top', labelAngle: 0, labelPadding: 6 } },
      y: { field: 'label', type: 'nominal', sort: rows, axis: { ...bare, labelPadding: 8 } },
    },
    layer: [
      {
        mark: { type: 'rect', stroke: 'white', strokeWidth: 2, cornerRadius: 4 },
        encoding: {
          color: {
            field: 'share',
            type: 'quantitative',
            scale: { domain: [0, 1], range: [GRID, ACCENT], interpolate: 'rgb' },
            legend: null,
          },
        },
      },
      { transform: [isAny], mark: { type: 'text', fontSize: 13, dy: -6 }, encoding: { text: { field: 'percent' }, color } },
      {
        transform: [isAny],
        mark: { type: 'text', fontSize: 10, dy: 10, opacity: 0.75 },
        encoding: { text: { field: 'count', type: 'quantitative', format: ',' }, color },
      },
    ],
  });
}
