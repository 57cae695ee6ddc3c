import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';
import { launchElementwise } from './elementwise.js';
import { bytesOf, partsOf, rowsOf } from './parts.js';

/**
 * Inverted dropout (Srivastava et al. 2014): in training each element is set to 0 with probability `rate` and else scaled by 1 / (1 − rate); in
 * evaluation this is `input` itself. The mask depends on seed, step, `stream` and element only.
 * @throws ShapeError unless 0 ≤ rate < 1
 */
export function dropout(tape: Tape, input: Tensor, rate: number, stream?: number): Tensor {
  if (!(rate >= 0 && rate < 1))
    throw new ShapeError(`dropout of a share of ${rate}`, 'The share of dropped elements is at least 0 and below 1.');
  if (!tape.training || rate === 0) return input;
  const params = { stream: stream ?? tape.nextStream(), rate, scale: 1 / (1 - rate) };
  const launch = (from: Tensor, to: Tensor) => {
    const tensors = { input: from, output: to };
    for (const part of partsOf(tape, to.size, bytesOf(tensors))) {
      const run = rowsOf(tape, tensors, part, []);
      launchElementwise(tape, 'dropout', run.output, { step: tape.step, ...run }, { params: { ...params, first: part.first / 4 } });
    }
  };
  const output = tape.tensor('dropout', input.shape, input.dtype);
  launch(input, output);
  return tape.record({
    name: 'dropout',
    inputs: [input],
    output,
    gradient(outputGradient) {
      const inputGradient = tape.gradientTarget(input);
      launch(outputGradient, inputGradient);
      return [inputGradient];
    },
  });
}
