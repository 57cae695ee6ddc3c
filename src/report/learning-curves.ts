import { InputError } from '../errors.js';
import type { Evaluation } from '../evaluation/metrics.js';
import { chartPng, heading, type Panel } from './chart.js';
import { ACCENT, PALE_ACCENT, PALE_INK, SECOND_ACCENT } from './palette.js';

/** What training logs every few steps; `epoch` counts the passes over the faces as a fraction. */
export interface StepRecord {
  type: 'step';
  step: number;
  epoch: number;
  loss: number;
  learningRate: number;
  facesPerSecond?: number;
  gradientNorm: number;
}

/** What training logs after every epoch, the first being 1. */
export interface EpochRecord {
  type: 'epoch';
  epoch: number;
  step: number;
  /** Mean over the steps of the epoch. */
  trainLoss: number;
  validation: Evaluation;
  /** Since the start of the run. */
  seconds: number;
}

/** What training logs once, at the end, of the epoch that was best on validation. */
export interface TestRecord {
  type: 'test';
  evaluation: Evaluation;
}

export type LogRecord = StepRecord | EpochRecord | TestRecord;

interface Point {
  epoch: number;
  value: number;
}

interface Curve {
  name: string;
  colour: string;
  points: Point[];
  /** Its value on the test split. */
  test?: number;
  /** How its line differs; such a line has no points. */
  line?: { strokeWidth?: number; strokeDash?: number[] };
}

const PANEL = { width: 340, height: 180 };
/** More than a panel can show only makes it slow to draw. */
const MOST_POINTS = 500;

/**
 * Loss, accuracy, agreement with the annotators and calibration over the epochs of a run, as PNG.
 *
 * @throws InputError if the run has not finished an epoch
 */
export async function learningCurves(records: readonly LogRecord[]): Promise<Buffer> {
  const { steps, means, lastEpoch } = trainingLoss(records.filter((record) => record.type !== 'test'));
  const epochs = records.filter((record) => record.type === 'epoch');
  const test = records.findLast((record) => record.type === 'test')?.evaluation;
  const curve = (name: string, colour: string, figure: (evaluation: Evaluation) => number): Curve => ({
    name,
    colour,
    points: epochs.map(({ epoch, validation }) => ({ epoch, value: figure(validation) })),
    test: test && figure(test),
  });
  const { klToTruth, klOfMeanVotes: blind } = epochs[0].validation; // the same faces, hence the same guess, in every epoch
  const panels = [
    panel('Training loss', lastEpoch, [steps, means]),
    panel(
      'Accuracy',
      lastEpoch,
      [
        curve('of all faces', ACCENT, ({ accuracy }) => accuracy),
        curve('mean of the classes', SECOND_ACCENT, ({ meanClassAccuracy }) => meanClassAccuracy),
      ],
      { format: '%' },
    ),
    panel('KL divergence of the prediction, in nats', lastEpoch, [
      curve('from the votes', ACCENT, ({ klToVotes }) => klToVotes),
      ...(klToTruth !== undefined ? [curve('from the truth', SECOND_ACCENT, ({ klToTruth = Number.NaN }) => klToTruth)] : []),
      {
        name: 'of a blind guess',
        colour: PALE_INK,
        points: [0, lastEpoch].map((epoch) => ({ epoch, value: blind })),
        line: { strokeDash: [5, 4] },
      },
    ]),
    panel('Expected calibration error', lastEpoch, [curve('confidence against accuracy', ACCENT, ({ ece }) => ece)]),
  ];
  const remark = test ? '; ◆ test, with the weights of the epoch that was best on validation' : '';
  return chartPng({
    title: heading('Learning curves', `validation after every epoch${remark}`),
    data: { values: [] },
    columns: 2,
    bounds: 'flush',
    spacing: { column: 60, row: 100 },
    concat: panels,
    resolve: { scale: { color: 'independent' } },
  });
}

/** What pretraining logs after every epoch. */
export interface PretrainingEpoch {
  type: 'epoch';
  epoch: number;
  trainLoss: number;
  validation: { loss: number };
}

export type PretrainingRecord = StepRecord | PretrainingEpoch;

/**
 * The error of the patches that are hidden from a masked autoencoder over the epochs, as PNG.
 *
 * @param blankLoss the error of patches that are told to be of one grey
 * @throws InputError if the run has not finished an epoch
 */
