import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { InputError } from '../errors.js';
import type { Dataset, DatasetOptions, Role } from './face-set.js';
import { readLines } from './lines.js';
import { type ListedFace, readListedFaces } from './listed-faces.js';

/** What the labels from 1 mean. */
const BASIC = ['surprise', 'fear', 'disgust', 'happiness', 'sadness', 'anger', 'neutral'] as const;
const COMPOUND = [
  'happily surprised',
  'happily disgusted',
  'sadly fearful',
  'sadly angry',
  'sadly surprised',
  'sadly disgusted',
  'fearfully angry',
  'fearfully surprised',
  'angrily surprised',
  'angrily disgusted',
  'disgustedly surprised',
] as const;

/** Our order of the basic classes. */
const BASIC_CLASSES = ['neutral', 'happiness', 'surprise', 'sadness', 'anger', 'disgust', 'fear'] as const;

/** The file's name is spelt so. */
export const RAF_DB_LIST = path.join('EmoLabel', 'list_patition_label.txt');
const BASIC_VOTES = path.join('EmoLabel', 'distribution_basic.txt');
const COMPOUND_VOTES = path.join('EmoLabel', 'distribution_compound.txt');

const REMEDY = 'Copy the official file anew.';

/** Which of RAF-DB's images: `aligned` 100×100 ones, or `original` photographs that are cut by their bounding boxes. */
export type RafDbImages = 'aligned' | 'original';

/**
 * Reads RAF-DB (Li, Deng & Du 2017), the basic or the compound part: which of the two is told by the folder's name and the file of votes.
 * Where `EmoLabel/distribution_basic.txt` is there, the shares of its about 40 annotators are the votes, else the label is.
 * @param folder that of EmoLabel and Image
 */
export async function readRafDb(folder: string, images: RafDbImages, options: DatasetOptions): Promise<Dataset> {
  const compound = path.basename(path.resolve(folder)).toLowerCase() === 'compound' || existsSync(path.join(folder, COMPOUND_VOTES));
  const meanings: readonly string[] = compound ? COMPOUND : BASIC;
  const classes: readonly string[] = compound ? COMPOUND : BASIC_CLASSES;
  const shares = compound ? undefined : await readShares(path.join(folder, BASIC_VOTES));
  const list = path.join(folder, RAF_DB_LIST);
  const faces: ListedFace[] = [];
  const lineOf = new Map<string, number>();
  let line = 0;
  for await (const bytes of readLines(list)) {
    line++;
    const text = bytes.toString().replace('\ufeff', '').trim();
    if (text === '') continue;
    const place = { file: list, line };
    const [name, label, ...rest] = text.split(/\s+/);
    const role = roleOf(name);
    if (!role || label === undefined || rest.length > 0) {
      throw new InputError(`'${text.slice(0, 60)}' is no line like 'train_00001.jpg 5'`, REMEDY, place);
    }
    if (lineOf.has(name)) throw new InputError(`${name} stands in line ${lineOf.get(name)} too`, REMEDY, place);
    lineOf.set(name, line);
    const meaning = /^\d+$/.test(label) ? meanings[Number(label) - 1] : undefined;
    if (meaning === undefined) {
      const ofCompound = !compound && Number(label) <= COMPOUND.length && Number(label) > BASIC.length;
      const remedy = ofCompound ? "Labels to 11 are those of the compound part: call its folder 'compound'." : REMEDY;
      throw new InputError(`'${label}' is no label from 1 to ${meanings.length}`, remedy, place);
    }
    if (shares && !shares.has(name)) {
      throw new InputError(`${name} has no line in ${BASIC_VOTES}`, `${REMEDY} Without ${BASIC_VOTES} the labels are read.`, place);
    }
    faces.push({
      ...(await imageOf(folder, name, images)),
      id: name,
      place: `${RAF_DB_LIST}, line ${line}`,
      role,
      label: classes.indexOf(meaning),
      votes: shares?.get(name),
    });
  }
  if (faces.length === 0) throw new InputError('is empty', REMEDY, { file: list });
  const title = compound ? 'raf-db-compound' : 'raf-db';
  const dataset = await readListedFaces({ name: title, folder: path.join(folder, 'Image', images), classes, faces }, options);
  if (images === 'original') dataset.notes.unshift('the original photographs, cut by their bounding boxes');
  return dataset;
}

function roleOf(name: string): Role | undefined {
  if (/^train_[\w-]+\.\w+$/.test(name)) return 'train';
  return /^test_[\w-]+\.\w+$/.test(name) ? 'test' : undefined;
}

async function imageOf(folder: string, name: string, images: RafDbImages): Promise<Pick<ListedFace, 'file' | 'box'>> {
  const stem = name.replace(/\.\w+$/, '');
  if (images === 'aligned') return { file: path.join(folder, 'Image', 'aligned', `${stem}_aligned${name.slice(stem.length)}`) };
  const box = path.join(folder, 'Annotation', 'boundingbox', `${stem}_boundingbox.txt`);
  if (!existsSync(box)) {
    throw new InputError(`the bounding box of ${name} is not there`, 'Unpack Annotation/boundingbox, or give the aligned images.', {
      file: box,
    });
  }
  const numbers = (await readFile(box, 'utf8')).trim().split(/\s+/).map(Number);
  if (numbers.length !== 4 || !numbers.every(Number.isFinite)) {
    throw new InputError('holds no four numbers: left, top, right, bottom', REMEDY, { file: box });
  }
  const [left, top, right, bottom] = numbers;
  return { file: path.join(folder, 'Image', 'original', name), box: { left, top, right, bottom } };
}

/** The shares of the basic classes by the image's name; undefined where the release has no such file. */
async function readShares(file: string): Promise<Map<string, Float32Array> | undefined> {
  if (!existsSync(file)) return undefined;
  const shares = new Map<string, Float32Array>();
  let line = 0;
  for await (const bytes of readLines(file)) {
    line++;
    const text = bytes.toString().replace('\ufeff', '').trim();
    if (text === '') continue;
    const [name, ...cells] = text.split(/\s+/);
    const numbers = cells.map(Number);
    const sound = numbers.length === BASIC.length && numbers.every((share) => Number.isFinite(share) && share >= 0);
    if (!roleOf(name) || !sound || !numbers.some((share) => share > 0)) {
      throw new InputError(`'${text.slice(0, 60)}' is no image with ${BASIC.length} shares, one of them above 0`, REMEDY, { file, line });
    }
    shares.set(
      name,
      Float32Array.from(BASIC_CLASSES, (className) => numbers[BASIC.indexOf(className)]),
    );
  }
  if (shares.size === 0) throw new InputError('is empty', REMEDY, { file });
  return shares;
}
