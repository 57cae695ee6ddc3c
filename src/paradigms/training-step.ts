import type { Parameters } from '../nn/parameters.js';
import { gather } from '../tensor/ops/index.js';
import type { Gate, Tape } from '../tensor/tape.js';
import { persistentTensor, type Tensor } from '../tensor/tensor.js';
import type { Constants, Lesson } from './paradigm.js';
import { Student } from './student.js';

/** How far a run is. */
export interface Progress {
  /** Passes over the lesson so far, with its fraction. */
  epoch: number;
  /** Passes in all. */
  epochs: number;
}

/** What a paradigm keeps on the device from step to step, and a checkpoint keeps with it. */
export interface KeptTensor {
  tensor: Tensor;
  initial: Float32Array;
}

/** A number that changes in the course of a run. */
export interface ScheduledNumber {
  /** [1], written before each step. */
  tensor: Tensor;
  at: (progress: Progress) => number;
}

/** What follows the update of the weights in a part of the run only. */
export interface LaterPart {
  gate: Gate;
  isDue: (progress: Progress) => boolean;
}

interface StepParts {
  lesson: Lesson;
  batch: number;
  /** Of the student; its average is made when a teacher is asked for. */
  parameters: Parameters;
  /** Records the faces at `indices`, augmented independently of other views: [N, H, W, C]. */
  view: (indices: Tensor) => Tensor;
}

/** What a paradigm records the loss of a batch of N faces from. */
export class TrainingStep<Name extends string = string> {
  readonly batch: number;
  readonly classes: number;
  /** Indices of the faces, u32 [N]. */
  readonly indices: Tensor;
  /** Their rows in the tables of the lesson, u32 [N]; all are different. */
  readonly rows: Tensor;
  readonly kept = new Map<string, KeptTensor>();
  readonly scheduled: ScheduledNumber[] = [];
  readonly later: LaterPart[] = [];
  private readonly parts: StepParts;
  private readonly views: Tensor[] = [];
  private readonly behind: (() => void)[] = [];
  private shadow: Parameters | undefined;

  constructor(
    readonly tape: Tape,
    readonly student: Student,
    readonly constants: Constants<Name>,
    parts: StepParts,
  ) {
    this.parts = parts;
    this.batch = parts.batch;
    this.classes = student.options.classes;
    this.indices = tape.input('indices', [parts.batch], 'u32');
    this.rows = tape.input('rows', [parts.batch], 'u32');
  }

  /** The faces of the batch, [N, H, W, C]; views of other numbers are augmented independently. */
  faces(view = 0): Tensor {
    this.views[view] ??= this.parts.view(this.indices);
    return this.views[view];
  }

  /** Targets of the batch as the lesson has them, [N, classes]. */
  targets(): Tensor {
    return this.rowsOf('targets', this.parts.lesson.targets);
  }

  /** The batch's rows of a table of the lesson, [N, width]. */
  table(name: string): Tensor {
    return this.rowsOf(name, this.lessonTable(name));
  }

  /** Whether the lesson has the table. */
  has(name: string): boolean {
    return this.parts.lesson.tables?.[name] !== undefined;
  }

  /** The whole table, [rows, width]. */
  lessonTable(name: string): Float32Array {
    const values = this.parts.lesson.tables?.[name];
    if (!values) throw new TypeError(`the lesson has no table ${name}`);
    return values;
  }

  /** Memory from step to step: what is written to it behind one step is there in the next. */
  keep(name: string, shape: readonly number[], initial: Float32Array): Tensor {
    const tensor = persistentTensor(name, shape);
    this.kept.set(name, { tensor, initial });
    return tensor;
  }

  /** A table of the lesson (by default its targets) that the paradigm changes as it learns: [rows, width]. */
  keepTable(name: string, initial = this.parts.lesson.targets): Tensor {
    const rows = this.parts.lesson.faces.length;
    return this.keep(name, [rows, initial.length / rows], initial);
  }

  /** A number that follows the progress of the run, [1]. */
  schedule(name: string, at: (progress: Progress) => number): Tensor {
    const tensor = this.tape.input(name, [1]);
    this.scheduled.push({ tensor, at });
    return tensor;
  }

  /**
   * The student with the running average of its weights (Tarvainen & Valpola 2017), to be asked within `tape.evaluating`. All weights must have been
   * declared before: record what the student does first.
   */
  teacher(): Student {
    const { scope, model, options, precision } = this.student;
    this.parts.parameters.flat(); // what is declared later would have no average
    this.shadow ??= this.parts.parameters.shadow();
    return new Student({ ...scope, parameters: this.shadow }, model, options, precision);
  }

  /** The average that `teacher` made, if it was asked for. */
  get average(): Parameters | undefined {
    return this.shadow;
  }

  /**
   * `record` is called when the update of the weights has been recorded, for what shall happen behind it: in every step, or in those in which `isDue` says so.
   */
  afterwards(record: () => void, isDue?: LaterPart['isDue']): void {
    if (!isDue) {
      this.behind.push(record);
      return;
    }
    const gate: Gate = { isOpen: true };
    this.later.push({ gate, isDue });
    this.behind.push(() => this.tape.behind(gate, record));
  }

  recordAfterwards(): void {
    for (const record of this.behind) record();
  }

  private rowsOf(name: string, values: Float32Array): Tensor {
    const rows = this.parts.lesson.faces.length;
    return gather(this.tape, this.tape.constant(name, [rows, values.length / rows], values), this.rows);
  }
}
