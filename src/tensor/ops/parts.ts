/** Launches over tensors beyond what a binding holds are divided: each part binds a range of the same tensors. */
import type { LaunchSpec, Tape } from '../tape.js';
import { ELEMENT_BYTES, sizeOf, type Tensor } from '../tensor.js';
import { launchElementwise } from './elementwise.js';

/** A range of rows, images or whatever else follows one another in a tensor. */
export interface Part {
  first: number;
  count: number;
}

/**
 * Divides `count` units into as few even ranges as bindings allow: most often one. `unitBytes` are what a unit takes in each of the tensors; all
 * ranges begin where a binding may begin. Where not even the smallest would fit there is one range, and the program refuses it.
 */
export function partsOf(tape: Tape, count: number, unitBytes: readonly number[]): Part[] {
  const { maxStorageBufferBindingSize, minStorageBufferOffsetAlignment: alignment } = tape.gpu.limits;
  // So many units fill whole alignments in all tensors; the alignment is a power of two.
  const step = Math.max(...unitBytes.map((bytes) => alignment / greatestCommonDivisor(alignment, bytes)));
  const most = Math.floor(maxStorageBufferBindingSize / Math.max(...unitBytes));
  const steps = Math.floor(most / step);
  if (count <= most || steps === 0) return [{ first: 0, count }];
  const parts = Math.ceil(count / (steps * step));
  const size = Math.ceil(count / parts / step) * step;
  return Array.from({ length: Math.ceil(count / size) }, (_, i) => ({ first: i * size, count: Math.min(size, count - i * size) }));
}

/** That part of each tensor, seen as [rows, ...rowShape], by default along its first axis; the tensor itself where that is all of it. */
export function rowsOf<T extends Record<string, Tensor>>(tape: Tape, tensors: T, { first, count }: Part, rowShape?: readonly number[]): T {
  const view = ([name, tensor]: [string, Tensor]) => {
    const row = rowShape ?? tensor.shape.slice(1);
    const whole = count * sizeOf(row) === tensor.size;
    return [name, whole ? tensor : tape.view(tensor, [count, ...row], first * sizeOf(row))];
  };
  return Object.fromEntries(Object.entries(tensors).map(view)) as T;
}

/** Calls `launch` with runs of images of all tensors [N, ...] and their number. */
export function overImages<T extends Record<string, Tensor>>(tape: Tape, tensors: T, launch: (run: T, images: number) => void): void {
  const all = Object.values(tensors);
  const images = all[0]!.shape[0]!;
  const unitBytes = all.map(({ bytes }) => bytes / images);
  for (const part of partsOf(tape, images, unitBytes)) launch(rowsOf(tape, tensors, part), part.count);
}

/** The same for a sum over the images: each run gives one of its own, which are added up in their order. */
export function sumOverImages<T extends Record<string, Tensor>>(
  tape: Tape,
  tensors: T,
  output: Tensor,
  launch: (run: T, images: number, sum: Tensor) => void,
): void {
  const total = Object.values(tensors)[0]!.shape[0]!;
  let done = 0;
  let sum: Tensor | undefined;
  overImages(tape, tensors, (run, images) => {
    done += images;
    const another = () => tape.tensor(`${output.label}.part`, output.shape);
    const part = images === total ? output : another();
    launch(run, images, part);
    if (sum) {
      const left = sum;
      sum = done === total ? output : another();
      launchPointwise(tape, 'add', { left, right: part, output: sum });
    } else sum = part;
  });
}

/** Bytes of so many elements of each tensor. */
export function bytesOf(tensors: Record<string, Tensor>, elements = 1): number[] {
  return Object.values(tensors).map(({ dtype }) => elements * ELEMENT_BYTES[dtype]);
}

/** Launches an elementwise kernel whose results depend on nothing but the elements at their own place, in tensors of one size. */
export function launchPointwise(
  tape: Tape,
  shader: string,
  tensors: Record<string, Tensor>,
  options: Pick<LaunchSpec, 'params' | 'constants'> = {},
): void {
  const { size } = Object.values(tensors)[0]!;
  for (const part of partsOf(tape, size, bytesOf(tensors))) {
    const run = rowsOf(tape, tensors, part, []);
    launchElementwise(tape, shader, Object.values(run)[0]!, run, options);
  }
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
