import { ShapeError } from '../../errors.js';
import type { LaunchSpec, Tape } from '../tape.js';
import { sizeOf, type Tensor } from '../tensor.js';
import { scale } from './arithmetic.js';
import { channelsOf, resizeChannels, wholeQuads } from './channels.js';
import { attentionForm } from './families.js';
import { type Extent, launchProduct, matmul, type Side } from './matmul.js';
import { overImages, partsOf, rowsOf } from './parts.js';
import { launchSoftmax, launchSoftmaxBackward, softmax } from './softmax.js';

/** Threads that share a row of the means on a GPU; on a software adapter each has its own. */
const LANES_ON_GPU = 8;
const THREADS_PER_GROUP = 64;
/** Of shaders/lib/attention.wgsl: rows of a tile, quads of a chunk, and the chunks that a thread keeps in registers. */
const TILE = { rows: 32, chunk: 8, mostChunks: 2 };

/**
 * Scaled dot-product attention, softmax(query · keyᵀ / √D) · value, of matrices [..., tokens, D] (Vaswani et al. 2017, eq. 1). Query and key agree in
 * D, key and value in their tokens; there may be more or fewer queries. By products that keep the matrix of weights, or fused without it: see `attentionForm`.
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
  const factor = 1 / Math.sqrt(depth);
  const form = attentionForm(tape.gpu, { tokens, headBytes: 4 * queries * wholeQuads(tokens) });
  if (form === 'products') return attentionByProducts(tape, query, key, value, factor);
  const widen = (tensor: Tensor) => (channelsOf(tensor) % 4 === 0 ? tensor : resizeChannels(tape, tensor, wholeQuads(channelsOf(tensor))));
  const output = fusedAttention(tape, widen(query), widen(key), widen(value), factor);
  return width % 4 === 0 ? output : resizeChannels(tape, output, width);
}

/**
 * With a matrix of weights, whose rows are filled up to multiples of four with zeros, which the fast products want. Where the weights of all heads are beyond a
 * binding, the heads take turns, and the gradients compute the weights once more instead of keeping them.
 */
function attentionByProducts(tape: Tape, query: Tensor, key: Tensor, value: Tensor, scale: number): Tensor {
  const { heads, queries, tokens, depth, width, byHead } = headsOf(tape, query, value);
  const pitch = wholeQuads(tokens);
  const inputs = { query: byHead(query), key: byHead(key), value: byHead(value) };
  const output = tape.tensor('attention', [...query.shape.slice(0, -1), width]);
  const parts = partsOf(tape, heads, [
    ...Object.values(inputs).map(({ bytes }) => bytes / heads),
    4 * queries * width,
    4 * queries * pitch,
  ]);
  const side = (tensor: Tensor, transposed = false): Side => ({ tensor, transposed, shared: false });
  const product = (extent: Omit<Extent, 'batch'>, a: Side, b: Side, output: Tensor, outputPitch = extent.columns) =>
    launchProduct(tape, { batch: output.shape[0]!, ...extent }, a, b, output, { outputPitch });
  const matrices = (label: string, { shape }: Tensor) => tape.tensor(label, [shape[0]!, queries, pitch]);
  const weightsOf = (run: typeof inputs) => {
    const scores = matrices('attention.scores', run.query);
    product({ rows: queries, depth, columns: tokens }, side(run.query), side(run.key, true), scores, pitch);
    const weights = matrices('attention.weights', run.query);
    launchSoftmax(tape, scores, weights, { length: tokens, scale });
    return weights;
  };

  const kept = parts.map((part) => {
    const run = rowsOf(tape, { ...inputs, output: byHead(output) }, part);
    const weights = weightsOf(run);
    product({ rows: queries, depth: tokens, columns: width }, { ...side(weights), pitch }, side(run.value), run.output);
    return weights;
  });

  return tape.record({
    name: 'attention',
    inputs: [query, key, value],
    output,
    gradient(outputGradient) {
      const gradients = [query, key, value].map((input) => (input.differentiable ? tape.gradientTarget(input) : undefined));
      const dy = byHead(outputGradient);
      parts.forEach((part, index) => {
        const run = rowsOf(tape, { ...inputs, dy }, part);
        const [dQuery, dKey, dValue] = gradients.map((gradient) => gradient && rowsOf(tape, { gradient: byHead(gradient) }, part).gradient);
        const weights = parts.length === 1 ? kept[index]! : weightsOf(run);
        if (dValue) product({ rows: tokens, depth: queries, columns: width }, { ...side(weights, true), pitch }, side(run.dy), dValue);
        if (!dQuery && !dKey) return;
        const weightGradient = matrices('attention.weights.gradient', run.query);
        product({ rows: queries, depth: width, columns: tokens }, side(run.dy), side(run.value, true), weightGradient, pitch);
        const scoreGradient = matrices('attention.scores.gradient', run.query);
        const softmaxed = { output: weights, outputGradient: weightGradient, inputGradient: scoreGradient };
        launchSoftmaxBackward(tape, softmaxed, { length: tokens, scale });
        if (dQuery) product({ rows: queries, depth: tokens, columns: depth }, { ...side(scoreGradient), pitch }, side(run.key), dQuery);
        if (dKey) product({ rows: tokens, depth: queries, columns: depth }, { ...side(scoreGradient, true), pitch }, side(run.query), dKey);
      });
      return gradients;
    },
  });
}