export async function pretrainingCurves(records: readonly PretrainingRecord[], blankLoss: number): Promise<Buffer> {
  const epochs = records.filter((record) => record.type === 'epoch');
  const { means, lastEpoch } = trainingLoss(records); // single steps begin so high that the rest would be a line
  const learned = epochs.map(({ epoch, validation }) => ({ epoch, value: validation.loss }));
  const blank = [0, lastEpoch].map((epoch) => ({ epoch, value: blankLoss }));
  const curves = [
    { ...means, name: 'training' },
    { name: 'validation', colour: SECOND_ACCENT, points: learned },
    { name: 'blank patches', colour: PALE_INK, points: blank, line: { strokeDash: [5, 4] } },
  ];
  return chartPng({
    title: heading('Hidden patches of faces', 'mean squared error of their normalised pixels; validation after every epoch'),
    data: { values: [] },
    concat: [{ ...panel('', lastEpoch, curves, { zero: false }), width: 560, height: 280 }],
  });
}

/** The curves that show how the loss of training falls, and how far they go. */
function trainingLoss(records: readonly (StepRecord | Pick<EpochRecord, 'type' | 'epoch' | 'trainLoss'>)[]): {
  steps: Curve;
  means: Curve;
  lastEpoch: number;
} {
  const epochs = records.filter((record) => record.type === 'epoch');
  if (epochs.length === 0) throw new InputError('the log has no finished epoch to draw', 'Train for at least one epoch.');
  const losses = records.filter((record) => record.type === 'step').map(({ epoch, loss }) => ({ epoch, value: loss }));
  return {
    steps: { name: 'steps', colour: PALE_ACCENT, points: thinned(losses), line: { strokeWidth: 1 } },
    means: {
      name: 'mean of the epoch',
      colour: ACCENT,
      points: epochs.map(({ epoch, trainLoss }) => ({ epoch: epoch - 0.5, value: trainLoss })), // a mean belongs to the middle
    },
    lastEpoch: Math.max(...epochs.map(({ epoch }) => epoch)),
  };
}

/** At most MOST_POINTS points, each the mean of a stretch. */
function thinned(points: readonly Point[]): Point[] {
  const stretch = Math.max(1, Math.ceil(points.length / MOST_POINTS));
  return Array.from({ length: Math.ceil(points.length / stretch) }, (_, i) => {
    const part = points.slice(i * stretch, (i + 1) * stretch);
    const mean = (of: (point: Point) => number) => part.reduce((sum, point) => sum + of(point), 0) / part.length;
    return { epoch: mean(({ epoch }) => epoch), value: mean(({ value }) => value) };
  });
}

function panel(
  title: string,
  lastEpoch: number,
  curves: readonly Curve[],
  { format, zero = !format }: { format?: '%'; zero?: boolean } = {},
): Panel {
  const colours = { domain: curves.map(({ name }) => name), range: curves.map(({ colour }) => colour) };
  return {
    title,
    ...PANEL,
    encoding: {
      x: {
        field: 'epoch',
        type: 'quantitative',
        title: 'epoch',
        axis: { tickCount: Math.min(10, lastEpoch), grid: false },
        scale: { domain: [0, lastEpoch] },
      },
      y: { field: 'value', type: 'quantitative', title: null, axis: { tickCount: 5, ...(format && { format }) }, scale: { zero } },
      color: { field: 'curve', type: 'nominal', title: null, scale: colours, legend: { symbolType: 'stroke', symbolStrokeWidth: 2.5 } },
    },
    layer: curves.flatMap(({ name, points, test, line }) => {
      const values = points.map((point) => ({ ...point, curve: name }));
      const testValues = test === undefined ? [] : [{ epoch: lastEpoch, value: test, curve: name }];
      return [
        { data: { values }, mark: { type: 'line', strokeWidth: 2, ...line } } as const,
        { data: { values: line ? [] : values }, mark: { type: 'point', filled: true, size: 22, opacity: 1 } } as const,
        {
          data: { values: testValues },
          mark: { type: 'point', shape: 'diamond', filled: true, size: 130, opacity: 1, stroke: 'white', strokeWidth: 1 },
        } as const,
      ];
    }),
  };
}
