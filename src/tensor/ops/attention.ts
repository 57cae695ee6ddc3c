import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import { sizeOf, type Tensor } from '../tensor.js';
import { scale } from './arithmetic.js';
import { wholeQuads } from './channels.js';
import { type Extent, launchProduct, matmul, type Side } from './matmul.js';
import { launchSoftmax, launchSoftmaxBackward, softmax } from './softmax.js';

/**
 * Scaled dot-product attention, softmax(query · keyᵀ / √D) · value, of matrices [..., tokens, D] (Vaswani et al. 2017, eq. 1). Query and key agree in
 * D, key and value in their tokens; there may be more or fewer queries. The rows of the weights are filled up to multiples of four with zeros, which
 * the fast products want.
 * @throws ShapeError where shapes do not fit
 */
export function attention(tape: Tape, query: Tensor, key: Tensor, value: Tensor): Tensor {
  const leading = query.shape.slice(0, -2);
  const [queries, depth] = query.shape.slice(-2) as [number, number];
  const [tokens, width] = value.shape.slice(-2) as [number, number];
  const shapesFit = [key.shape, value.shape].every((shape) => `${shape.slice(0, -2)}` === `${leading}`);
  if (query.shape.length < 2 || `${key.shape.slice(-2)}` !== `${[tokens, depth]}` || !shapesFit) {
    throw new ShapeError(
      `attention of query [${query.shape}], key [${key.shape}] and value [${value.shape}]`,
      'Give [..., tokens, D]: query and key with one D, key and value with the same tokens.',
    );
  }
  const pitch = wholeQuads(tokens);
  const rows = { length: tokens, scale: 1 / Math.sqrt(depth) };
  const matrices = (label: string) => tape.tensor(label, [...leading, queries, pitch]);
  const side = (tensor: Tensor, transposed = false): Side => ({ tensor, transposed, shared: false });
  const product = (extent: Omit<Extent, 'batch'>, a: Side, b: Side, output: Tensor, outputPitch = extent.columns) =>
    launchProduct(tape, { batch: sizeOf(leading), ...extent }, a, b, output, { outputPitch });

  const scores = matrices('attention.scores');
  product({ rows: queries, depth, columns: tokens }, side(query), side(key, true), scores, pitch);
  const weights = matrices('attention.weights');
  launchSoftmax(tape, scores, weights, rows);
  const output = tape.tensor('attention', [...leading, queries, width]);
  product({ rows: queries, depth: tokens, columns: width }, { ...side(weights), pitch }, side(value), output);

  return tape.record({
    name: 'attention',
    inputs: [query, key, value],
    output,
    gradient(outputGradient) {
      const gradients: (Tensor | undefined)[] = [undefined, undefined, undefined];
      if (value.differentiable) {
        gradients[2] = tape.gradientTarget(value);
        product({ rows: tokens, depth: queries, columns: width }, { ...side(weights, true), pitch }, side(outputGradient), gradients[2]);
      }
      if (!query.differentiable && !key.differentiable) return gradients;
      const weightGradient = matrices('attention.weights.gradient');
      product({ rows: queries, depth: width, columns: tokens }, side(outputGradient), side(value, true), weightGradient, pitch);
      const scoreGradient = matrices('attention.scores.gradient');
      launchSoftmaxBackward(tape, { output: weights, outputGradient: weightGradient, inputGradient: scoreGradient }, rows);
      if (query.differentiable) {
        gradients[0] = tape.gradientTarget(query);
        product({ rows: queries, depth: tokens, columns: depth }, { ...side(scoreGradient), pitch }, side(key), gradients[0]);
      }
      if (key.differentiable) {
        gradients[1] = tape.gradientTarget(key);
        product({ rows: tokens, depth: queries, columns: depth }, { ...side(scoreGradient, true), pitch }, side(query), gradients[1]);
      }
      return gradients;
    },
  });
}

/**
 * The weights by which attention looks at the tokens, softmax(query · keyᵀ / √D), of matrices [..., queries, D] and [..., tokens, D]:
 * [..., queries, tokens], each row a distribution. For looking at: `attention` keeps them in another layout.
 * @throws ShapeError where shapes do not fit
 */
export function attentionMap(tape: Tape, query: Tensor, key: Tensor): Tensor {
  const scaled = scale(tape, query, 1 / Math.sqrt(query.shape.at(-1) ?? 1));
  return softmax(tape, matmul(tape, scaled, key, { transposeB: true }));
}
