/** Convolution in float64, one multiply-add after the other; written for plainness. */
export interface Convolution {
  /** Of the input: [N, H, W, Cin]. */
  shape: [number, number, number, number];
  /** Of the weight: [kernel y, kernel x, Cin / groups, Cout]. */
  weight: [number, number, number, number];
  stride?: [number, number];
  /** [top, bottom, left, right] */
  padding?: [number, number, number, number];
  dilation?: [number, number];
  groups?: number;
}

export function conv2dShape({ shape: [n, h, w], weight: [ky, kx, , cout], ...options }: Convolution): [number, number, number, number] {
  const { stride = [1, 1], padding: [top, bottom, left, right] = [0, 0, 0, 0], dilation = [1, 1] } = options;
  const extent = (size: number, kernel: number, axis: 0 | 1) => Math.floor((size - (kernel - 1) * dilation[axis] - 1) / stride[axis]) + 1;
  return [n, extent(h + top + bottom, ky, 0), extent(w + left + right, kx, 1), cout];
}

/** Calls `visit` for each multiply-add with the indices of the output, input and weight elements; taps outside the image are left out. */
function forEachTerm(convolution: Convolution, visit: (output: number, input: number, weight: number) => void): void {
  const { shape, weight, stride = [1, 1], padding = [0, 0, 0, 0], dilation = [1, 1], groups = 1 } = convolution;
  const [, height, width, inputChannels] = shape;
  const [kernelY, kernelX, channels, outputChannels] = weight;
  const [images, outputHeight, outputWidth] = conv2dShape(convolution);
  for (let n = 0; n < images; n++) {
    for (let oy = 0; oy < outputHeight; oy++) {
      for (let ox = 0; ox < outputWidth; ox++) {
        for (let ky = 0; ky < kernelY; ky++) {
          for (let kx = 0; kx < kernelX; kx++) {
            const y = oy * stride[0] + ky * dilation[0] - padding[0];
            const x = ox * stride[1] + kx * dilation[1] - padding[2];
            if (y < 0 || y >= height || x < 0 || x >= width) continue;
            for (let o = 0; o < outputChannels; o++) {
              const group = Math.floor(o / (outputChannels / groups));
              for (let c = 0; c < channels; c++) {
                visit(
                  ((n * outputHeight + oy) * outputWidth + ox) * outputChannels + o,
                  ((n * height + y) * width + x) * inputChannels + group * channels + c,
                  ((ky * kernelX + kx) * channels + c) * outputChannels + o,
                );
              }
            }
          }
        }
      }
    }
  }
}

const sizeOf = (shape: number[]) => shape.reduce((product, extent) => product * extent, 1);

export function conv2d(input: ArrayLike<number>, weight: ArrayLike<number>, convolution: Convolution): Float64Array {
  const output = new Float64Array(sizeOf(conv2dShape(convolution)));
  forEachTerm(convolution, (o, i, w) => {
    output[o] += input[i] * weight[w];
  });
  return output;
}

export function conv2dGradients(
  input: ArrayLike<number>,
  weight: ArrayLike<number>,
  outputGradient: ArrayLike<number>,
  convolution: Convolution,
): { input: Float64Array; weight: Float64Array } {
  const inputGradient = new Float64Array(input.length);
  const weightGradient = new Float64Array(weight.length);
  forEachTerm(convolution, (o, i, w) => {
    inputGradient[i] += outputGradient[o] * weight[w];
    weightGradient[w] += outputGradient[o] * input[i];
  });
  return { input: inputGradient, weight: weightGradient };
}
