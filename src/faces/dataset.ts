import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { InputError, UsageError } from '../errors.js';
import type { Dataset, DatasetOptions } from './face-set.js';
import { type FerPlusFiles, findFerPlus, readFerPlus } from './ferplus.js';
import { findClassImages, readFolder } from './folder.js';
import { generateDataset } from './generated.js';
import { keptDataset } from './kept.js';
import { folderOfList, openKnownLayout, refuseHalfUnpacked } from './known-layout.js';
import { withoutClasses } from './leave-out.js';
import { readVotesCsv } from './votes-csv.js';

export type { Dataset, DatasetOptions } from './face-set.js';

/** The dataset that needs no files. */
export const GENERATED = 'generated';

/** A votes table in a folder is found under this name. */
const VOTES_FILE = 'votes.csv';

const LOOKED_FOR =
  `Give '${GENERATED}'; a folder with fer2013.csv[.gz] and fer2013new.csv; that of RAF-DB (with EmoLabel and Image) or AffectNet; one with ${VOTES_FILE}; one with a sub-folder of images per class ` +
  '(or train, validation and test folders of these); or a CSV file path,<class>,<class>,… of votes.';

/**
 * Opens the faces that `data` names: 'generated', a folder, or a CSV file; what it holds decides how it is read.
 * Throws InputError with file, line and remedy for what cannot be read, UsageError for options that make no sense.
 */
export async function openDataset(data: string, options: DatasetOptions): Promise<Dataset> {
  checkOptions(options);
  const dataset = await readDataset(data, options);
  return options.leaveOut && options.leaveOut.length > 0 ? withoutClasses(dataset, options.leaveOut) : dataset;
}

async function readDataset(data: string, options: DatasetOptions): Promise<Dataset> {
  if (data === GENERATED) return keptDataset([], options, () => generateDataset(options));
  const entry = statSync(data, { throwIfNoEntry: false });
  if (entry === undefined) throw new InputError('there is no such file or folder', LOOKED_FOR, { file: data });
  return entry.isDirectory() ? openFolder(data, options) : openFile(data, options);
}

async function openFolder(folder: string, options: DatasetOptions): Promise<Dataset> {
  const ferPlus = findFerPlus(folder);
  if (ferPlus) return openFerPlus(ferPlus, options);
  const votes = path.join(folder, VOTES_FILE);
  if (existsSync(votes)) return readVotesCsv(votes, options);
  const known = openKnownLayout(folder, options);
  if (known) return known;
  const images = findClassImages(folder);
  if (images.length > 0) return readFolder(folder, images, options);
  refuseHalfUnpacked(folder);
  throw new InputError('holds no dataset that can be read', LOOKED_FOR, { file: folder });
}

function openFerPlus(files: FerPlusFiles, options: DatasetOptions): Promise<Dataset> {
  return keptDataset([files.pixels, files.votes], options, () => readFerPlus(files, options));
}

async function openFile(file: string, options: DatasetOptions): Promise<Dataset> {
  const name = path.basename(file);
  const ferPlus = /^fer2013(new)?\.csv(\.gz)?$/.test(name) ? findFerPlus(path.dirname(file)) : undefined;
  if (ferPlus) return openFerPlus(ferPlus, options);
  const listed = folderOfList(file);
  const known = listed && openKnownLayout(listed, options);
  if (known) return known;
  if (/\.csv(\.gz)?$/i.test(name)) return readVotesCsv(file, options);
  throw new InputError('is no dataset that can be read', LOOKED_FOR, { file });
}

function checkOptions({ seed, validationShare, size, channels, count }: DatasetOptions): void {
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) {
    throw new UsageError(`${seed} is no seed`, 'Give a whole number from 0 to 4294967295.', { field: 'seed' });
  }
  if (!(validationShare > 0 && validationShare < 1)) {
    throw new UsageError(`${validationShare} is no share`, 'Give a number between 0 and 1, such as 0.1.', { field: 'validation share' });
  }
  if (!Number.isInteger(size) || size < 8 || size > 1024) {
    throw new UsageError(`faces cannot be ${size} pixels wide`, 'Give a whole number from 8 to 1024, such as 48.', { field: 'size' });
  }
  if (channels !== 1 && channels !== 3)
    throw new UsageError(`faces cannot have ${channels} channels`, 'Give 1 (grey) or 3 (RGB).', { field: 'channels' });
  if (count !== undefined && (!Number.isInteger(count) || count < 30)) {
    throw new UsageError(`cannot generate ${count} faces`, 'Give a whole number from 30.', { field: 'count' });
  }
}
