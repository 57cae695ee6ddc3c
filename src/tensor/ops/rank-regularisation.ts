import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';
import { apply } from './arithmetic.js';

/**
 * Rank regularisation of the importance weights of a batch (Wang et al. 2020, SCN, eq. 3): max(0, margin − (mean of the high group − mean of the low group)),
 * the high group being the `share` with the largest weights.
 * @param importance [N] or [N, 1]
 * @returns the loss [1], differentiable in `importance`, and the high group [N] of ones and zeros
 * @throws ShapeError where one of the groups would be empty
 */
export function rankRegularisation(
  tape: Tape,
  importance: Tensor,
  { share, margin }: { share: number; margin: number },
): { loss: Tensor; high: Tensor } {
  const count = importance.size;
  const highCount = Math.floor(share * count);
  if (highCount < 1 || highCount >= count)
    throw new ShapeError(
      `rank regularisation of ${count} faces with a high group of ${highCount}`,
      'Use a larger batch, or a share between 0 and 1.',
    );
  const high = tape.tensor('high_group', [count]);
  const gradient = tape.tensor('importance.gradient', importance.shape);
  const loss = tape.tensor('rank_loss', [1]);
  tape.launch('rank_regularisation', {
    params: { count, high_count: highCount, margin },
    tensors: { importance, high, gradient, loss },
    groups: 1,
  });
  tape.record({
    name: 'rank_regularisation',
    inputs: [importance],
    output: loss,
    gradient: (outputGradient) => [tape.isOne(outputGradient) ? gradient : apply(tape, 'multiply', gradient, outputGradient)],
  });
  return { loss, high };
}
