import { distribution, entropy, plurality } from '../labels/votes.js';
import { pixelDigests } from './duplicates.js';
import { type Dataset, type FaceSet, type Problem, type Role, votesOf } from './face-set.js';
import { leftOutNotes, problemNotes } from './listed-faces.js';

export const ROLES: readonly Role[] = ['train', 'validation', 'test'];

/** Shares of the faces whose entropy is at most the quantile's. */
export const QUANTILES = [0, 0.25, 0.5, 0.75, 0.9, 1] as const;

/** What a split holds, by its votes. */
export interface SplitFigures {
  faces: number;
  /** Faces by the class that got most votes. */
  classes: { name: string; faces: number }[];
  /** Faces for no class of which anybody voted. */
  withoutClass: number;
  /** Votes per face for anything at all. */
  votes: { least: number; mean: number; most: number };
  /** Mean over the faces of `1 − H / log C`, of the votes for classes; null where nobody voted for any. */
  agreement: number | null;
  /** Entropy (nats) of the votes for classes at QUANTILES; empty where nobody voted for any. */
  entropy: number[];
  /** Faces of which no class has more than half of all votes. */
  ambiguous: number;
}

/** One of several faces with the same pixels. */
export interface Copy {
  split: Role;
  id: string;
  /** File and line of the list, where there is one. */
  place?: string;
}

/** What is in a dataset. */
export interface Inspection {
  name: string;
  classes: readonly string[];
  voteNames: readonly string[];
  size: number;
  channels: 1 | 3;
  splits: Record<Role, SplitFigures>;
  /** Faces with exactly the same pixels, together. */
  duplicates: Copy[][];
  problems: readonly Problem[];
  /** Faces left out because of their label, by its name. */
  leftOut: Readonly<Record<string, number>>;
  /** What else the reader noticed. */
  notes: readonly string[];
}

/** Counts what is in a dataset. */
export function inspectDataset(dataset: Dataset): Inspection {
  const { name, classes, train, validation, test, problems = [], leftOut = {} } = dataset;
  const told = [...problemNotes(problems), ...leftOutNotes(leftOut)];
  return {
    name,
    classes,
    voteNames: train.voteNames,
    size: train.height,
    channels: train.channels,
    splits: { train: figuresOf(train), validation: figuresOf(validation), test: figuresOf(test) },
    duplicates: duplicatesIn(dataset),
    problems,
    leftOut,
    notes: dataset.notes.filter((note) => !told.includes(note)),
  };
}

function figuresOf(faces: FaceSet): SplitFigures {
  const classes = faces.classes.map((name) => ({ name, faces: 0 }));
  const sums: number[] = [];
  let withoutClass = 0;
  let ambiguous = 0;
  for (let face = 0; face < faces.count; face++) {
    const votes = votesOf(faces, face);
    const best = plurality(votes.subarray(0, classes.length));
    const sum = votes.reduce((left, right) => left + right, 0);
    sums.push(sum);
    if (best < 0) withoutClass++;
    else classes[best].faces++;
    if (best < 0 || votes[best] <= sum / 2) ambiguous++;
  }
  const entropies = faceEntropies(faces)
    .filter((value) => !Number.isNaN(value))
    .sort();
  const highest = Math.log(classes.length);
  const mean = (values: ArrayLike<number>) => Array.from(values).reduce((left, right) => left + right, 0) / values.length;
  return {
    faces: faces.count,
    classes,
    withoutClass,
    votes: { ...extremes(sums), mean: mean(sums) },
    agreement: entropies.length > 0 ? 1 - mean(entropies) / highest : null,
    entropy: entropies.length > 0 ? QUANTILES.map((share) => entropies[Math.round(share * (entropies.length - 1))]) : [],
    ambiguous,
  };
}

/** The least and the greatest of many numbers. */
function extremes(values: readonly number[]): { least: number; most: number } {
  let [least, most] = [values[0], values[0]];
  for (const value of values) {
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  return { least, most };
}

/** Entropy (nats) of each face's votes for classes; NaN where nobody voted for any: [count]. */
export function faceEntropies(faces: FaceSet): Float64Array {
  return Float64Array.from({ length: faces.count }, (_, face) => {
    const shares = distribution(votesOf(faces, face).subarray(0, faces.classes.length));
    return shares.some((share) => share > 0) ? entropy(shares) : Number.NaN;
  });
}

function duplicatesIn(dataset: Dataset): Copy[][] {
  const groups = new Map<string, Copy[]>();
  for (const split of ROLES) {
    const faces = dataset[split];
    pixelDigests(faces).forEach((digest, face) => {
      const copy: Copy = { split, id: faces.ids[face], ...(faces.places && { place: faces.places[face] }) };
      const others = groups.get(digest);
      if (others) others.push(copy);
      else groups.set(digest, [copy]);
    });
  }
  return [...groups.values()].filter((group) => group.length > 1);
}
