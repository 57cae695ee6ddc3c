import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { RunError } from '../errors.js';
import type { Dataset, FaceSet } from '../faces/face-set.js';
import { votesOf } from '../faces/face-set.js';
import { faceEntropies, type Inspection, ROLES } from '../faces/inspection.js';
import { plurality } from '../labels/votes.js';
import { chartPng, heading } from './chart.js';
import { contactSheet } from './contact-sheet.js';
import { copyText } from './inspection-table.js';
import { ACCENT, expressionColours, INK } from './palette.js';
import type { Picture } from './run-pictures.js';

/** Faces on a contact sheet. */
const SHEET_FACES = 16;
const ENTROPY_BINS = 20;

/**
 * Draws into a folder what is in a dataset: its classes, how much its annotators disagree, faces of each class, the most ambiguous ones;
 * and lists every problem in problems.csv.
 * @throws RunError if a file cannot be written
 */
export async function writeInspection(folder: string, dataset: Dataset, inspection: Inspection): Promise<Picture[]> {
  const { train } = dataset;
  const pictures = [
    { file: 'classes.png', shows: 'faces by class and split', content: await classesChart(inspection) },
    { file: 'entropy.png', shows: "entropy of the annotators' votes, by split", content: await entropyChart(dataset) },
    ...train.classes.flatMap((name, c) => {
      const faces = facesOfClass(train, c);
      if (faces.length === 0) return [];
      const title = `${name}: ${Math.min(SHEET_FACES, faces.length)} of ${faces.length.toLocaleString('en-US')} faces of ${train.name}`;
      const file = `faces-${name.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '-')}.png`;
      return [{ file, shows: `faces of the class ${name}`, content: contactSheet(train, { title, indices: spread(faces), columns: 4 }) }];
    }),
  ];
  const ambiguous = mostAmbiguous(train);
  if (ambiguous.length > 0) {
    const content = contactSheet(train, { title: `The most ambiguous faces of ${train.name}`, indices: ambiguous, columns: 4 });
    pictures.push({ file: 'ambiguous.png', shows: 'the faces on which annotators disagree most', content });
  }
  const problems = {
    file: 'problems.csv',
    shows: 'every missing, unreadable or copied image',
    content: Buffer.from(problemsCsv(inspection)),
  };
  const all = [...pictures, problems];
  try {
    await mkdir(folder, { recursive: true });
    for (const { file, content } of all) await writeFile(path.join(folder, file), content);
  } catch (cause) {
    throw new RunError(`cannot be written: ${(cause as Error).message}`, 'Name another folder with --out.', { file: folder }, { cause });
  }
  return all.map(({ file, shows }) => ({ file, shows }));
}

function facesOfClass(faces: FaceSet, wanted: number): number[] {
  return Array.from({ length: faces.count }, (_, face) => face).filter(
    (face) => plurality(votesOf(faces, face).subarray(0, faces.classes.length)) === wanted,
  );
}

/** Some of many, evenly from the first to the last. */
function spread(faces: readonly number[]): number[] {
  const shown = Math.min(SHEET_FACES, faces.length);
  return Array.from({ length: shown }, (_, i) => faces[Math.floor((i * faces.length) / shown)]);
}

/** The faces of highest entropy, the first of equals; none where annotators never disagree. */
function mostAmbiguous(faces: FaceSet): number[] {
  const entropies = faceEntropies(faces);
  return Array.from({ length: faces.count }, (_, face) => face)
    .filter((face) => entropies[face] > 0)
    .sort((a, b) => entropies[b] - entropies[a] || a - b)
    .slice(0, SHEET_FACES);
}

function classesChart({ name, classes, splits }: Inspection): Promise<Buffer> {
  const axis = { title: null, domain: false, ticks: false, labelColor: INK, labelPadding: 6 } as const;
  const panels = ROLES.map((role, i) => ({
    title: `${role}: ${splits[role].faces.toLocaleString('en-US')} faces`,
    width: 220,
    height: { step: 26 },
    data: { values: splits[role].classes.map(({ name: label, faces }) => ({ label, faces })) },
    encoding: {
      y: { field: 'label', type: 'nominal' as const, sort: [...classes], axis: i === 0 ? axis : { ...axis, labels: false } },
      x: { field: 'faces', type: 'quantitative' as const, axis: null },
    },
    layer: [
      {
        mark: { type: 'bar' as const, height: 18 },
        encoding: {
          color: {
            field: 'label',
            type: 'nominal' as const,
            scale: { domain: [...classes], range: expressionColours(classes) },
            legend: null,
          },
        },
      },
      {
        mark: { type: 'text' as const, align: 'left' as const, dx: 4, fontSize: 11, color: INK },
        encoding: { text: { field: 'faces', type: 'quantitative' as const, format: ',' } },
      },
    ],
  }));
  return chartPng({ title: heading(`Classes of ${name}`, 'by the class that most annotators chose'), spacing: 50, hconcat: panels });
}

function entropyChart(dataset: Dataset): Promise<Buffer> {
  const highest = Math.log(dataset.classes.length);
  const histograms = ROLES.map((role) => {
    const entropies = faceEntropies(dataset[role]).filter((value) => !Number.isNaN(value));
    const shares = new Array<number>(ENTROPY_BINS).fill(0);
    for (const value of entropies) shares[Math.min(ENTROPY_BINS - 1, Math.floor((value / highest) * ENTROPY_BINS))] += 1 / entropies.length;
    return shares;
  });
  const most = Math.max(0.01, ...histograms.flat());
  const panels = ROLES.map((role, i) => {
    const bins = histograms[i].map((share, bin) => ({
      from: (bin * highest) / ENTROPY_BINS,
      to: ((bin + 1) * highest) / ENTROPY_BINS,
      share,
    }));
    return {
      title: role,
      width: 220,
      height: 160,
      data: { values: bins },
      mark: { type: 'bar' as const, color: ACCENT, binSpacing: 1 },
      encoding: {
        x: {
          field: 'from',
          type: 'quantitative' as const,
          bin: { binned: true },
          title: 'entropy (nats)',
          axis: { grid: false, tickCount: 5 },
        },
        x2: { field: 'to' },
        y: {
          field: 'share',
          type: 'quantitative' as const,
          title: i === 0 ? 'faces' : null,
          scale: { domain: [0, most] },
          axis: { format: '%', tickCount: 4 },
        },
      },
    };
  });
  const subtitle = `of the votes for classes; 0: all for one class, ${highest.toFixed(2)}: for all alike`;
  return chartPng({ title: heading(`Disagreement in ${dataset.name}`, subtitle), spacing: 30, hconcat: panels });
}

function problemsCsv({ problems, duplicates }: Inspection): string {
  const rows = [
    ['kind', 'image', 'place', 'message'],
    ...problems.map(({ kind, id, place, message }) => [kind, id, place, message]),
    ...duplicates.flatMap(([first, ...copies]) =>
      copies.map((copy) => ['copy', copy.id, copy.place ?? '', `of ${copyText(first)}; in ${copy.split}`]),
    ),
  ];
  return rows.map((row) => `${row.map((cell) => (/[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join()}\n`).join('');
}
