import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import { sizeOf, type Tensor } from '../tensor.js';
import { launchElementwise } from './elementwise.js';

export interface ReduceOptions {
  /** Axes to reduce, negative ones counted from the end; all by default. */
  axes?: readonly number[];
  /** Keep the reduced axes with one element each. */
  keepDims?: boolean;
}

/** Neighbouring reduced axes of a tensor: it is seen as [outer, length, inner] and `length` goes. */
interface Run {
  outer: number;
  length: number;
  inner: number;
}

/** One launch of shaders/fold.wgsl: rows of `total` numbers become rows of `width`. */
interface Stage {
  rows: number;
  total: number;
  width: number;
}

/** Terms that one thread adds up. */
const FAN_IN = 64;
const THREADS_PER_GROUP = 64;

/** Sum over `axes`, in a tree of fixed order. @throws ShapeError for an axis that does not exist or is named twice. */
export function sum(tape: Tape, input: Tensor, options: ReduceOptions = {}): Tensor {
  return weightedSum(tape, 'sum', input, options, () => 1);
}

/** Mean over `axes`, in a tree of fixed order. @throws ShapeError for an axis that does not exist or is named twice. */
export function mean(tape: Tape, input: Tensor, options: ReduceOptions = {}): Tensor {
  return weightedSum(tape, 'mean', input, options, (count) => 1 / count);
}

/**
 * Maximum over `axes`; NaN where a term is NaN. The gradient goes to one of equal maxima.
 * @throws ShapeError for an axis that does not exist or is named twice
 */
export function max(tape: Tape, input: Tensor, options: ReduceOptions = {}): Tensor {
  const axes = axesOf('max', input, options.axes);
  const stages = runsOf(input.shape, axes).flatMap(stagesOf);
  return stages.reduce((terms, stage, i) => {
    const shape = i === stages.length - 1 ? reducedShape(input.shape, axes, options.keepDims) : [stage.rows, stage.width];
    const output = tape.tensor('max', shape);
    launchFold(tape, terms, output, stage, { maximum: true });
    return tape.record({
      name: 'max',
      inputs: [terms],
      output,
      gradient(outputGradient) {
        const inputGradient = tape.gradientTarget(terms);
        tape.launch('max_backward', {
          params: { ...stage },
          tensors: { input: terms, output, output_gradient: outputGradient, input_gradient: inputGradient },
          groups: groupsOf(stage),
        });
        return [inputGradient];
      },
    });
  }, input);
}

/** Launches output = factor · sum of `input` over `axes`, for gradient rules; `output` has the elements that are left. */
export function launchSum(tape: Tape, input: Tensor, axes: readonly number[], output: Tensor, factor = 1): void {
  const stages = runsOf(input.shape, axesOf('sum', input, axes)).flatMap(stagesOf);
  stages.reduce((terms, stage, i) => {
    const last = i === stages.length - 1;
    const folded = last ? output : tape.tensor('sum.part', [stage.rows, stage.width]);
    launchFold(tape, terms, folded, stage, { factor: last ? factor : 1 });
    return folded;
  }, input);
}

function weightedSum(tape: Tape, name: string, input: Tensor, options: ReduceOptions, factorOf: (count: number) => number): Tensor {
  const axes = axesOf(name, input, options.axes);
  const output = tape.tensor(name, reducedShape(input.shape, axes, options.keepDims));
  const factor = factorOf(input.size / output.size);
  launchSum(tape, input, [...axes], output, factor);
  return tape.record({
    name,
    inputs: [input],
    output,
    gradient(outputGradient) {
      const runs = runsOf(input.shape, axes).reverse();
      const inputGradient = runs.reduce((gradient, { outer, length, inner }, i) => {
        const last = i === runs.length - 1;
        const spread = last ? tape.gradientTarget(input) : tape.tensor(`${name}.gradient`, [outer, length, inner]);
        const params = { total: length * inner, inner, factor: last ? factor : 1 };
        launchElementwise(tape, 'sum_backward', spread, { output_gradient: gradient, input_gradient: spread }, { params });
        return spread;
      }, outputGradient);
      return [inputGradient];
    },
  });
}

function launchFold(tape: Tape, input: Tensor, output: Tensor, stage: Stage, { maximum = false, factor = 1 }): void {
  tape.launch('fold', {
    constants: { MAXIMUM: maximum },
    params: { ...stage, factor },
    tensors: { input, output },
    groups: groupsOf(stage),
  });
}

function groupsOf({ rows, width }: Stage): number {
  return Math.ceil((rows * width) / THREADS_PER_GROUP);
}

function axesOf(name: string, input: Tensor, axes: readonly number[] = [...input.shape.keys()]): Set<number> {
  const rank = input.shape.length;
  const counted = new Set(axes.map((axis) => (axis < 0 ? axis + rank : axis)));
  if (counted.size < axes.length || [...counted].some((axis) => !(axis in input.shape))) {
    throw new ShapeError(`${name} of [${input.shape}] over axes ${axes.join(', ')}`, `Name each axis once, from ${-rank} to ${rank - 1}.`);
  }
  return counted;
}

function reducedShape(shape: readonly number[], axes: Set<number>, keepDims = false): number[] {
  return keepDims ? shape.map((extent, axis) => (axes.has(axis) ? 1 : extent)) : shape.filter((_, axis) => !axes.has(axis));
}

/** The runs to reduce, last axes first, each as it stands when those before it are gone. Without axes one run of length 1: a copy. */
function runsOf(shape: readonly number[], axes: Set<number>): Run[] {
  const runs: Run[] = [];
  let inner = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (!axes.has(axis)) {
      inner *= shape[axis];
      continue;
    }
    let length = shape[axis];
    while (axes.has(axis - 1)) length *= shape[--axis];
    runs.push({ outer: sizeOf(shape.slice(0, axis)), length, inner });
  }
  return runs.length > 0 ? runs : [{ outer: 1, length: 1, inner }];
}

function stagesOf({ outer, length, inner }: Run): Stage[] {
  const stages: Stage[] = [];
  for (let terms = length; stages.length === 0 || terms > 1; ) {
    const parts = Math.ceil(terms / FAN_IN);
    stages.push({ rows: outer, total: terms * inner, width: parts * inner });
    terms = parts;
  }
  return stages;
}
