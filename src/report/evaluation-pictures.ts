import type { RunEvaluation } from '../evaluation/run-evaluation.js';
import { type FaceSet, pixelsOf } from '../faces/face-set.js';
import { confusionChart } from './confusion-chart.js';
import { variedFaces } from './contact-sheet.js';
import { type CorruptedFaces, corruptionSheet } from './corruption-sheet.js';
import { reliabilityDiagram } from './reliability-diagram.js';
import { riskCoverageChart } from './risk-coverage-chart.js';
import { robustnessCurves } from './robustness-curves.js';
import type { Picture } from './run-pictures.js';

/** Gives a face of the evaluated set, [height, width, channels], as a corruption of the evaluation leaves it. */
export type Corrupt = (face: number, setting: { name: string; severity: number; seed: number }) => Promise<Uint8Array>;

/** Draws what was measured of a run: its confusions, reliability, risk and coverage; with corruptions, its robustness and what they look like. */
export async function evaluationPictures(record: RunEvaluation, faces: FaceSet, corrupt: Corrupt): Promise<(Picture & { png: Buffer })[]> {
  const { evaluation, temperature, robustness } = record;
  const pictures = [
    { file: 'confusion.png', shows: 'which expressions are taken for which', png: await confusionChart(evaluation) },
    { file: 'reliability.png', shows: 'how often it is right when it is so sure', png: await reliabilityDiagram(evaluation) },
    { file: 'risk-coverage.png', shows: 'how often it errs if it may decline to answer', png: await riskCoverageChart(record) },
  ];
  if (temperature) {
    const title = `Reliability at temperature ${temperature.value.toFixed(2)}`;
    const png = await reliabilityDiagram(temperature.evaluation, title);
    pictures.push({ file: 'reliability-after.png', shows: 'the same at the fitted temperature', png });
  }
  if (!robustness) return pictures;
  const [face = 0] = variedFaces(faces, 1);
  const rows: CorruptedFaces[] = [];
  for (const { name, severities } of robustness.corruptions) {
    const images = [];
    for (const { severity } of severities) {
      images.push({ severity, pixels: await corrupt(face, { name, severity, seed: robustness.seed }) });
    }
    rows.push({ name, severities: images });
  }
  return [
    ...pictures,
    { file: 'robustness.png', shows: 'accuracy and calibration under every corruption', png: await robustnessCurves(robustness) },
    { file: 'corruptions.png', shows: 'what the corruptions look like', png: corruptionSheet(pixelsOf(faces, face), rows, faces) },
  ];
}
