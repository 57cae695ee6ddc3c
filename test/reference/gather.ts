/** Rows of a table, one after the other. */
export function gather(input: ArrayLike<number>, width: number, indices: ArrayLike<number>): Float64Array {
  return Float64Array.from(Array.from(indices).flatMap((row) => Array.from({ length: width }, (_, column) => input[row * width + column])));
}

export function gatherGradient(rows: number, width: number, indices: ArrayLike<number>, outputGradient: ArrayLike<number>): Float64Array {
  const gradient = new Float64Array(rows * width);
  Array.from(indices).forEach((row, m) => {
    for (let column = 0; column < width; column++) gradient[row * width + column] += outputGradient[m * width + column];
  });
  return gradient;
}
