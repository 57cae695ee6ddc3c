import type { FaceSet } from '../faces/face-set.js';
import type { Tape } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';

/** The faces that a paradigm learns from, and what it takes their annotations to mean. */
export interface Lesson {
  /** Indices into the training faces, ascending. */
  faces: Uint32Array;
  /** [faces, classes] */
  targets: Float32Array;
}

/** How a model learns from annotations; the backbone, the data and the budget are the same for all. */
export interface Paradigm {
  /** One line for `--help`. */
  summary: string;
  /** @throws InputError where no face is left to learn from. */
  lesson(faces: FaceSet): Lesson;
  /** The target of one visit of a face, where it changes from visit to visit; `u` is uniform in [0, 1) and a function of (seed, epoch, face). */
  visit?(target: Float32Array, u: number): Float32Array;
  /** Records the loss of a batch: logits and targets [N, classes] → [1]. */
  loss(tape: Tape, logits: Tensor, targets: Tensor): Tensor;
}
