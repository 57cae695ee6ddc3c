/** softmax(q · kᵀ / √D) · v of one matrix each, in float64. */
export interface Heads {
  queries: number;
  tokens: number;
  depth: number;
  width: number;
}

interface Operands {
  query: ArrayLike<number>;
  key: ArrayLike<number>;
  value: ArrayLike<number>;
}

/** The weights of all tokens, query by query. */
export function weightsOf({ query, key }: Operands, { queries, tokens, depth }: Heads): number[][] {
  return Array.from({ length: queries }, (_, row) => {
    const scores = Array.from({ length: tokens }, (_, token) => {
      let sum = 0;
      for (let d = 0; d < depth; d++) sum += query[row * depth + d] * key[token * depth + d];
      return sum / Math.sqrt(depth);
    });
    const largest = Math.max(...scores);
    const powers = scores.map((score) => Math.exp(score - largest));
    const total = powers.reduce((a, b) => a + b);
    return powers.map((power) => power / total);
  });
}

export function attention(operands: Operands, sizes: Heads): Float64Array {
  const output = new Float64Array(sizes.queries * sizes.width);
  weightsOf(operands, sizes).forEach((weights, row) => {
    for (const [token, weight] of weights.entries())
      for (let i = 0; i < sizes.width; i++) output[row * sizes.width + i] += weight * operands.value[token * sizes.width + i];
  });
  return output;
}

export function attentionGradients(operands: Operands, sizes: Heads, outputGradient: ArrayLike<number>) {
  const { queries, tokens, depth, width } = sizes;
  const { query, key, value } = operands;
  const gradients = {
    query: new Float64Array(queries * depth),
    key: new Float64Array(tokens * depth),
    value: new Float64Array(tokens * width),
  };
  weightsOf(operands, sizes).forEach((weights, row) => {
    const weightGradients = weights.map((_, token) => {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += outputGradient[row * width + i] * value[token * width + i];
      return sum;
    });
    const mean = weights.reduce((sum, weight, token) => sum + weight * weightGradients[token], 0);
    for (const [token, weight] of weights.entries()) {
      const score = (weight * (weightGradients[token] - mean)) / Math.sqrt(depth);
      for (let d = 0; d < depth; d++) {
        gradients.query[row * depth + d] += score * key[token * depth + d];
        gradients.key[token * depth + d] += score * query[row * depth + d];
      }
      for (let i = 0; i < width; i++) gradients.value[token * width + i] += weight * outputGradient[row * width + i];
    }
  });
  return gradients;
}
