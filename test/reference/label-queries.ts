/** Query2Label's decoder in float64, face by face and head by head, from the weights by their names. */
import { sinCosPositions } from '#src/nn/transformer.js';
import { activations } from './activation.js';
import { attention, weightsOf } from './attention.js';
import { layerNorm } from './layer-norm.js';
import { matmul } from './matmul.js';

export type Weights = ReadonlyMap<string, { shape: readonly number[]; data: ArrayLike<number> }>;

export interface LabelQueryCase {
  /** [faces, rows, columns, any channels] */
  map: ArrayLike<number>;
  faces: number;
  rows: number;
  columns: number;
  weights: Weights;
  heads: number;
  layers: number;
}

/** Logits [faces, classes], and where the last layer looked, mean over the heads: [faces, classes, rows, columns]. */
export function labelQueries({ map, faces, rows, columns, weights, heads, layers }: LabelQueryCase) {
  const of = (name: string) => weights.get(name)!.data;
  const [classes, channels] = weights.get('embeddings')!.shape;
  const places = rows * columns;
  const dense = (x: ArrayLike<number>, name: string) => {
    const [inputs, outputs] = weights.get(`${name}.weight`)!.shape;
    const product = matmul(x, of(`${name}.weight`), { batch: 1, rows: x.length / inputs, depth: inputs, columns: outputs });
    return product.map((value, i) => value + of(`${name}.bias`)[i % outputs]);
  };
  const norm = (input: ArrayLike<number>, name: string) =>
    layerNorm({ input, scale: of(`${name}.scale`), shift: of(`${name}.shift`), epsilon: 1e-6 });
  const sum = (a: Float64Array, b: ArrayLike<number>) => a.map((value, i) => value + b[i]);
  const depth = channels / heads;
  const headOf = (x: Float64Array, head: number) =>
    Float64Array.from({ length: x.length / heads }, (_, i) => x[Math.floor(i / depth) * channels + head * depth + (i % depth)]);
  const sizes = { queries: classes, tokens: places, depth, width: depth };

  const logits: number[] = [];
  const looks: number[] = [];
  for (let face = 0; face < faces; face++) {
    const perFace = map.length / faces;
    const values = dense(
      Float64Array.from({ length: perFace }, (_, i) => map[face * perFace + i]),
      'projection',
    );
    const located = sum(values, sinCosPositions(rows, columns, channels));
    let answers: Float64Array = new Float64Array(classes * channels);
    let look: Float64Array = new Float64Array(classes * places);
    for (let layer = 1; layer <= layers; layer++) {
      const name = (part: string) => `layer${layer}.${part}`;
      const query = dense(sum(answers, of('embeddings')), name('query'));
      const key = dense(located, name('key'));
      const value = dense(values, name('value'));
      const seen = new Float64Array(classes * channels);
      look = new Float64Array(classes * places);
      for (let head = 0; head < heads; head++) {
        const operands = { query: headOf(query, head), key: headOf(key, head), value: headOf(value, head) };
        attention(operands, sizes).forEach((x, i) => {
          seen[Math.floor(i / depth) * channels + head * depth + (i % depth)] = x;
        });
        look = sum(
          look,
          weightsOf(operands, sizes)
            .flat()
            .map((weight) => weight / heads),
        );
      }
      const attended = norm(sum(answers, dense(seen, name('output'))), name('norm1'));
      const wide = dense(attended, name('mlp.inner')).map(activations.gelu);
      answers = norm(sum(attended, dense(wide, name('mlp.outer'))), name('norm2'));
    }
    for (let c = 0; c < classes; c++) {
      const terms = Array.from({ length: channels }, (_, d) => answers[c * channels + d] * of('head.weight')[c * channels + d]);
      logits.push(terms.reduce((a, b) => a + b) / Math.sqrt(channels) + of('head.bias')[c]);
    }
    looks.push(...look);
  }
  return { logits, attention: looks };
}
