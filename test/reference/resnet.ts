/**
 * torchvision's ResNet-18 in evaluation mode, in float64, with any widths: one face [H, W, C] at a time. Weights are in its layouts and under its names: convolutions
 * OIHW, dense weights [out, in], ε = 1e-5.
 */
interface Weights {
  shape: readonly number[];
  data: ArrayLike<number>;
}

interface Map3 {
  side: number;
  channels: number;
  /** [side, side, channels] */
  data: number[];
}

function convolution({ side, channels, data }: Map3, { shape, data: weight }: Weights, stride: number): Map3 {
  const [outputs, , kernel] = shape;
  const padding = kernel >> 1;
  const size = Math.floor((side + 2 * padding - kernel) / stride) + 1;
  const result: number[] = [];
  for (let row = 0; row < size; row++)
    for (let column = 0; column < size; column++)
      for (let o = 0; o < outputs; o++) {
        let sum = 0;
        for (let i = 0; i < channels; i++)
          for (let ky = 0; ky < kernel; ky++)
            for (let kx = 0; kx < kernel; kx++) {
              const [y, x] = [row * stride + ky - padding, column * stride + kx - padding];
              if (y < 0 || x < 0 || y >= side || x >= side) continue;
              sum += data[(y * side + x) * channels + i] * weight[((o * channels + i) * kernel + ky) * kernel + kx];
            }
        result.push(sum);
      }
  return { side: size, channels: outputs, data: result };
}

/** 3×3, stride 2, padding 1. */
function maxPool({ side, channels, data }: Map3): Map3 {
  const size = Math.floor((side - 1) / 2) + 1;
  const result: number[] = [];
  for (let row = 0; row < size; row++)
    for (let column = 0; column < size; column++)
      for (let c = 0; c < channels; c++) {
        let most = Number.NEGATIVE_INFINITY;
        for (let y = 2 * row - 1; y <= 2 * row + 1; y++)
          for (let x = 2 * column - 1; x <= 2 * column + 1; x++)
            if (y >= 0 && x >= 0 && y < side && x < side) most = Math.max(most, data[(y * side + x) * channels + c]);
        result.push(most);
      }
  return { side: size, channels, data: result };
}

const relu = (x: Map3): Map3 => ({ ...x, data: x.data.map((value) => Math.max(value, 0)) });

export function resnet18(face: Map3, of: (name: string) => Weights): number[] {
  const norm = (x: Map3, name: string): Map3 => {
    const part = (which: string) => of(`${name}.${which}`).data;
    const [weight, bias, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map(part);
    const data = x.data.map((value, i) => {
      const c = i % x.channels;
      return ((value - mean[c]) / Math.sqrt(variance[c] + 1e-5)) * weight[c] + bias[c];
    });
    return { ...x, data };
  };
  const block = (x: Map3, name: string, stride: number): Map3 => {
    const first = relu(norm(convolution(x, of(`${name}.conv1.weight`), stride), `${name}.bn1`));
    const second = norm(convolution(first, of(`${name}.conv2.weight`), 1), `${name}.bn2`);
    const changes = stride !== 1;
    const shortcut = changes ? norm(convolution(x, of(`${name}.downsample.0.weight`), stride), `${name}.downsample.1`) : x;
    return relu({ ...second, data: second.data.map((value, i) => value + shortcut.data[i]) });
  };
  let x = maxPool(relu(norm(convolution(face, of('conv1.weight'), 2), 'bn1')));
  for (const stage of [1, 2, 3, 4]) for (const index of [0, 1]) x = block(x, `layer${stage}.${index}`, stage > 1 && index === 0 ? 2 : 1);
  const places = x.side * x.side;
  const pooled = Array.from({ length: x.channels }, (_, c) => {
    let sum = 0;
    for (let place = 0; place < places; place++) sum += x.data[place * x.channels + c];
    return sum / places;
  });
  const [weight, bias] = [of('fc.weight').data, of('fc.bias').data];
  return Array.from(bias, (value, o) => pooled.reduce((sum, feature, i) => sum + feature * weight[o * pooled.length + i], value));
}
