import type { FaceSet } from '../faces/face-set.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Explanation } from './explanation.js';
import type { Student } from './student.js';
import type { TrainingStep } from './training-step.js';

/** A number that a method leaves to be chosen; by default its paper's. */
export interface Constant {
  value: number;
  /** For --help: what it is, and where its value comes from. */
  about: string;
  min?: number;
  max?: number;
  /** Whether it is a whole number. */
  integer?: boolean;
}

export type Constants<Name extends string = string> = Readonly<Record<Name, number>>;

/** The faces that a paradigm learns from, and what it takes their annotations to mean. */
export interface Lesson {
  /** Indices into the training faces, ascending: [rows] */
  faces: Uint32Array;
  /** [rows, classes] */
  targets: Float32Array;
  /** What else it needs of each face, by name: [rows, any width]. */
  tables?: Readonly<Record<string, Float32Array>>;
}

/** A figure of what a method has learned. */
export interface Finding {
  value: number;
  /** What it would be at best. */
  ideal: number;
  /** What it is, in a few words. */
  about: string;
}

/** By names that stay the same, for result.json and evaluations. */
export type Findings = Readonly<Record<string, Finding>>;

export interface LessonContext<Name extends string = string> {
  constants: Constants<Name>;
  seed: number;
  /** What the runs of `--teacher` say of the training faces, [faces, classes], for a paradigm that learns from them. */
  teacher: Float32Array | undefined;
}

/**
 * How a model learns from annotations: what they are taken to mean, the loss, and what is done behind each step. The backbone, the data and the budget are
 * the same for all.
 */
export interface Paradigm<Name extends string = string> {
  /** One line for `--help`. */
  summary: string;
  constants: Readonly<Record<Name, Constant>>;
  /** Whether it learns from what earlier runs say of the faces, those of `--teacher`. */
  learnsFromRuns?: true;
  /** @throws InputError where no face is left to learn from, or the data lacks what the method needs. */
  lesson(faces: FaceSet, context: LessonContext<Name>): Lesson;
  /** Records the loss of a batch, [1], and whatever shall follow the step (`step.afterwards`). */
  loss(step: TrainingStep<Name>): Tensor;
  /** How faces [N, H, W, C] are judged once it has learned: logits [N, classes]. By default the whole network's. */
  logits?(student: Student, faces: Tensor, constants: Constants<Name>): Tensor;
  /** The same logits with maps of where in the faces they were read. By default there are the network's own, if it has any. */
  explain?(student: Student, faces: Tensor, constants: Constants<Name>): Explanation;
  /** Figures of what is in the weights, by name, that judge faces once it has learned. */
  findings?(weights: ReadonlyMap<string, { shape: readonly number[]; data: ArrayLike<number> }>): Findings | undefined;
}

/** Writes a paradigm down; its constants are known by name inside, and any to others. */
export function paradigm<const Name extends string = never>(
  definition: Omit<Paradigm<Name>, 'constants'> & { constants?: Readonly<Record<Name, Constant>> },
): Paradigm {
  return { constants: {}, ...definition } as unknown as Paradigm;
}

/** How a model that learned by `paradigm` with these constants judges faces [N, H, W, C]: logits [N, classes]. */
export function logitsOf({ logits }: Paradigm, constants: Constants, student: Student, faces: Tensor): Tensor {
  return logits ? logits(student, faces, constants) : student.logits(faces);
}
