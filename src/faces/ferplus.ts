import { existsSync } from 'node:fs';
import path from 'node:path';
import { InputError } from '../errors.js';
import { readCsv, votesInCells } from './csv.js';
import { EXPRESSIONS, NO_EXPRESSION } from './expressions.js';
import { type Dataset, type DatasetOptions, type FaceSet, pixelsOf, type Role } from './face-set.js';
import { readLines } from './lines.js';
import { splitFaces } from './split.js';

/** FER2013's images are 48×48 grey. */
const SIDE = 48;
const PIXELS = SIDE * SIDE;

const PIXELS_HEADER = ['emotion', 'pixels', 'Usage'];
const VOTE_NAMES = [...EXPRESSIONS, ...NO_EXPRESSION];
const VOTES_HEADER = ['Usage', 'Image name', ...VOTE_NAMES];

/** FER2013's own label (0 angry, 1 disgust, 2 fear, 3 happy, 4 sad, 5 surprise, 6 neutral) as an index into EXPRESSIONS. */
const OWN_LABELS = (['anger', 'disgust', 'fear', 'happiness', 'sadness', 'surprise', 'neutral'] as const).map((name) =>
  EXPRESSIONS.indexOf(name),
);

/** What each part of FER2013 is for. */
const ROLES = { Training: 'train', PublicTest: 'validation', PrivateTest: 'test' } as const satisfies Record<string, Role>;
type Usage = keyof typeof ROLES;

const WHERE =
  'FER2013 (fer2013.csv) is to be had from https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge, ' +
  'its FER+ votes (fer2013new.csv) from https://github.com/microsoft/FERPlus.';

/** The two files of FER+, plain or gzipped: FER2013's pixels, and the votes that ten annotators gave for the same rows. */
export interface FerPlusFiles {
  pixels: string;
  votes: string;
}

/** The files of FER+ in a folder; undefined where there is neither of the two, an InputError where one is missing. */
export function findFerPlus(folder: string): FerPlusFiles | undefined {
  const find = (name: string) => [name, `${name}.gz`].map((file) => path.join(folder, file)).find((file) => existsSync(file));
  const pixels = find('fer2013.csv');
  const votes = find('fer2013new.csv');
  if (pixels && votes) return { pixels, votes };
  if (pixels)
    throw new InputError('fer2013new.csv with the FER+ votes is not beside it', `Put it into ${folder}. ${WHERE}`, { file: pixels });
  if (votes) throw new InputError('fer2013.csv with the pixels is not beside it', `Put it into ${folder}. ${WHERE}`, { file: votes });
  return undefined;
}

/**
 * Reads FER2013 with the FER+ votes, joined by row order (image names are no row numbers: some are missing, some stand twice). All faces
 * are kept. Training / PublicTest / PrivateTest are training / validation / test; without PrivateTest, PublicTest is the test split and
 * validation is carved out of Training.
 */
export async function readFerPlus(files: FerPlusFiles, options: DatasetOptions): Promise<Dataset> {
  const { usages, votes } = await readVotes(files.votes);
  const { pixels, labels } = await readPixels(files, usages, options.onProgress);
  const faces: FaceSet = {
    name: 'ferplus',
    classes: EXPRESSIONS,
    count: usages.length,
    height: SIDE,
    width: SIDE,
    channels: 1,
    pixels,
    voteNames: VOTE_NAMES,
    votes,
    ids: usages.map((usage, row) => `${usage} row ${row}`), // rows of the file, from 0
    labels,
  };
  const roles = usages.map((usage) => ROLES[usage]);
  const dataset = splitFaces(faces, roles, options, files.pixels);
  const constant = countConstant(faces);
  if (constant > 0) dataset.notes.push(`images of one constant grey: ${constant}`);
  return dataset;
}

/** The votes [count, VOTE_NAMES] and the part that each row belongs to. */
async function readVotes(file: string): Promise<{ usages: Usage[]; votes: Float32Array }> {
  const usages: Usage[] = [];
  const votes: number[] = [];
  let header = true;
  for await (const { line, cells } of readCsv(file)) {
    if (header) checkHeader(cells, VOTES_HEADER, file);
    else {
      usages.push(usageIn(cells[0], file, line));
      votes.push(...votesInCells(cells.slice(2), VOTE_NAMES, file, line));
    }
    header = false;
  }
  return { usages, votes: Float32Array.from(votes) };
}

