import type { Evaluation } from '../evaluation/metrics.js';
import { chartPng, heading } from './chart.js';
import { ACCENT, CONTRAST, PALE_ACCENT, PALE_INK, SECOND_ACCENT } from './palette.js';

const SIDE = 330;

/** How often the model is right when it is so and so sure, and below how many faces it is so sure of, as PNG. */
export function reliabilityDiagram({ reliability, ece, count }: Evaluation, title = 'Reliability'): Promise<Buffer> {
  const bins = reliability.flatMap((bin) => {
    const { from, to, accuracy, confidence } = bin;
    return accuracy === null || confidence === null ? [] : [{ from, to, accuracy, confidence, share: bin.count / count }];
  });
  const stretches = bins.flatMap(({ from, to, accuracy, confidence }) => [
    { from, to, low: 0, high: Math.min(accuracy, confidence), kind: RIGHT },
    {
      from,
      to,
      low: Math.min(accuracy, confidence),
      high: Math.max(accuracy, confidence),
      kind: accuracy < confidence ? OVER : UNDER,
    },
  ]);
  const scale = { domain: [0, 1] };
  const axis = { format: '%', tickCount: 5 };
  const x = { field: 'from', type: 'quantitative', bin: { binned: true }, scale } as const;
  return chartPng({
    title: heading(title, `expected calibration error ${ece.toFixed(3)}, the gaps weighed by the faces`),
    spacing: 16,
    data: { values: [] },
    vconcat: [
      {
        width: SIDE,
        height: SIDE,
        layer: [
          {
            data: { values: stretches },
            mark: { type: 'bar', binSpacing: 2 },
            encoding: {
              x: { ...x, title: null, axis: { ...axis, labels: false, grid: false } },
              x2: { field: 'to' },
              y: { field: 'low', type: 'quantitative', title: 'accuracy', scale, axis },
              y2: { field: 'high' },
              color: {
                field: 'kind',
                type: 'nominal',
                title: null,
                scale: { domain: [RIGHT, OVER, UNDER], range: [ACCENT, SECOND_ACCENT, CONTRAST] },
              },
            },
          },
          {
            data: { values: [0, 1].map((ideal) => ({ ideal })) },
            mark: { type: 'line', color: PALE_INK, strokeDash: [4, 4], strokeWidth: 1.5 },
            encoding: { x: { field: 'ideal', type: 'quantitative' }, y: { field: 'ideal', type: 'quantitative' } },
          },
        ],
      },
      {
        width: SIDE,
        height: 70,
        data: { values: bins },
        mark: { type: 'bar', color: PALE_ACCENT, binSpacing: 2 },
        encoding: {
          x: { ...x, title: 'confidence', axis: { ...axis, grid: false } },
          x2: { field: 'to' },
          y: { field: 'share', type: 'quantitative', title: 'faces', axis: { ...axis, tickCount: 3 } },
        },
      },
    ],
  });
}

const RIGHT = 'right';
const OVER = 'overconfident';
const UNDER = 'underconfident';
