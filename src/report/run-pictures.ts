import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RunError } from '../errors.js';
import type { Dataset } from '../faces/face-set.js';
import { confusionChart } from './confusion-chart.js';
import { contactSheet, variedFaces } from './contact-sheet.js';
import { type LogRecord, learningCurves } from './learning-curves.js';
import { reliabilityDiagram } from './reliability-diagram.js';

/** A run folder as far as pictures need it. */
export interface PicturedRun {
  path: string;
  /** The lines of log.jsonl. */
  readLog(): readonly object[];
}

/** A picture in a run folder. */
export interface Picture {
  /** Its name in the folder. */
  file: string;
  /** In a few words. */
  shows: string;
}

/**
 * Draws into the folder of a run how it went: learning curves, test faces with their votes and, where the log has a test, its confusion
 * matrix and reliability diagram. Given what the model says of the test faces [count, classes], that stands beside the votes.
 *
 * @throws RunError if a picture cannot be written, InputError if the log has no finished epoch
 */
export async function writeRunPictures(run: PicturedRun, { test }: Dataset, probabilities?: Float32Array): Promise<Picture[]> {
  const records = run.readLog() as readonly LogRecord[];
  const evaluation = records.findLast((record) => record.type === 'test')?.evaluation;
  const sheet = { title: `Faces and votes: ${test.name}`, indices: variedFaces(test, 24), probabilities };
  const pictures = [
    { file: 'learning-curves.png', shows: 'loss, accuracy, agreement and calibration by epoch', png: await learningCurves(records) },
    { file: 'faces.png', shows: `test faces with their votes${probabilities ? ' and predictions' : ''}`, png: contactSheet(test, sheet) },
  ];
  if (evaluation) {
    pictures.push(
      { file: 'confusion.png', shows: 'which expressions are taken for which', png: await confusionChart(evaluation) },
      { file: 'reliability.png', shows: 'how often it is right when it is so sure', png: await reliabilityDiagram(evaluation) },
    );
  }
  for (const { file, png } of pictures) {
    const path = join(run.path, file);
    await writeFile(path, png).catch((cause: Error) => {
      throw new RunError(`cannot be written: ${cause.message}`, 'Make room there; the run itself is complete.', { file: path }, { cause });
    });
  }
  return pictures.map(({ file, shows }) => ({ file, shows }));
}
