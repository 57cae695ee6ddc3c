/** A decoder with one learned query per class, which reads a feature map (Query2Label: Liu et al. 2021). */
import { ShapeError } from '../errors.js';
import * as ops from '../tensor/ops/index.js';
import { normaliseRows } from '../tensor/ops/normalise-rows.js';
import type { Tape } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';
import { dense, inside, layerNorm, type Scope } from './layers.js';
import { normalOf, zeros } from './parameters.js';
import { feedForward, joinHeads, sinCosPositions, splitHeads } from './transformer.js';

interface LabelQueryOptions {
  classes: number;
  /** D: channels of the queries, and of the map when they read it; a multiple of 4 and of the heads. */
  width: number;
  heads: number;
  layers: number;
}

/** What the queries of N faces found. */
export interface LabelAnswers {
  /** [N, classes] */
  logits: Tensor;
  /** By which the classes are asked for, [classes, D]. */
  embeddings: Tensor;
  /** Records where the last layer looked for each class, mean over its heads: [N, classes, H, W], each map a distribution over the places. */
  attention(): Tensor;
}

/**
 * Reads a map [N, H, W, C] by one query per class. A 1×1 convolution makes its channels D (Liu et al. 2021, section 3.2), whatever the backbone gives. Of each layer:
 * cross-attention and a feed-forward layer, each beside a shortcut and before a norm. The queries begin at zero, the label embeddings are their positions; the
 * keys have sines and cosines for theirs. Queries do not look at one another. A logit is w · h / √D + b: without the root, h being D numbers of about 1 behind its
 * norm, a step of the optimiser would move logits by D times itself, and SGD at the rate that suits a backbone lets them run away.
 * @throws ShapeError where the width does not suit the heads
 */
export function labelQueries(scope: Scope, map: Tensor, { classes, width: channels, heads, layers }: LabelQueryOptions): LabelAnswers {
  if (channels % 4 !== 0 || channels % heads !== 0) {
    throw new ShapeError(
      `label queries of width ${channels} with ${heads} heads`,
      'Give a width that is a multiple of 4 and of the heads.',
      {
        field: 'width',
      },
    );
  }
  const { tape, parameters } = scope;
  const [batch, height, width, given] = map.shape;
  const places = height * width;
  const values = dense(inside(scope, 'projection'), ops.reshape(tape, map, [batch, places, given]), channels);
  const positions = tape.constant('positions', [1, places, channels], sinCosPositions(height, width, channels));
  const located = ops.add(tape, values, positions);
  const embeddings = parameters.weight(inside(scope, 'embeddings').path, [classes, channels], normalOf(1), false);

  let answers = tape.constant('answers', [batch, classes, channels], new Float32Array(batch * classes * channels));
  let attention = () => answers;
  for (let layer = 1; layer <= layers; layer++) {
    const own = inside(scope, `layer${layer}`);
    const project = (name: string, x: Tensor) => splitHeads(tape, dense(inside(own, name), x, channels), heads);
    const query = project('query', ops.add(tape, answers, embeddings));
    const key = project('key', located);
    const seen = joinHeads(tape, ops.attention(tape, query, key, project('value', values)));
    const attended = layerNorm(inside(own, 'norm1'), ops.add(tape, answers, dense(inside(own, 'output'), seen, channels)));
    answers = layerNorm(inside(own, 'norm2'), ops.add(tape, attended, feedForward(inside(own, 'mlp'), attended)));
    attention = () => {
      const maps = ops.mean(tape, ops.attentionMap(tape, query, key), { axes: [1] });
      return ops.reshape(tape, maps, [batch, classes, height, width]);
    };
  }

  const weight = parameters.weight(inside(scope, 'head.weight').path, [classes, channels], normalOf(1));
  const bias = parameters.weight(inside(scope, 'head.bias').path, [classes], zeros);
  const scores = ops.scale(tape, ops.sum(tape, ops.multiply(tape, answers, weight), { axes: [2] }), 1 / Math.sqrt(channels));
  return { logits: ops.add(tape, scores, bias), embeddings, attention };
}

/**
 * How unevenly embeddings [C, D] lie on the sphere: log mean over i ≠ j of exp(−2 |e_i − e_j|²), their lengths made 1 (Wang & Isola 2020, section 4.2), [1]. For
 * C ≤ D + 1 it is least where all cosines are −1 / (C − 1).
 */
export function uniformity(tape: Tape, embeddings: Tensor): Tensor {
  const [classes] = embeddings.shape;
  const pairs = Array.from({ length: classes * classes }, (_, i) => [Math.floor(i / classes), i % classes]).filter(([i, j]) => i < j);
  const directions = normaliseRows(tape, embeddings);
  const ends = [0, 1].map((end) => {
    const rows = tape.constant(
      'pairs',
      [pairs.length],
      Uint32Array.from(pairs, (pair) => pair[end]),
    );
    return ops.gather(tape, directions, rows);
  });
  // |a − b|² = 2 − 2 a·b; the logarithm of a sum of exponentials is what logSoftmax takes from each number.
  const exponents = ops.scale(tape, ops.sum(tape, ops.multiply(tape, ends[0], ends[1]), { axes: [1] }), 4);
  const logSum = ops.mean(tape, ops.subtract(tape, exponents, ops.logSoftmax(tape, exponents)));
  const rest = tape.constant('rest', [1], Float32Array.of(-4 - Math.log(pairs.length)));
  return ops.add(tape, ops.reshape(tape, logSum, [1]), rest);
}
