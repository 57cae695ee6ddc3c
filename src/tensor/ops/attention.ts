import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';
import { scale } from './arithmetic.js';
import { pad, slice } from './band.js';
import { matmul } from './matmul.js';
import { softmax } from './softmax.js';

/**
 * Scaled dot-product attention, softmax(query · keyᵀ / √D) · value, of matrices [..., tokens, D] (Vaswani et al. 2017, eq. 1). Query and key agree in
 * D, key and value in their tokens.
 * @throws ShapeError where shapes do not fit
 */
export function attention(tape: Tape, query: Tensor, key: Tensor, value: Tensor): Tensor {
  const [tokens, depth] = key.shape.slice(-2) as [number, number];
  if (query.shape.length < 2 || query.shape.at(-1) !== depth || value.shape.at(-2) !== tokens) {
    throw new ShapeError(
      `attention of query [${query.shape}], key [${key.shape}] and value [${value.shape}]`,
      'Give [..., tokens, D]: query and key with one D, key and value with the same tokens.',
    );
  }
  // The fast products want multiples of four: keys of zeros, whose scores are cut off before the softmax and whose weights are zeros behind it.
  const missing = -tokens & 3;
  const whole = (tensor: Tensor, axis: number) => (missing ? pad(tape, tensor, axis, 0, missing) : tensor);
  const axis = key.shape.length - 2;
  const scores = matmul(tape, scale(tape, query, 1 / Math.sqrt(depth)), whole(key, axis), { transposeB: true });
  const weights = softmax(tape, missing ? slice(tape, scores, axis + 1, 0, tokens) : scores);
  return matmul(tape, whole(weights, axis + 1), whole(value, axis));
}
