/** Softmax over rows in float64. */
export function softmax(input: ArrayLike<number>, length: number): Float64Array {
  return logSoftmax(input, length).map(Math.exp);
}

export function logSoftmax(input: ArrayLike<number>, length: number): Float64Array {
  return mapRows(input, length, (row) => {
    const top = Math.max(...row);
    const logSum = Math.log(row.reduce((sum, x) => sum + Math.exp(x - top), 0));
    return row.map((x) => x - top - logSum);
  });
}

/** By the whole Jacobian: ∂p_i/∂x_j = p_i (δ_ij − p_j), ∂ log p_i/∂x_j = δ_ij − p_j. */
export function softmaxGradient(input: ArrayLike<number>, length: number, outputGradient: ArrayLike<number>, log: boolean): Float64Array {
  const p = softmax(input, length);
  return Float64Array.from(input, (_, at) => {
    const start = at - (at % length);
    let gradient = 0;
    for (let i = start; i < start + length; i++) gradient += outputGradient[i] * (log ? 1 : p[i]) * ((i === at ? 1 : 0) - p[at]);
    return gradient;
  });
}

function mapRows(input: ArrayLike<number>, length: number, change: (row: number[]) => number[]): Float64Array {
  const rows = Array.from({ length: input.length / length }, (_, r) => Array.from({ length }, (_, i) => input[r * length + i]));
  return Float64Array.from(rows.flatMap(change));
}
