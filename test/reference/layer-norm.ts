/** Layer normalisation in float64, one row after the other; written for plainness. */
export interface LayerNormCase {
  input: ArrayLike<number>;
  scale: ArrayLike<number>;
  shift: ArrayLike<number>;
  epsilon?: number;
}

export function layerNorm({ input, scale, shift, epsilon = 1e-5 }: LayerNormCase): Float64Array {
  const { normal } = normalise(input, scale.length, epsilon);
  return normal.map((value, i) => value * scale[i % scale.length] + shift[i % scale.length]);
}

export function layerNormGradients({ input, scale, epsilon = 1e-5 }: LayerNormCase, outputGradient: ArrayLike<number>) {
  const channels = scale.length;
  const { normal, deviation } = normalise(input, channels, epsilon);
  const inputGradient = new Float64Array(input.length);
  const scaleGradient = new Float64Array(channels);
  const shiftGradient = new Float64Array(channels);
  for (let row = 0; row < deviation.length; row++) {
    let level = 0;
    let slope = 0;
    for (let c = 0; c < channels; c++) {
      const i = row * channels + c;
      level += (outputGradient[i] * scale[c]) / channels;
      slope += (outputGradient[i] * scale[c] * normal[i]) / channels;
      scaleGradient[c] += outputGradient[i] * normal[i];
      shiftGradient[c] += outputGradient[i];
    }
    for (let c = 0; c < channels; c++) {
      const i = row * channels + c;
      inputGradient[i] = (outputGradient[i] * scale[c] - level - normal[i] * slope) / deviation[row];
    }
  }
  return { input: inputGradient, scale: scaleGradient, shift: shiftGradient };
}

function normalise(input: ArrayLike<number>, channels: number, epsilon: number): { normal: Float64Array; deviation: Float64Array } {
  const normal = new Float64Array(input.length);
  const deviation = new Float64Array(input.length / channels);
  for (let row = 0; row < deviation.length; row++) {
    const values = Array.from({ length: channels }, (_, c) => input[row * channels + c]);
    const mean = values.reduce((sum, value) => sum + value, 0) / channels;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / channels;
    deviation[row] = Math.sqrt(variance + epsilon);
    values.forEach((value, c) => {
      normal[row * channels + c] = (value - mean) / deviation[row];
    });
  }
  return { normal, deviation };
}
