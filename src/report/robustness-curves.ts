import type { Robustness } from '../evaluation/robustness.js';
import { chartPng, heading, type Panel } from './chart.js';
import { ACCENT, PALE_INK, SECOND_ACCENT } from './palette.js';

const PANEL = { width: 150, height: 110 };
const COLUMNS = 4;
const LINES = { accuracy: ACCENT, 'calibration error': SECOND_ACCENT };

/** Accuracy and calibration error over the severities of every corruption, severity 0 being the clean faces, as PNG. */
export function robustnessCurves({ clean, corruptions, mean, relativeAccuracy }: Robustness): Promise<Buffer> {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const panels = corruptions.map(({ name, severities, relativeAccuracy: share }): Panel => {
    const points = [{ severity: 0, ...clean }, ...severities].flatMap(({ severity, accuracy, ece }) => [
      { severity, value: accuracy, line: 'accuracy' },
      { severity, value: ece, line: 'calibration error' },
    ]);
    return {
      title: { text: name, subtitle: `keeps ${percent(share)} of the accuracy` },
      ...PANEL,
      data: { values: points },
      encoding: {
        x: {
          field: 'severity',
          type: 'quantitative',
          title: null,
          scale: { domain: [0, 5] },
          axis: { tickCount: 5, grid: false, format: 'd' },
        },
        y: { field: 'value', type: 'quantitative', title: null, scale: { domain: [0, 1] }, axis: { tickCount: 4, format: '%' } },
        color: {
          field: 'line',
          type: 'nominal',
          title: null,
          scale: { domain: Object.keys(LINES), range: Object.values(LINES) },
          legend: { symbolType: 'stroke', symbolStrokeWidth: 2.5, orient: 'bottom', direction: 'horizontal' },
        },
      },
      layer: [
        {
          data: { values: [{ value: clean.accuracy }] },
          mark: { type: 'rule', color: PALE_INK, strokeDash: [4, 4] },
          encoding: { x: { value: 0 }, x2: { value: PANEL.width }, color: { value: PALE_INK } },
        },
        { mark: { type: 'line', strokeWidth: 2 } },
        { mark: { type: 'point', filled: true, size: 26, opacity: 1 } },
      ],
    };
  });
  const summary = `mean accuracy ${percent(mean.accuracy)}, which is ${percent(relativeAccuracy)} of that on clean faces (dashed)`;
  return chartPng({
    title: heading('Robustness by severity', summary),
    data: { values: [] },
    columns: COLUMNS,
    spacing: { column: 40, row: 44 },
    concat: panels,
  });
}
