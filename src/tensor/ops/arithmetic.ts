import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';
import { launchElementwise } from './elementwise.js';
import { launchPointwise } from './parts.js';
import { launchSum } from './reduce.js';

/** Values of OPERATION in shaders/arithmetic.wgsl. */
const OPERATIONS = { add: 0, subtract: 1, multiply: 2, divide: 3 } as const;
type Operation = keyof typeof OPERATIONS;

/** Axes that shaders/arithmetic.wgsl tells apart. */
const AXES = 4;

/**
 * left + right. Shapes broadcast as in NumPy: aligned at the last axis, an axis of one element is repeated; so for all operations here. A
 * gradient is summed over the axes along which its operand was repeated. The result is f16 where both operands are.
 * @throws ShapeError for shapes that do not broadcast
 */
export function add(tape: Tape, left: Tensor, right: Tensor): Tensor {
  return operate(tape, 'add', left, right, (gradient) => [{ full: gradient }, { full: gradient }]);
}

/** left − right. */
export function subtract(tape: Tape, left: Tensor, right: Tensor): Tensor {
  return operate(tape, 'subtract', left, right, (gradient) => [{ full: gradient }, { full: gradient, factor: -1 }]);
}

/** left · right. */
export function multiply(tape: Tape, left: Tensor, right: Tensor): Tensor {
  return operate(tape, 'multiply', left, right, (gradient) => [
    left.differentiable && { full: apply(tape, 'multiply', gradient, right) },
    right.differentiable && { full: apply(tape, 'multiply', gradient, left) },
  ]);
}

/** left / right; x / 0 is ±∞ and 0 / 0 NaN. */
export function divide(tape: Tape, left: Tensor, right: Tensor): Tensor {
  return operate(tape, 'divide', left, right, (gradient, quotient) => {
    const full = apply(tape, 'divide', gradient, right);
    return [{ full }, right.differentiable && { full: apply(tape, 'multiply', full, quotient), factor: -1 }];
  });
}

/** factor · input, for a number known when the tape is recorded. */
export function scale(tape: Tape, input: Tensor, factor: number): Tensor {
  const output = tape.tensor('scale', input.shape, input.dtype);
  launchScale(tape, input, output, factor);
  return tape.record({
    name: 'scale',
    inputs: [input],
    output,
    gradient(outputGradient) {
      const inputGradient = tape.gradientTarget(input);
      launchScale(tape, outputGradient, inputGradient, factor);
      return [inputGradient];
    },
  });
}

/** What a rule gives for one operand: its gradient before it is summed to the operand's shape and multiplied by `factor`. */
type FullGradient = { full: Tensor; factor?: number } | false;

function operate(
  tape: Tape,
  name: Operation,
  left: Tensor,
  right: Tensor,
  rule: (gradient: Tensor, output: Tensor) => [FullGradient, FullGradient],
): Tensor {
  const output = apply(tape, name, left, right);
  return tape.record({
    name,
    inputs: [left, right],
    output,
    gradient: (outputGradient) => rule(outputGradient, output).map((full, i) => reduceGradient(tape, i === 0 ? left : right, full)),
  });
}

function reduceGradient(tape: Tape, operand: Tensor, gradient: FullGradient): Tensor | undefined {
  if (!operand.differentiable || !gradient) return undefined;
  const { full, factor = 1 } = gradient;
  const added = full.shape.length - operand.shape.length;
  const axes = [...full.shape.keys()].filter((axis) => axis < added || operand.shape[axis - added] !== full.shape[axis]);
  if (axes.length === 0 && factor === 1) return full;
  const target = tape.gradientTarget(operand);
  if (axes.length === 0) launchScale(tape, full, target, factor);
  else launchSum(tape, full, axes, target, factor);
  return target;
}

/** Launches an operation without recording it for differentiation. */
export function apply(tape: Tape, operation: Operation, left: Tensor, right: Tensor): Tensor {
  const shape = broadcastShape(operation, left.shape, right.shape);
  const output = tape.tensor(operation, shape, left.dtype === 'f16' && right.dtype === 'f16' ? 'f16' : 'f32');
  const tensors = { left, right, output };
  if (operation === 'add' && left.size === output.size && right.size === output.size) {
    launchPointwise(tape, 'add', tensors);
  } else {
    const params = stridesOf(operation, shape, left, right);
    const constants = { OPERATION: OPERATIONS[operation], ONE_AXIS: params.extent3 === output.size };
    launchElementwise(tape, 'arithmetic', output, tensors, { params, constants });
  }
  return output;
}

function launchScale(tape: Tape, input: Tensor, output: Tensor, factor: number): void {
  launchPointwise(tape, 'scale', { input, output }, { params: { factor } });
}

function broadcastShape(operation: Operation, left: readonly number[], right: readonly number[]): number[] {
  const rank = Math.max(left.length, right.length);
  return Array.from({ length: rank }, (_, axis) => {
    const a = left[axis - rank + left.length] ?? 1;
    const b = right[axis - rank + right.length] ?? 1;
    if (a !== b && a !== 1 && b !== 1) {
      throw new ShapeError(`${operation} of [${left}] and [${right}]`, 'Aligned at the last axis, extents must be equal or 1.');
    }
    return a === 1 ? b : a;
  });
}

/** Params of shaders/arithmetic.wgsl: neighbouring axes are joined where one stride serves both. */
function stridesOf(operation: Operation, shape: readonly number[], left: Tensor, right: Tensor): Record<string, number> {
  const joined: { extent: number; left: number; right: number }[] = [];
  let leftStride = 1;
  let rightStride = 1;
  for (let back = 1; back <= shape.length; back++) {
    const extent = shape.at(-back)!;
    const leftExtent = left.shape.at(-back) ?? 1;
    const rightExtent = right.shape.at(-back) ?? 1;
    const axis = { extent, left: leftExtent === 1 ? 0 : leftStride, right: rightExtent === 1 ? 0 : rightStride };
    leftStride *= leftExtent;
    rightStride *= rightExtent;
    const inner = joined[0];
    if (extent === 1) continue;
    if (inner && axis.left === inner.left * inner.extent && axis.right === inner.right * inner.extent) inner.extent *= extent;
    else joined.unshift(axis);
  }
  if (joined.length > AXES) {
    throw new ShapeError(
      `${operation} of [${left.shape}] and [${right.shape}] repeats its operands along axes too mixed`,
      `Reshape so that they alternate at most ${AXES} times.`,
    );
  }
  while (joined.length < AXES) joined.unshift({ extent: 1, left: 0, right: 0 });
  return Object.fromEntries([
    ...joined.slice(1).map(({ extent }, i) => [`extent${i + 1}`, extent]),
    ...joined.map((axis, i) => [`left${i}`, axis.left]),
    ...joined.map((axis, i) => [`right${i}`, axis.right]),
  ]);
}
