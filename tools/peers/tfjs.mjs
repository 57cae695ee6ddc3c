// tfjs on its WebGPU backend: operators of tfjs-core, its gradients and its Adam. Images are NHWC, weights HWIO.
import './webgpu.mjs';
import { CLASSES, faces, firstValues, network, targets, uniform } from './models.mjs';

const tf = await import('@tensorflow/tfjs-core');
await import('@tensorflow/tfjs-layers'); // registers the gradients
await import('@tensorflow/tfjs-backend-cpu');
await import('@tensorflow/tfjs-backend-webgpu');
if (!(await tf.setBackend('webgpu'))) throw new Error('it finds no WebGPU');
await tf.ready();

/** All that was queued, without reading a result back. */
async function finish() {
  const backend = tf.backend();
  backend.endComputePassEncoder();
  if (backend.commandEncoder) backend.submitQueue(); // it submits every few dispatches by itself
  await backend.device.queue.onSubmittedWorkDone();
}

function batchNorm(x, scale, shift) {
  const { mean, variance } = tf.moments(x, [0, 1, 2]);
  return tf.batchNorm(x, mean, variance, shift, scale, 1e-5);
}

function layerNorm(x, scale, shift) {
  const { mean, variance } = tf.moments(x, -1, true);
  return tf.add(tf.mul(tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-6))), scale), shift);
}

function attention(query, key, value) {
  const scores = tf.mul(tf.matMul(query, key, false, true), query.shape.at(-1) ** -0.5);
  return tf.matMul(tf.softmax(scores), value);
}

function gelu(x) {
  return tf.mul(tf.mul(0.5, x), tf.add(1, tf.erf(tf.mul(Math.SQRT1_2, x))));
}

const crossEntropy = (logits, wanted) => tf.neg(tf.mean(tf.sum(tf.mul(wanted, tf.logSoftmax(logits)), -1)));

const engine = {
  convolution: (x, weight, stride) => tf.conv2d(x, weight, stride, 'same'),
  batchNorm,
  layerNorm,
  attention,
  gelu,
  relu: tf.relu,
  add: tf.add,
  twice: (x) => [x, x],
  halve: (x) => tf.maxPool(x, 2, 2, 'valid'),
  average: (x) => tf.mean(x, [1, 2]),
  dense(x, weight, bias) {
    const rows = tf.reshape(x, [-1, weight.shape[0]]);
    return tf.reshape(tf.add(tf.matMul(rows, weight), bias), [...x.shape.slice(0, -1), weight.shape[1]]);
  },
  reshape: tf.reshape,
  permute: tf.transpose,
  repeat: tf.tile,
  concat: tf.concat,
  split: (x, parts) => tf.split(x, parts, 0),
  first: (x) => tf.reshape(tf.slice(x, [0, 0, 0], [-1, 1, -1]), [x.shape[0], x.shape[2]]),
};

function trainingStep(wantedModel) {
  const { batch } = wantedModel;
  const images = tf.tensor(faces(batch), [batch, 48, 48, 1]);
  const wanted = tf.tensor(targets(batch), [batch, CLASSES]);
  const parameters = firstValues(wantedModel).map(({ shape, values }) =>
    tf.variable(
      tf.tidy(() => {
        const tensor = tf.tensor(values, shape);
        return shape.length === 4 ? tf.transpose(tensor, [2, 3, 1, 0]) : tensor;
      }),
    ),
  );
  const optimizer = tf.train.adam(1e-3);
  return {
    async queue() {
      const value = optimizer.minimize(() => {
        let next = 0;
        return crossEntropy(
          network(wantedModel, engine, () => parameters[next++], images),
          wanted,
        );
      }, true);
      const [loss] = await value.data();
      value.dispose();
      return loss;
    },
    finish,
  };
}

function convolution([x, weight], { stride = 1, groups = 1 }) {
  const padding = weight.shape[0] >> 1;
  return groups > 1 ? tf.depthwiseConv2d(x, weight, stride, padding) : tf.conv2d(x, weight, stride, padding);
}

/** The bare kernels: tf.grad would run the forward convolution again. */
function convolutionGradient([x, weight], gradient, { stride = 1, groups = 1 }, wrt) {
  const attributes = {
    strides: [stride, stride],
    dilations: [1, 1],
    pad: weight.shape[0] >> 1,
    dataFormat: 'NHWC',
    dimRoundingMode: undefined,
  };
  const kernel = groups > 1 ? 'DepthwiseConv2dNativeBackprop' : 'Conv2DBackprop';
  return wrt === 0
    ? tf.engine().runKernel(`${kernel}Input`, { dy: gradient, filter: weight }, { ...attributes, inputShape: x.shape })
    : tf.engine().runKernel(`${kernel}Filter`, { x, dy: gradient }, { ...attributes, filterShape: weight.shape });
}

const asTheyAre = (shapes) => shapes;
const OPERATORS = {
  matmul: { shapes: asTheyAre, apply: ([a, b], { transposeA, transposeB }) => tf.matMul(a, b, Boolean(transposeA), Boolean(transposeB)) },
  conv2d: {
    // A depthwise weight is [height, width, channels, 1] here.
    shapes: ([image, weight], { groups = 1 }) => [image, groups > 1 ? [weight[0], weight[1], weight[3], weight[2]] : weight],
    apply: convolution,
    gradient: convolutionGradient,
  },
  batch_norm: { shapes: ([x]) => [x, [x.at(-1)], [x.at(-1)]], apply: ([x, scale, shift]) => batchNorm(x, scale, shift) },
  layer_norm: { shapes: ([x]) => [x, [x.at(-1)], [x.at(-1)]], apply: ([x, scale, shift]) => layerNorm(x, scale, shift) },
  softmax: { shapes: asTheyAre, apply: ([x]) => tf.softmax(x) },
  softmax_divergence: { shapes: asTheyAre, apply: ([logits, wanted]) => crossEntropy(logits, wanted) },
  attention: { shapes: asTheyAre, apply: ([query, key, value]) => attention(query, key, value) },
};

/** The update of one tensor, which Adam keeps with its moments. */
function adamRun([shape]) {
  const weight = tf.variable(tf.tensor(uniform(shape, 1, 1), shape));
  const gradients = { [weight.name]: tf.tensor(uniform(shape, 1, 2), shape) };
  const optimizer = tf.train.adam(1e-3);
  return { queue: () => optimizer.applyGradients(gradients), finish };
}

function operatorRun({ op, shapes, options, pass, wrt }) {
  if (op === 'adamw') return adamRun(shapes);
  const { shapes: shapesHere, apply, gradient } = OPERATORS[op];
  const inputs = shapesHere(shapes, options).map((shape, i) => tf.tensor(uniform(shape, 1, i + 1), shape));
  const shape = tf.tidy(() => apply(inputs, options).shape);
  const weights = tf.tensor(uniform(shape, 1, 9), shape);
  const timed = {
    forward: () => apply(inputs, options),
    backward: () => gradient(inputs, weights, options, wrt),
    both: () => {
      if (wrt === undefined) return tf.valueAndGrads((...tensors) => apply(tensors, options))(inputs, weights).grads;
      return tf.valueAndGrad((x) => apply(inputs.with(wrt, x), options))(inputs[wrt], weights).grad;
    },
  }[pass];
  let results = [];
  return {
    queue: () => void results.push(tf.tidy(timed)),
    async finish() {
      await finish();
      tf.dispose(results);
      results = [];
    },
  };
}

export const prepare = (wanted) => (wanted.model ? trainingStep(wanted) : operatorRun(wanted));