/** Sizes of the matrices [..., tokens, D], and how to see such a tensor as [heads, tokens, D]. */
function headsOf(tape: Tape, query: Tensor, value: Tensor) {
  const [queries, depth] = query.shape.slice(-2) as [number, number];
  const [tokens, width] = value.shape.slice(-2) as [number, number];
  const heads = sizeOf(query.shape.slice(0, -2));
  const byHead = (tensor: Tensor) => (tensor.shape.length === 3 ? tensor : tape.view(tensor, [heads, ...tensor.shape.slice(-2)]));
  return { heads, queries, tokens, depth, width, byHead };
}

/**
 * Without the matrix of weights (Dao 2023, "FlashAttention-2", algorithms 1 and 2), of D and width in multiples of four. The gradients compute the weights
 * once more, from two numbers a query that the forward pass leaves.
 */
function fusedAttention(tape: Tape, query: Tensor, key: Tensor, value: Tensor, scale: number): Tensor {
  const { heads, queries, tokens, depth, width, byHead } = headsOf(tape, query, value);
  const [q, k, v] = [query, key, value].map(byHead) as [Tensor, Tensor, Tensor];
  const output = tape.tensor('attention', [...query.shape.slice(0, -1), width]);
  const statistics = tape.tensor('attention.statistics', [heads, queries, 2]);
  const ofQueries = { rows: queries, columns: tokens, depth, width, scale };
  const ofTokens = { ...ofQueries, rows: tokens, columns: queries };
  launchTiles(tape, 'attention_forward', { query: q, key: k, value: v, output: byHead(output), statistics }, ofQueries, width);

  return tape.record({
    name: 'attention',
    inputs: [query, key, value],
    output,
    gradient(outputGradient) {
      const dy = byHead(outputGradient);
      const wantsSlopes = query.differentiable || key.differentiable;
      const means = wantsSlopes ? launchMeans(tape, byHead(output), dy) : statistics; // which only slopes read
      const gradientOf = (
        input: Tensor,
        sides: Record<'a' | 'u' | 'b' | 'v', Tensor>,
        sizes: Sizes,
        constants: LaunchSpec['constants'],
      ) => {
        if (!input.differentiable) return undefined;
        const gradient = tape.gradientTarget(input);
        const tensors = { ...sides, statistics, means, gradient: byHead(gradient) };
        launchTiles(tape, 'attention_backward', tensors, sizes, input.shape.at(-1)!, constants);
        return gradient;
      };
      const turned = { a: k, u: v, b: q, v: dy };
      return [
        gradientOf(query, { a: q, u: dy, b: k, v }, ofQueries, { QUERIES: true, SLOPES: true }),
        gradientOf(key, turned, ofTokens, { QUERIES: false, SLOPES: true }),
        gradientOf(value, turned, ofTokens, { QUERIES: false, SLOPES: false }),
      ];
    },
  });
}

/** Rows and columns of the weights, elements of the vectors that make them, and the factor of their scores. */
interface Sizes {
  rows: number;
  columns: number;
  depth: number;
  width: number;
  scale: number;
}

/** Launches a kernel of shaders/lib/attention.wgsl over tensors [heads, ...]; it sums vectors of `summed` elements. */
function launchTiles(
  tape: Tape,
  shader: string,
  tensors: Record<string, Tensor>,
  { rows, columns, depth, width, scale }: Sizes,
  summed: number,
  constants: LaunchSpec['constants'] = {},
): void {
  const chunks = Math.ceil(summed / 4 / TILE.chunk);
  const parts = Math.ceil(chunks / TILE.mostChunks);
  const terms = depth + summed + (constants.SLOPES ? width : 0);
  overImages(tape, tensors, (run, heads) => {
    const groups = heads * Math.ceil(rows / TILE.rows) * parts;
    tape.launch(shader, {
      constants: { ...constants, CHUNKS: Math.ceil(chunks / parts) },
      params: { rows, columns, depth: depth / 4, width: width / 4, scale, groups },
      tensors: run,
      groups,
      flops: 2 * heads * rows * columns * terms,
    });
  });
}

/** [heads, queries]: the mean of the gradients of each query's weights. */
function launchMeans(tape: Tape, output: Tensor, outputGradient: Tensor): Tensor {
  const [heads, queries, width] = output.shape as [number, number, number];
  const means = tape.tensor('attention.means', [heads, queries]);
  const lanes = tape.gpu.adapter.isFallback ? 1 : LANES_ON_GPU;
  overImages(tape, { output, output_gradient: outputGradient, means }, (run, count) => {
    const rows = count * queries;
    tape.launch('attention_backward_means', {
      constants: { LANES: lanes },
      params: { rows, width: width / 4 },
      tensors: run,
      groups: Math.ceil((rows * lanes) / THREADS_PER_GROUP),
    });
  });
  return means;
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
