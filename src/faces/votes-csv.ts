import path from 'node:path';
import { InputError } from '../errors.js';
import { readCsv, votesInCells } from './csv.js';
import { expressionName, inExpressionOrder, NO_EXPRESSION } from './expressions.js';
import type { Dataset, DatasetOptions, FaceSet, Role } from './face-set.js';
import { roleNamed } from './folder.js';
import { packAllFaces } from './packed-faces.js';
import { splitFaces } from './split.js';

const HEADER_REMEDY =
  "The header is 'path,<class>,<class>,…', one column of vote counts or shares per class; 'unknown', 'NF' and 'split' (train, validation, test) may be columns too.";

/**
 * Reads a CSV `path,<class>,<class>,…` of vote counts or shares beside PNG or JPEG images. Paths are relative to the CSV's folder. Columns
 * 'unknown' and 'NF' (not a face) are votes for no class; a column 'split' gives each face its role. Known expressions get our names.
 */
export async function readVotesCsv(file: string, options: DatasetOptions): Promise<Dataset> {
  const table = await readTable(file);
  const { size, channels } = options;
  const faces: FaceSet = {
    name: path.basename(file).replace(/\.csv(\.gz)?$/i, ''),
    classes: table.classes,
    count: table.paths.length,
    height: size,
    width: size,
    channels,
    ...(await packAllFaces(
      table.paths.map((name) => ({ file: path.resolve(path.dirname(file), name) })),
      { dataset: file, size, channels, onProgress: options.onProgress },
    )),
    voteNames: table.voteNames,
    votes: table.votes,
    ids: table.paths,
  };
  return splitFaces(faces, table.roles, options, file);
}

interface VotesTable {
  classes: string[];
  voteNames: string[];
  paths: string[];
  votes: Float32Array;
  roles: Role[] | undefined;
}

async function readTable(file: string): Promise<VotesTable> {
  let columns: Columns | undefined;
  const paths = new Map<string, number>(); // path → line
  const votes: number[] = [];
  const roles: Role[] = [];
  for await (const { line, cells } of readCsv(file)) {
    if (columns === undefined) {
      columns = columnsOf(cells, file);
      continue;
    }
    const image = cells[0];
    if (image === '') throw new InputError('there is no path', 'Name the image, relative to the CSV file.', { file, line, field: 'path' });
    if (paths.has(image)) {
      throw new InputError(`${image} stands in line ${paths.get(image)} too`, 'Give each image one row with all its votes.', {
        file,
        line,
      });
    }
    paths.set(image, line);
    votes.push(
      ...votesInCells(
        columns.vote.map((column) => cells[column]),
        columns.voteNames,
        file,
        line,
      ),
    );
    if (columns.split >= 0) roles.push(roleIn(cells[columns.split], file, line));
  }
  if (columns === undefined || paths.size === 0) throw new InputError('there are no rows', 'Give one row per image.', { file });
  if (columns.split >= 0 && !roles.includes('train')) {
    throw new InputError("no row's split is train", 'Give the faces to learn from the split train.', { file, field: 'split' });
  }
  const { classes, voteNames } = columns;
  return { classes, voteNames, paths: [...paths.keys()], votes: Float32Array.from(votes), roles: columns.split >= 0 ? roles : undefined };
}

interface Columns {
  classes: string[];
  voteNames: string[];
  /** Column of each of `voteNames`. */
  vote: number[];
  /** Column of the split, −1 without. */
  split: number;
}

function columnsOf(header: readonly string[], file: string): Columns {
  const place = { file, line: 1 };
  if (header[0].toLowerCase() !== 'path')
    throw new InputError(`the first column is '${header[0].slice(0, 100)}', not 'path'`, HEADER_REMEDY, place);
  const names = header.map((name) => expressionName(name));
  const split = header.findIndex((name) => name.toLowerCase() === 'split');
  const voted = names.filter((_, column) => column > 0 && column !== split);
  const nameless = names.indexOf('');
  if (nameless >= 0) throw new InputError(`column ${nameless + 1} has no name`, HEADER_REMEDY, place);
  const twice = voted.find((name, index) => voted.indexOf(name) !== index);
  if (twice) throw new InputError(`two columns mean '${twice}'`, HEADER_REMEDY, place);
  const others: string[] = NO_EXPRESSION.filter((name) => voted.includes(name));
  const classes = inExpressionOrder(voted.filter((name) => !others.includes(name)));
  if (classes.length < 2) throw new InputError(`${classes.length} columns of classes`, HEADER_REMEDY, place);
  const voteNames = [...classes, ...others];
  return { classes, voteNames, vote: voteNames.map((name) => names.indexOf(name, 1)), split };
}

function roleIn(cell: string, file: string, line: number): Role {
  const role = roleNamed(cell);
  if (role) return role;
  throw new InputError(`'${cell}' is no split`, 'Write train, validation or test.', { file, line, field: 'split' });
}
