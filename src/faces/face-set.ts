import { permutation } from '../random.js';

/** Entry of `labels` for a face without one. */
export const NO_LABEL = 255;

/** Pixels that stay in a file because they may be more than memory holds. They are asked for in whole faces. */
export interface StoredPixels {
  /** Bytes of all faces. */
  readonly length: number;
  /** The bytes of the faces from `start` to `end`, read when asked for. */
  subarray(start: number, end: number): Uint8Array;
  /** The pixels of the faces at `faces`, in that order, still in the file. */
  select(faces: readonly number[]): StoredPixels;
  /** Reads the faces at `faces` one behind the other into `into`. */
  read(faces: ArrayLike<number>, into: Uint8Array): Promise<void>;
}

/** Faces as they were read: none is left out, whatever a paradigm later makes of the votes. */
export interface FaceSet {
  name: string;
  classes: readonly string[];
  count: number;
  height: number;
  width: number;
  channels: 1 | 3;
  /** [count, height, width, channels], 8 bits each, in memory or in a file. */
  pixels: Uint8Array | StoredPixels;
  /** What `pixelDigests` gives, where it is known without reading the pixels. */
  digests?: readonly string[];
  /** The classes first, then what annotators could say beside them, such as 'unknown' and 'NF' (not a face). */
  voteNames: readonly string[];
  /** [count, voteNames], counts or shares as found. */
  votes: Float32Array;
  /** Whether votes are sets of candidates: which classes are possible, but not how many annotators meant which. */
  areCandidates?: boolean;
  /** Where each face came from: a row of a file or a relative path. */
  ids: readonly string[];
  /** Where each face is listed, file and line, for datasets with lists of labels. */
  places?: readonly string[];
  /** The dataset's own single label, an index into `classes` or NO_LABEL: [count]. */
  labels?: Uint8Array;
  /** The distribution from which reliable annotators would vote, known for generated faces only: [count, classes]. */
  truth?: Float32Array;
}

/** What a face is for. Nothing is chosen on the faces of the test split. */
export type Role = 'train' | 'validation' | 'test';

/** A listed image that is no face of the dataset. */
export interface Problem {
  kind: 'missing' | 'unreadable';
  id: string;
  /** File and line of the list. */
  place: string;
  message: string;
}

/** Faces in their three roles. */
export interface Dataset {
  name: string;
  classes: readonly string[];
  train: FaceSet;
  validation: FaceSet;
  test: FaceSet;
  /** What was carved, left out or noticed, for the log. */
  notes: string[];
  /** Images that are listed but could not be read. */
  problems?: readonly Problem[];
  /** How many faces were left out because of their label, by its name. */
  leftOut?: Readonly<Record<string, number>>;
}

export interface DatasetOptions {
  /** Decides which faces are carved out, and what generated faces look like. */
  seed: number;
  /** Share of the training faces that becomes a split which the dataset does not have, in (0, 1). */
  validationShare: number;
  /** Side of the faces in pixels; they are resized where theirs differs. */
  size: number;
  /** 1 grey, 3 RGB. */
  channels: 1 | 3;
  /** How many faces to generate, all splits together. */
  count?: number;
  /** Classes to do without: faces that most annotators took for one are left out, and nobody's votes for it count. */
  leaveOut?: readonly string[];
  onProgress?: (done: number, total: number, what: string) => void;
  /** Folder in which what took long to read is kept for the next time; undefined: it is read anew. */
  keepIn?: string;
}

/** The bytes of one face, [height, width, channels], not copied. */
export function pixelsOf(faces: FaceSet, index: number): Uint8Array {
  const size = faces.height * faces.width * faces.channels;
  return faces.pixels.subarray(index * size, (index + 1) * size);
}

/** The votes of one face, [voteNames], not copied. */
export function votesOf(faces: FaceSet, index: number): Float32Array {
  const columns = faces.voteNames.length;
  return faces.votes.subarray(index * columns, (index + 1) * columns);
}

/** The faces at `indices`, in that order, copied. */
export function selectFaces(faces: FaceSet, indices: ArrayLike<number>, name = faces.name): FaceSet {
  const rows = Array.from(indices);
  return {
    ...faces,
    name,
    count: rows.length,
    pixels:
      faces.pixels instanceof Uint8Array
        ? selectRows(faces.pixels, rows, faces.height * faces.width * faces.channels)
        : faces.pixels.select(rows),
    votes: selectRows(faces.votes, rows, faces.voteNames.length),
    ids: rows.map((row) => faces.ids[row]),
    ...(faces.digests && { digests: rows.map((row) => faces.digests![row]) }),
    ...(faces.places && { places: rows.map((row) => faces.places![row]) }),
    ...(faces.labels && { labels: selectRows(faces.labels, rows, 1) }),
    ...(faces.truth && { truth: selectRows(faces.truth, rows, faces.classes.length) }),
  };
}

/** A dataset of which only `limit` training faces are learned from, drawn alike for every run; 0: from all. */
export function limitTraining<Faces extends Pick<Dataset, 'train' | 'notes'>>(dataset: Faces, limit: number): Faces {
  const { train, notes } = dataset;
  if (limit === 0 || limit >= train.count) return dataset;
  return {
    ...dataset,
    train: selectFaces(train, permutation(0, 0, train.count).subarray(0, limit).sort()),
    notes: [...notes, `${limit.toLocaleString('en-US')} of the training faces taken (--limit)`],
  };
}

/** Rows of a row-major table [count, width], in the order of `rows`. */
function selectRows<T extends Uint8Array | Float32Array>(table: T, rows: readonly number[], width: number): T {
  const selected = new (table.constructor as new (length: number) => T)(rows.length * width);
  rows.forEach((row, index) => {
    selected.set(table.subarray(row * width, (row + 1) * width), index * width);
  });
  return selected;
}
