import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';
import { launchElementwise } from './elementwise.js';

/** Axes that shaders/permute.wgsl tells apart. */
const AXES = 5;

/**
 * The axes of `input` in another order: axis i of the result is axis order[i] of the input.
 * @throws ShapeError unless `order` names every axis once
 */
export function permute(tape: Tape, input: Tensor, order: readonly number[]): Tensor {
  const axes = [...input.shape.keys()];
  if ([...order].sort((a, b) => a - b).join() !== axes.join()) {
    throw new ShapeError(`permute of [${input.shape}] to axes [${order}]`, `Name every axis from 0 to ${axes.length - 1} once.`);
  }
  const output = tape.tensor(
    'permute',
    order.map((axis) => input.shape[axis]),
    input.dtype,
  );
  launchPermute(tape, input.shape, order, input, output);
  return tape.record({
    name: 'permute',
    inputs: [input],
    output,
    gradient(outputGradient) {
      const inputGradient = tape.gradientTarget(input);
      const back = axes.map((axis) => order.indexOf(axis));
      launchPermute(tape, output.shape, back, outputGradient, inputGradient);
      return [inputGradient];
    },
  });
}

function launchPermute(tape: Tape, shape: readonly number[], order: readonly number[], input: Tensor, output: Tensor): void {
  const params = stridesOf(shape, order);
  const constants = { RUN: params.extent4! % 4 === 0 ? 4 : 1 };
  launchElementwise(tape, 'permute', output, { input, output }, { params, constants });
}

/** Params of shaders/permute.wgsl: axes that stay neighbours are joined, those of one element left out. */
function stridesOf(shape: readonly number[], order: readonly number[]): Record<string, number> {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, extent) => product * extent, 1));
  const joined: { extent: number; stride: number }[] = [];
  for (const axis of order) {
    const [extent, stride] = [shape[axis], strides[axis]];
    const outer = joined.at(-1);
    if (extent === 1) continue;
    if (outer?.stride === stride * extent) joined.splice(-1, 1, { extent: outer.extent * extent, stride });
    else joined.push({ extent, stride });
  }
  if (joined.length > AXES) {
    throw new ShapeError(`permute of [${shape}] to axes [${order}]`, `Axes that part must be at most ${AXES}: permute in two steps.`);
  }
  while (joined.length < AXES) joined.unshift({ extent: 1, stride: 0 });
  return Object.fromEntries([
    ...joined.slice(1).map(({ extent }, i) => [`extent${i + 1}`, extent]),
    ...joined.map(({ stride }, i) => [`stride${i}`, stride]),
  ]);
}
