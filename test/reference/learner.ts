/**
 * A whole learner in float64: a small network of every kind of layer that the models have, its loss, its gradients, and the update of its
 * parameters. Layers are closures: each gives its output, and the way back from the output's gradient to the input's.
 */
import { batchMoments, batchNorm, batchNormGradients } from './batch-norm.js';
import { conv2d, conv2dGradients } from './conv2d.js';
import { adamw, globalNorm, movingAverage, sgd } from './optimizer.js';
import { averagePool, averagePoolGradient, maxPool, maxPoolGradient, poolShape } from './pool.js';
import { gradients as divergenceGradients, loss as divergence } from './softmax-divergence.js';

export interface Array4 {
  /** [N, H, W, C] or [N, C] */
  shape: number[];
  data: ArrayLike<number>;
}

interface Layer {
  output: Array4;
  back: (outputGradient: Float64Array) => Float64Array;
}
