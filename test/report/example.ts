import { PNG } from 'pngjs';
import { type Evaluation, evaluateFaces } from '#src/evaluation/metrics.js';
import type { RunEvaluation } from '#src/evaluation/run-evaluation.js';
import type { FaceSet } from '#src/faces/face-set.js';
import type { LogRecord } from '#src/report/learning-curves.js';

const classes = ['neutral', 'happiness', 'fear'];

/** Hundred faces, `right` of them told rightly, all with the same confidence. */
export function exampleEvaluation({ right, confidence }: { right: number; confidence: number }): Evaluation {
  const labels = Array.from({ length: 100 }, (_, face) => face % 3);
  const oneHot = (face: number, peak: number, shift = 0) =>
    classes.map((_, c) => (c === (labels[face] + shift) % 3 ? peak : (1 - peak) / 2));
  return evaluateFaces({
    classes,
    labels,
    probabilities: Float64Array.from(labels.flatMap((_, face) => oneHot(face, confidence, face < right ? 0 : 1))),
    distributions: Float64Array.from(labels.flatMap((_, face) => oneHot(face, 1))),
  });
}

/** Four grey faces of one shade each, the last of which nobody took for an expression. */
export function exampleFaces(): FaceSet {
  const shades = [40, 90, 150, 200];
  return {
    name: 'example',
    classes,
    count: 4,
    height: 8,
    width: 8,
    channels: 1,
    pixels: Uint8Array.from({ length: 4 * 64 }, (_, i) => shades[i >> 6]),
    voteNames: [...classes, 'unknown'],
    votes: Float32Array.of(7, 3, 0, 0, 6, 2, 0, 2, 1, 0, 9, 0, 0, 0, 0, 10),
    ids: ['a', 'b', 'c', 'd'],
  };
}

/** The log of a run of `epochs` epochs with ten lines of steps each, and a test at the end. */
export function exampleLog(epochs: number): LogRecord[] {
  return [
    ...Array.from({ length: epochs }, (_, e): LogRecord[] => [
      ...Array.from({ length: 10 }, (_, i): LogRecord => {
        const epoch = e + i / 10;
        return { type: 'step', step: 10 * e + i + 1, epoch, loss: 2 / (1 + epoch), learningRate: 0.1, gradientNorm: 1 };
      }),
      {
        type: 'epoch',
        epoch: e + 1,
        step: 10 * (e + 1),
        trainLoss: 2 / (1.5 + e),
        seconds: e,
        validation: exampleEvaluation({ right: 50 + e, confidence: 0.8 }),
      },
    ]).flat(),
    { type: 'test', evaluation: exampleEvaluation({ right: 60, confidence: 0.8 }) },
  ];
}

/** What was measured of a run, without anything that has to be asked for. */
export function exampleRecord(evaluation: Evaluation): RunEvaluation {
  return {
    run: { path: 'runs/a', checkpoint: 'best', model: 'small', paradigm: 'ferplus-majority', seed: 0, data: 'generated' },
    data: { name: 'generated test', source: 'generated', split: 'test' },
    evaluation,
    riskCoverage: [
      { coverage: 0.5, risk: 0.1 },
      { coverage: 1, risk: 0.2 },
    ],
  };
}

/** A PNG decoded, with the count of its pixels that have exactly the colour `#rrggbb`. */
export function decoded(png: Buffer) {
  const { width, height, data } = PNG.sync.read(png);
  const at = (x: number, y: number) => `#${data.subarray(4 * (y * width + x), 4 * (y * width + x) + 3).toString('hex')}`;
  const pixelsOfColour = (colour: string) => {
    const [red, green, blue] = Buffer.from(colour.slice(1), 'hex');
    let count = 0;
    for (let i = 0; i < data.length; i += 4) if (data[i] === red && data[i + 1] === green && data[i + 2] === blue) count++;
    return count;
  };
  return { width, height, at, pixelsOfColour };
}
