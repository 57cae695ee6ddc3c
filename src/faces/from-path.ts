import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { InputError } from '../errors.js';
import type { Dataset, DatasetOptions } from './face-set.js';
import { type FerPlusFiles, findFerPlus, readFerPlus } from './ferplus.js';
import { findClassImages, readFolder } from './folder.js';
import { keptDataset } from './kept.js';
import { folderOfList, openKnownLayout, refuseHalfUnpacked } from './known-layout.js';
import { readVotesCsv } from './votes-csv.js';

/** A votes table in a folder is found under this name. */
const VOTES_FILE = 'votes.csv';

const LOOKED_FOR =
  `Give 'generated'; a folder with fer2013.csv[.gz] and fer2013new.csv; that of RAF-DB (with EmoLabel and Image) or AffectNet; one with ${VOTES_FILE}; one with a sub-folder of images per class ` +
  '(or train, validation and test folders of these); or a CSV file path,<class>,<class>,… of votes.';

/**
 * Reads the folder or file `data`; what it holds decides how.
 * @throws InputError with file, line and remedy for what cannot be read
 */
export async function readPath(data: string, options: DatasetOptions): Promise<Dataset> {
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
