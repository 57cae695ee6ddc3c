/** Writes datasets of generated faces in the layouts in which others are given out. */
import sharp from 'sharp';
import { EXPRESSIONS } from '#src/faces/expressions.js';
import { type GeneratedFace, generateFace } from '#src/faces/generated.js';
import { write } from './fixtures.js';

const SEED = 5;

/** A generated face as JPEG, or as PNG where the name says so; `margin` pixels of grey around it. */
export async function faceFile(name: string, index: number, size: number, margin = 0): Promise<Buffer> {
  const { pixels } = generateFace(SEED, index, size, 3);
  const image = sharp(pixels, { raw: { width: size, height: size, channels: 3 } });
  const edge = { top: margin, bottom: margin, left: margin, right: margin };
  const framed = margin > 0 ? image.extend({ ...edge, background: '#808080' }) : image;
  return name.endsWith('.png') ? framed.png().toBuffer() : framed.jpeg({ quality: 95 }).toBuffer();
}

/** What is known of face `index` of every tree. */
export function faceOf(index: number): GeneratedFace {
  return generateFace(SEED, index, 8, 1);
}

/** The expression that most would name, an index into EXPRESSIONS. */
export function expressionOf(index: number): number {
  const { truth } = faceOf(index);
  return truth.indexOf(Math.max(...truth));
}

const RAF_DB_LABELS = ['surprise', 'fear', 'disgust', 'happiness', 'sadness', 'anger', 'neutral'];
const AFFECTNET_LABELS = ['neutral', 'happiness', 'sadness', 'surprise', 'fear', 'disgust', 'anger', 'contempt'];

export interface RafDbTree {
  train: number;
  test: number;
  /** With the shares of the annotators. */
  shares?: boolean;
  images?: readonly ('aligned' | 'original')[];
  /** The label of a face, by default what is shown; contempt is called disgust. */
  label?: (index: number) => number;
}

export function rafDbLabel(index: number): number {
  const name = EXPRESSIONS[expressionOf(index)];
  return 1 + RAF_DB_LABELS.indexOf(name === 'contempt' ? 'disgust' : name);
}

/** Ten votes of a generated face as shares of RAF-DB's seven expressions, in the order of its labels. */
export function rafDbShares(index: number): number[] {
  const votes = [...faceOf(index).votes.slice(0, 8)];
  votes[EXPRESSIONS.indexOf('disgust')] += votes[EXPRESSIONS.indexOf('contempt')];
  const mine = RAF_DB_LABELS.map((name) => votes[(EXPRESSIONS as readonly string[]).indexOf(name)]);
  const sum = mine.reduce((left, right) => left + right, 0);
  return mine.map((vote) => vote / sum);
}

/** Face i is train_00001.jpg and so on for the first, test_0001.jpg for those behind them. */
export async function writeRafDb(folder: string, tree: RafDbTree): Promise<string[]> {
  const { train, test, shares = false, images = ['aligned'], label = rafDbLabel } = tree;
  const names = Array.from({ length: train + test }, (_, i) =>
    i < train ? `train_${String(i + 1).padStart(5, '0')}` : `test_${String(i - train + 1).padStart(4, '0')}`,
  );
  write(folder, 'EmoLabel/list_patition_label.txt', names.map((name, i) => `${name}.jpg ${label(i)}\n`).join(''));
  if (shares) {
    const lines = names.map((name, i) => `${name}.jpg ${rafDbShares(i).map((share) => share.toFixed(4)).join(' ')} \n`); // biome-ignore format: one line
    write(folder, 'EmoLabel/distribution_basic.txt', lines.join(''));
  }
  await Promise.all(
    names.map(async (name, i) => {
      if (images.includes('aligned')) write(folder, `Image/aligned/${name}_aligned.jpg`, await faceFile('.jpg', i, 100));
      if (!images.includes('original')) return;
      write(folder, `Image/original/${name}.jpg`, await faceFile('.jpg', i, 120, 20 + i));
      write(folder, `Annotation/boundingbox/${name}_boundingbox.txt`, `${20 + i} ${20 + i} ${140 + i} ${140 + i}\n`);
    }),
  );
  return names;
}

export const AFFECTNET_COLUMNS = 'subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal';

/** AffectNet's number of the expression that face i shows. */
export function affectNetLabel(index: number): number {
  return AFFECTNET_LABELS.indexOf(EXPRESSIONS[expressionOf(index)]);
}

export interface AffectNetTree {
  train: number;
  validation: number;
  label?: (index: number) => number;
}

/** The 2017 release: faces of 150 pixels in images with a border, so that their boxes matter; every seventh is a PNG. */
export async function writeAffectNet2017(folder: string, { train, validation, label = affectNetLabel }: AffectNetTree): Promise<string[]> {
  const names = Array.from({ length: train + validation }, (_, i) => `${1 + (i % 3)}/${(i * 7919).toString(16)}.${i % 7 === 0 ? 'png' : 'jpg'}`); // biome-ignore format: one list
  const row = (i: number) => `${names[i]},30,30,150,150,1.5;2.5;3,${label(i)},${(i % 5) / 5},-0.25\n`;
  const rows = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => row(from + i)).join('');
  write(folder, 'training.csv', `${AFFECTNET_COLUMNS}\n${rows(0, train)}`);
  write(folder, 'validation.csv', rows(train, train + validation)); // given out without a header
  await Promise.all(names.map(async (name, i) => write(folder, `Manually_Annotated_Images/${name}`, await faceFile(name, i, 150, 30))));
  return names;
}

/** The 2021 release: images of 224 pixels, and four .npy files beside each. */
export async function writeAffectNet2021(folder: string, { train, validation, label = affectNetLabel }: AffectNetTree): Promise<void> {
  await Promise.all(
    Array.from({ length: train + validation }, async (_, i) => {
      const set = i < train ? 'train_set' : 'val_set';
      write(folder, `${set}/images/${i}.jpg`, await faceFile('.jpg', i, 224));
      write(folder, `${set}/annotations/${i}_exp.npy`, npyText(`${label(i)}`));
      for (const name of ['val', 'aro']) write(folder, `${set}/annotations/${i}_${name}.npy`, npyText('0'));
      write(folder, `${set}/annotations/${i}_lnd.npy`, npy('<f8', '(136,)', Buffer.alloc(136 * 8)));
    }),
  );
}

/** A text as NumPy writes it: four bytes a letter. */
export function npyText(text: string): Buffer {
  return npy(`<U${text.length}`, '()', Buffer.from(Uint32Array.from(text, (letter) => letter.charCodeAt(0)).buffer));
}

/** A file of NumPy's format; the data is filled up with zeros to `bytes`. */
export function npy(type: string, shape: string, data: Uint8Array, bytes = data.length): Buffer {
  const text = `{'descr': '${type}', 'fortran_order': False, 'shape': ${shape}, }`;
  const header = Buffer.from(`${text.padEnd(64 * Math.ceil((text.length + 11) / 64) - 11)}\n`, 'latin1');
  const length = Buffer.alloc(2);
  length.writeUInt16LE(header.length);
  const filled = Buffer.alloc(Math.max(bytes, data.length));
  filled.set(data);
  return Buffer.concat([Buffer.from('\x93NUMPY\x01\x00', 'latin1'), length, header, filled]);
}
