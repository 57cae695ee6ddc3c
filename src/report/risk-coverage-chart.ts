import type { RunEvaluation } from '../evaluation/run-evaluation.js';
import { chartPng, heading } from './chart.js';
import { ACCENT, PALE_INK } from './palette.js';

const SIDE = 330;

/** How often the model errs if it answers only for the faces that it is surest of, as PNG. */
export function riskCoverageChart({ riskCoverage, evaluation: { aurc, excessAurc, accuracy } }: RunEvaluation): Promise<Buffer> {
  const axis = { format: '%', tickCount: 5 };
  return chartPng({
    title: heading(
      'Risk and coverage',
      `area ${aurc.toFixed(3)}, ${excessAurc.toFixed(3)} more than a perfect order of the faces would leave`,
    ),
    width: SIDE,
    height: SIDE,
    data: { values: riskCoverage.map(({ coverage, risk }) => ({ coverage, risk })) },
    encoding: {
      x: {
        field: 'coverage',
        type: 'quantitative',
        title: 'faces answered, the surest first',
        scale: { domain: [0, 1] },
        axis: { ...axis, grid: false },
      },
      y: { field: 'risk', type: 'quantitative', title: 'errors among them', scale: { domainMin: 0 }, axis },
    },
    layer: [
      { mark: { type: 'line', strokeWidth: 2, color: ACCENT } },
      {
        data: { values: [{ risk: 1 - accuracy }] },
        mark: { type: 'rule', color: PALE_INK, strokeDash: [4, 4] },
        encoding: { x: { value: 0 }, x2: { value: SIDE } },
      },
    ],
  });
}
