import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import { sizeOf, type Tensor } from '../tensor.js';

const ELEMENTS_PER_GROUP = 2048;

/**
 * Elements `start` to `end` (not included) of one axis.
 * @throws ShapeError where the axis has no such elements
 */
export function slice(tape: Tape, input: Tensor, axis: number, start: number, end: number): Tensor {
  const extent = input.shape[axis];
  if (extent === undefined || !Number.isInteger(start) || !Number.isInteger(end) || start < 0 || start >= end || end > extent) {
    throw new ShapeError(
      `slice of [${input.shape}], ${start} to ${end} of axis ${axis}`,
      'Give an axis, and 0 ≤ start < end up to its extent.',
    );
  }
  const output = tape.tensor('slice', replaced(input.shape, axis, end - start), input.dtype);
  launchBand(tape, axis, end - start, { tensor: input, start }, { tensor: output, start: 0 });
  return tape.record({
    name: 'slice',
    inputs: [input],
    output,
    gradient(outputGradient) {
      const inputGradient = tape.gradientTarget(input);
      const from = { tensor: outputGradient, shape: output.shape, start: -start };
      launchBand(tape, axis, extent, from, { tensor: inputGradient, start: 0 });
      return [inputGradient];
    },
  });
}

/**
 * Zeros before and behind the elements of one axis.
 * @throws ShapeError where there is no such axis
 */
export function pad(tape: Tape, input: Tensor, axis: number, before: number, behind: number): Tensor {
  const extent = input.shape[axis];
  if (extent === undefined || !Number.isInteger(before) || !Number.isInteger(behind) || before < 0 || behind < 0) {
    throw new ShapeError(`pad of [${input.shape}] by ${before} and ${behind} along axis ${axis}`, 'Give an axis and two counts from 0.');
  }
  const output = tape.tensor('pad', replaced(input.shape, axis, before + extent + behind), input.dtype);
  launchBand(tape, axis, output.shape[axis], { tensor: input, start: -before }, { tensor: output, start: 0 });
  return tape.record({
    name: 'pad',
    inputs: [input],
    output,
    gradient(outputGradient) {
      const inputGradient = tape.gradientTarget(input);
      const from = { tensor: outputGradient, shape: output.shape, start: before };
      launchBand(tape, axis, extent, from, { tensor: inputGradient, start: 0 });
      return [inputGradient];
    },
  });
}

/**
 * Tensors one after the other along one axis.
 * @throws ShapeError where they differ in another axis or in type
 */
export function concat(tape: Tape, inputs: readonly Tensor[], axis: number): Tensor {
  const [first] = inputs;
  const joinable = inputs.every(
    ({ shape, dtype }) =>
      dtype === first.dtype && axis < shape.length && replaced(shape, axis, 0).join() === replaced(first.shape, axis, 0).join(),
  );
  if (!first || !joinable || !(axis in first.shape)) {
    const shapes = inputs.map(({ shape, dtype }) => `${dtype} [${shape}]`).join(', ');
    throw new ShapeError(`concat of ${shapes || 'nothing'} along axis ${axis}`, 'Give tensors of one type that differ in this axis alone.');
  }
  const starts: number[] = [];
  let extent = 0;
  for (const { shape } of inputs) {
    starts.push(extent);
    extent += shape[axis];
  }
  const output = tape.tensor('concat', replaced(first.shape, axis, extent), first.dtype);
  inputs.forEach((input, i) =>
    launchBand(tape, axis, input.shape[axis], { tensor: input, start: 0 }, { tensor: output, start: starts[i] }),
  );
  return tape.record({
    name: 'concat',
    inputs: [...inputs],
    output,
    gradient: (outputGradient) =>
      inputs.map((input, i) => {
        if (!input.differentiable) return undefined;
        const inputGradient = tape.gradientTarget(input);
        const from = { tensor: outputGradient, shape: output.shape, start: starts[i] };
        launchBand(tape, axis, input.shape[axis], from, { tensor: inputGradient, start: 0 });
        return inputGradient;
      }),
  });
}

function replaced(shape: readonly number[], axis: number, extent: number): number[] {
  return shape.map((own, i) => (i === axis ? extent : own));
}

/** A place along an axis; `shape` where the tensor's own may be another view of it. */
interface Place {
  tensor: Tensor;
  shape?: readonly number[];
  start: number;
}

function launchBand(tape: Tape, axis: number, band: number, from: Place, to: Place): void {
  const inputShape = from.shape ?? from.tensor.shape;
  const outputShape = to.shape ?? to.tensor.shape;
  const size = sizeOf(replaced(outputShape, axis, band));
  const inner = sizeOf(outputShape.slice(axis + 1));
  const places = {
    band: band * inner,
    input_pitch: inputShape[axis] * inner,
    input_start: from.start * inner,
    output_pitch: outputShape[axis] * inner,
    output_start: to.start * inner,
  };
  const run = Object.values(places).every((place) => place % 4 === 0) ? 4 : 1;
  tape.launch('band', {
    constants: { RUN: run },
    params: { size, ...places },
    tensors: { input: from.tensor, output: to.tensor },
    groups: Math.ceil(size / ELEMENTS_PER_GROUP),
    again: 'same',
  });
}
