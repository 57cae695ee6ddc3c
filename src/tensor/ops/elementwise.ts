import type { LaunchSpec, Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';

/** Elements of a workgroup in every elementwise kernel (shaders/lib/elements.wgsl). */
const ELEMENTS_PER_GROUP = 2048;

/** Launches a kernel that goes through the elements of `written`, one of its `tensors`; it gets their number as the param `size`. */
export function launchElementwise(
  tape: Tape,
  shader: string,
  written: Tensor,
  tensors: Record<string, Tensor>,
  { params, constants }: Pick<LaunchSpec, 'params' | 'constants'> = {},
): void {
  const size = written.size;
  tape.launch(shader, {
    params: { size, ...params },
    tensors,
    groups: Math.ceil(size / ELEMENTS_PER_GROUP),
    again: 'same',
    ...(constants && { constants }),
  });
}
