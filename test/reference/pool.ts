/** Pooling in float64 over [N, H, W, C], one output cell after the other; written for plainness. */
export interface Pool {
  shape: number[];
  kernel: [number, number];
  stride: [number, number];
  padding: [number, number];
}

export function poolShape({ shape: [n, h, w, c], kernel, stride, padding }: Pool): [number, number, number, number] {
  const extent = (size: number, axis: 0 | 1) => Math.floor((size + 2 * padding[axis] - kernel[axis]) / stride[axis]) + 1;
  return [n!, extent(h!, 0), extent(w!, 1), c!];
}

/** Calls `visit` with the index of each output element and the indices of the input elements that its window covers, in row order. */
function forEachWindow(pool: Pool, visit: (output: number, covered: number[]) => void): void {
  const [, height, width, channels] = pool.shape as [number, number, number, number];
  const [images, outputHeight, outputWidth] = poolShape(pool);
  let output = 0;
  for (let n = 0; n < images; n++) {
    for (let oy = 0; oy < outputHeight; oy++) {
      for (let ox = 0; ox < outputWidth; ox++) {
        for (let c = 0; c < channels; c++) {
          const covered: number[] = [];
          for (let ky = 0; ky < pool.kernel[0]; ky++) {
            for (let kx = 0; kx < pool.kernel[1]; kx++) {
              const y = oy * pool.stride[0] + ky - pool.padding[0];
              const x = ox * pool.stride[1] + kx - pool.padding[1];
              if (y >= 0 && y < height && x >= 0 && x < width) covered.push(((n * height + y) * width + x) * channels + c);
            }
          }
          visit(output++, covered);
        }
      }
    }
  }
}

/** Index of the maximum: the first of equal ones, the last of NaNs. */
function placeOfMaximum(input: ArrayLike<number>, covered: number[]): number {
  let best = covered[0];
  for (const i of covered) if (input[i] > input[best] || Number.isNaN(input[i])) best = i;
  return best;
}

export function maxPool(input: ArrayLike<number>, pool: Pool): number[] {
  const output: number[] = [];
  forEachWindow(pool, (_, covered) => output.push(input[placeOfMaximum(input, covered)]));
  return output;
}

export function maxPoolGradient(input: ArrayLike<number>, pool: Pool, outputGradient: ArrayLike<number>): Float64Array {
  const gradient = new Float64Array(input.length);
  forEachWindow(pool, (output, covered) => {
    gradient[placeOfMaximum(input, covered)] += outputGradient[output];
  });
  return gradient;
}

export function averagePool(input: ArrayLike<number>, pool: Pool): number[] {
  const output: number[] = [];
  forEachWindow(pool, (_, covered) => output.push(covered.reduce((sum, i) => sum + input[i], 0) / covered.length));
  return output;
}

export function averagePoolGradient(pool: Pool, outputGradient: ArrayLike<number>): Float64Array {
  const gradient = new Float64Array(pool.shape.reduce((product, extent) => product * extent, 1));
  forEachWindow(pool, (output, covered) => {
    for (const i of covered) gradient[i] += outputGradient[output] / covered.length;
  });
  return gradient;
}