/** The pixels [count, SIDE, SIDE] and FER2013's own labels, in the order of the rows; `usages` are those of the votes. */
async function readPixels(
  files: FerPlusFiles,
  usages: readonly Usage[],
  onProgress: DatasetOptions['onProgress'],
): Promise<{ pixels: Uint8Array; labels: Uint8Array }> {
  const file = files.pixels;
  const count = usages.length;
  const pixels = new Uint8Array(count * PIXELS);
  const labels = new Uint8Array(count);
  let line = 0;
  let row = 0;
  for await (const bytes of readLines(file)) {
    line++;
    if (line === 1) {
      const header = bytes.toString().replace('\ufeff', '').split(',');
      checkHeader(
        header.map((cell) => cell.trim()),
        PIXELS_HEADER,
        file,
      );
    } else if (bytes.length > 0) {
      if (row === count) throw unequalRows(files, `more than ${count}`, count, line);
      const { label, usage } = readRow(bytes, pixels, row * PIXELS, file, line);
      if (usage !== usages[row]) {
        throw new InputError(
          `is ${usage}, but ${usages[row]} in the same row of ${files.votes}`,
          `The two files are joined row by row. ${WHERE}`,
          {
            file,
            line,
            field: 'Usage',
          },
        );
      }
      labels[row] = label;
      row++;
      if (row % 1000 === 0 || row === count) onProgress?.(row, count, 'reading FER2013');
    }
  }
  if (line === 0) throw new InputError('is empty', `Copy it anew. ${WHERE}`, { file });
  if (row < count) throw unequalRows(files, `${row}`, count, line);
  return { pixels, labels };
}

const COMMA = 44;
const SPACE = 32;
const QUOTE = 34;
const ZERO = 48;
const NINE = 57;

/**
 * One row `emotion,pixels,Usage`: the pixels go to `pixels` from `start`. The numbers are read from the bytes, for there are 83 million
 * of them; quotes around a cell are passed over.
 */
function readRow(bytes: Buffer, pixels: Uint8Array, start: number, file: string, line: number): { label: number; usage: Usage } {
  const first = bytes.indexOf(COMMA);
  const last = bytes.lastIndexOf(COMMA);
  if (first < 0 || first === last) {
    throw new InputError('is no row of emotion,pixels,Usage', `Copy the file anew. ${WHERE}`, { file, line });
  }
  const emotion = unquoted(bytes.toString('latin1', 0, first));
  const label = /^[0-6]$/.test(emotion) ? OWN_LABELS[Number(emotion)] : undefined;
  if (label === undefined) {
    throw new InputError(`'${emotion}' is no label from 0 to 6`, `Copy the file anew. ${WHERE}`, { file, line, field: 'emotion' });
  }
  readNumbers(bytes, first + 1, last, pixels, start, file, line);
  return { label, usage: usageIn(unquoted(bytes.toString('latin1', last + 1)), file, line) };
}

/** PIXELS numbers from 0 to 255, separated by spaces, in bytes[from..to). */
function readNumbers(bytes: Buffer, from: number, to: number, pixels: Uint8Array, start: number, file: string, line: number): void {
  const place = { file, line, field: 'pixels' };
  let count = 0;
  let value = -1; // no digit yet
  for (let at = from; at <= to; at++) {
    const byte = at < to ? bytes[at] : SPACE;
    if (byte >= ZERO && byte <= NINE) value = (value < 0 ? 0 : 10 * value) + byte - ZERO;
    else if (byte !== SPACE && byte !== QUOTE) {
      throw new InputError(
        `'${String.fromCharCode(byte)}' in pixel ${count + 1} is no digit`,
        'Pixels are whole numbers from 0 to 255.',
        place,
      );
    } else if (value >= 0) {
      if (value > 255) throw new InputError(`pixel ${count + 1} is ${value}`, 'Pixels are whole numbers from 0 to 255.', place);
      if (count < PIXELS) pixels[start + count] = value;
      count++;
      value = -1;
    }
  }
  if (count !== PIXELS) throw new InputError(`${count} pixels, not ${PIXELS} (${SIDE}×${SIDE})`, `Copy the file anew. ${WHERE}`, place);
}

function unquoted(cell: string): string {
  return cell.replaceAll('"', '').trim();
}

function usageIn(cell: string, file: string, line: number): Usage {
  if (Object.hasOwn(ROLES, cell)) return cell as Usage;
  throw new InputError(`'${cell}' is none of ${Object.keys(ROLES).join(', ')}`, `Copy the file anew. ${WHERE}`, {
    file,
    line,
    field: 'Usage',
  });
}

function checkHeader(found: readonly string[], expected: readonly string[], file: string): void {
  if (found.join() === expected.join()) return;
  throw new InputError(`the header is '${found.join().slice(0, 100)}', not '${expected.join()}'`, `Give the official file. ${WHERE}`, {
    file,
    line: 1,
  });
}

function unequalRows(files: FerPlusFiles, rows: string, votes: number, line: number): InputError {
  return new InputError(
    `${rows} rows, but ${files.votes} has ${votes}`,
    `The two files are joined row by row; one is incomplete. ${WHERE}`,
    {
      file: files.pixels,
      line,
    },
  );
}

function countConstant(faces: FaceSet): number {
  let constant = 0;
  for (let index = 0; index < faces.count; index++) {
    const pixels = pixelsOf(faces, index);
    if (pixels.every((pixel) => pixel === pixels[0])) constant++;
  }
  return constant;
}
