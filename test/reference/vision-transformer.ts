/**
 * A vision transformer in float64 as timm builds it (`VisionTransformer`: norms first, exact GELU, ε = 1e-6), one face at a time and written for plainness. Weights are
 * in the layouts of PyTorch: convolutions OIHW, dense weights [out, in].
 */
import { activations } from './activation.js';
import { attention } from './attention.js';
import { layerNorm } from './layer-norm.js';

export type Named = (name: string) => ArrayLike<number>;
type Rows = number[][];

export interface VisionTransformerSizes {
  image: number;
  channels: number;
  patch: number;
  width: number;
  heads: number;
  depth: number;
}

/** x · weightᵀ + bias for each row. */
function linear(rows: Rows, weight: ArrayLike<number>, bias: ArrayLike<number>): Rows {
  return rows.map((row) =>
    Array.from({ length: bias.length }, (_, o) => row.reduce((sum, value, i) => sum + value * weight[o * row.length + i], bias[o])),
  );
}

function norm(rows: Rows, scale: ArrayLike<number>, shift: ArrayLike<number>): Rows {
  return rows.map((input) => [...layerNorm({ input, scale, shift, epsilon: 1e-6 })]);
}

function plus(left: Rows, right: Rows): Rows {
  return left.map((row, t) => row.map((value, d) => value + right[t][d]));
}

/** A convolution whose stride is its size: face [image, image, channels] → tokens [T, width]. */
function patchTokens(face: ArrayLike<number>, of: Named, { image, channels, patch, width }: VisionTransformerSizes): Rows {
  const [weight, bias] = [of('patch_embed.proj.weight'), of('patch_embed.proj.bias')];
  const side = image / patch;
  return Array.from({ length: side * side }, (_, place) => {
    const [top, left] = [Math.floor(place / side) * patch, (place % side) * patch];
    return Array.from({ length: width }, (_, d) => {
      let sum = bias[d];
      for (let c = 0; c < channels; c++)
        for (let y = 0; y < patch; y++)
          for (let x = 0; x < patch; x++) {
            const pixel = face[((top + y) * image + left + x) * channels + c];
            sum += weight[((d * channels + c) * patch + y) * patch + x] * pixel;
          }
      return sum;
    });
  });
}

function block(x: Rows, of: Named, { width, heads }: VisionTransformerSizes): Rows {
  const joint = linear(norm(x, of('norm1.weight'), of('norm1.bias')), of('attn.qkv.weight'), of('attn.qkv.bias'));
  const depth = width / heads;
  const seen: Rows = x.map(() => []);
  for (let head = 0; head < heads; head++) {
    const part = (which: number) => joint.flatMap((row) => row.slice(which * width + head * depth, which * width + (head + 1) * depth));
    const sizes = { queries: x.length, tokens: x.length, depth, width: depth };
    attention({ query: part(0), key: part(1), value: part(2) }, sizes).forEach((value, i) => {
      seen[Math.floor(i / depth)].push(value);
    });
  }
  const attended = plus(x, linear(seen, of('attn.proj.weight'), of('attn.proj.bias')));
  const wide = linear(norm(attended, of('norm2.weight'), of('norm2.bias')), of('mlp.fc1.weight'), of('mlp.fc1.bias'));
  const narrow = linear(
    wide.map((row) => row.map(activations.gelu)),
    of('mlp.fc2.weight'),
    of('mlp.fc2.bias'),
  );
  return plus(attended, narrow);
}

/** Logits of a face [image, image, channels] by weights under timm's names; with pooling 'mean' as timm's `global_pool='avg'`. */
export function visionTransformer(face: ArrayLike<number>, of: Named, sizes: VisionTransformerSizes, pooling: 'token' | 'mean'): number[] {
  const tokens = [Array.from(of('cls_token')), ...patchTokens(face, of, sizes)];
  const positions = of('pos_embed');
  let x = tokens.map((row, t) => row.map((value, d) => value + positions[t * sizes.width + d]));
  for (let index = 0; index < sizes.depth; index++) x = block(x, (name) => of(`blocks.${index}.${name}`), sizes);
  const mean = x[0].map((_, d) => x.slice(1).reduce((sum, row) => sum + row[d], 0) / (x.length - 1));
  const pooled =
    pooling === 'mean' ? norm([mean], of('fc_norm.weight'), of('fc_norm.bias')) : norm([x[0]], of('norm.weight'), of('norm.bias'));
  return linear(pooled, of('head.weight'), of('head.bias'))[0];
}
