import { readdirSync } from 'node:fs';
import path from 'node:path';
import { InputError } from '../errors.js';
import { readCsv } from './csv.js';
import { EXPRESSIONS } from './expressions.js';
import type { Dataset, DatasetOptions, Problem, Role } from './face-set.js';
import { IMAGE_FILE } from './image.js';
import { type ListedFace, readListedFaces } from './listed-faces.js';
import { readNpyNumber } from './npy.js';

/** What the numbers of both releases mean; what is no expression of ours is left out. */
const MEANINGS = [
  'neutral',
  'happiness',
  'sadness',
  'surprise',
  'fear',
  'disgust',
  'anger',
  'contempt',
  'none',
  'uncertain',
  'no face',
] as const;

const REMEDY = 'Copy the official file anew.';

/** Gathers faces, and the labels that are no class. */
class Listing {
  readonly faces: ListedFace[] = [];
  readonly leftOut: Record<string, number> = {};
  readonly problems: Problem[] = [];

  /** @param face asked for only where the expression is a class: in some lists the others have no box */
  add(expression: number, where: { file: string; line?: number }, face: () => Omit<ListedFace, 'label'>): void {
    const meaning = MEANINGS[expression];
    if (meaning === undefined) {
      throw new InputError(`${expression} is no expression from 0 to ${MEANINGS.length - 1}`, REMEDY, { ...where, field: 'expression' });
    }
    const label = (EXPRESSIONS as readonly string[]).indexOf(meaning);
    if (label < 0) this.leftOut[meaning] = (this.leftOut[meaning] ?? 0) + 1;
    else this.faces.push({ ...face(), label });
  }

  read(name: string, folder: string, options: DatasetOptions): Promise<Dataset> {
    if (this.faces.length === 0) {
      throw new InputError('lists no face with one of the eight expressions', REMEDY, { file: folder });
    }
    const { faces, leftOut, problems } = this;
    return readListedFaces({ name, folder, classes: EXPRESSIONS, faces, leftOut, problems }, options);
  }
}

/** The columns of the 2017 release; its validation.csv has been given out without them in its first line. */
const COLUMNS = [
  'subDirectory_filePath',
  'face_x',
  'face_y',
  'face_width',
  'face_height',
  'facial_landmarks',
  'expression',
  'valence',
  'arousal',
];

/** The lists and the images of the 2017 release, wherever in the folder they were unpacked. */
export interface AffectNet2017Files {
  training: string;
  validation: string;
  images: string;
}

/**
 * Reads the manually annotated part of AffectNet as released in 2017 (Mollahosseini, Hasani & Mahoor): each image is cut by its box.
 * Its one held-out split, validation, is the test split.
 */
export async function readAffectNet2017(folder: string, files: AffectNet2017Files, options: DatasetOptions): Promise<Dataset> {
  const listing = new Listing();
  for (const [file, role] of [
    [files.training, 'train'],
    [files.validation, 'validation'],
  ] as const) {
    let first = true;
    for await (const { line, cells } of readCsv(file)) {
      if (cells.length !== COLUMNS.length) {
        throw new InputError(`${cells.length} cells, not the ${COLUMNS.length} of ${COLUMNS.join()}`, REMEDY, { file, line });
      }
      const isHeader = first && cells.join() === COLUMNS.join();
      first = false;
      if (!isHeader) addRow(listing, cells, files.images, role, { file, line, list: path.basename(file) });
    }
  }
  return listing.read('affectnet-2017', folder, options);
}

function addRow(
  listing: Listing,
  cells: readonly string[],
  images: string,
  role: Role,
  { file, line, list }: { file: string; line: number; list: string },
): void {
  const numberIn = (column: string): number => {
    const cell = cells[COLUMNS.indexOf(column)];
    const value = cell === '' ? Number.NaN : Number(cell);
    if (Number.isFinite(value)) return value;
    throw new InputError(`'${cell.slice(0, 60)}' is no number`, REMEDY, { file, line, field: column });
  };
  const [id] = cells;
  if (id === '') throw new InputError('there is no path', REMEDY, { file, line, field: COLUMNS[0] });
  listing.add(numberIn('expression'), { file, line }, () => {
    const [left, top, width, height] = ['face_x', 'face_y', 'face_width', 'face_height'].map(numberIn);
    const box = { left, top, right: left + width, bottom: top + height };
    return { file: path.join(images, id), box, id, place: `${list}, line ${line}`, role };
  });
}

/** The two halves of the 2021 release. */
const SETS: readonly (readonly [folder: string, role: Role])[] = [
  ['train_set', 'train'],
  ['val_set', 'validation'],
];

/**
 * Reads AffectNet as released in 2021: images that are cut already, and for each a file `<id>_exp.npy` with its expression.
 * Its one held-out split, validation, is the test split.
 */
export async function readAffectNet2021(folder: string, options: DatasetOptions): Promise<Dataset> {
  const listing = new Listing();
  for (const [set, role] of SETS) {
    const images = new Map(
      readdirSync(path.join(folder, set, 'images'))
        .filter((name) => IMAGE_FILE.test(name))
        .map((name) => [name.replace(IMAGE_FILE, ''), name]),
    );
    const annotations = path.join(folder, set, 'annotations');
    const annotated = readdirSync(annotations)
      .filter((name) => name.endsWith('_exp.npy'))
      .map((name) => name.slice(0, -'_exp.npy'.length))
      .sort((a, b) => Number(a) - Number(b) || (a < b ? -1 : 1));
    annotated.forEach((id, index) => {
      const file = path.join(annotations, `${id}_exp.npy`);
      const image = images.get(id) ?? `${id}.jpg`;
      images.delete(id);
      listing.add(readNpyNumber(file), { file }, () => ({
        file: path.join(folder, set, 'images', image),
        id: `${set}/images/${image}`,
        place: `${set}/annotations/${id}_exp.npy`,
        role,
      }));
      if ((index + 1) % 1000 === 0 || index + 1 === annotated.length) {
        options.onProgress?.(index + 1, annotated.length, `reading annotations of ${set}`);
      }
    });
    for (const [id, image] of images) {
      const place = `${set}/annotations/${id}_exp.npy`;
      listing.problems.push({ kind: 'missing', id: `${set}/images/${image}`, place, message: `${place}: the image has no annotation` });
    }
    if (annotated.length === 0) {
      throw new InputError('holds no <id>_exp.npy', 'Unpack the annotations there.', { file: annotations });
    }
  }
  return listing.read('affectnet-2021', folder, options);
}
