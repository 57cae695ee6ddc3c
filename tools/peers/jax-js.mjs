// jax-js: everything that is timed is one jitted function. It counts references: every operation consumes its arguments, `.ref` keeps one.
import './webgpu.mjs';
import { CLASSES, faces, firstValues, network, targets, uniform } from './models.mjs';

const { blockUntilReady, defaultDevice, grad, init, jit, lax, nn, numpy: np, tree, valueAndGrad } = await import('@jax-js/jax');
if (!(await init('webgpu')).includes('webgpu')) throw new Error('it finds no WebGPU');
defaultDevice('webgpu');

const array = (values, shape) => np.array(values, { shape });

function norm(x, axes, scale, shift, shape, epsilon) {
  const centred = x.ref.sub(np.mean(x, axes, { keepdims: true }));
  const variance = np.mean(np.square(centred.ref), axes, { keepdims: true });
  const normed = centred.mul(np.reciprocal(np.sqrt(variance.add(epsilon))));
  return normed.mul(scale.reshape(shape)).add(shift.reshape(shape));
}

const lastTwo = (x) => np.transpose(x, [...Array(x.ndim - 2).keys(), x.ndim - 1, x.ndim - 2]);
const crossEntropy = (logits, wanted) => np.mean(np.sum(nn.logSoftmax(logits, -1).mul(wanted), -1)).mul(-1);
const batchNorm = (x, scale, shift) => norm(x, [0, 2, 3], scale, shift, [1, x.shape[1], 1, 1], 1e-5);
const layerNorm = (x, scale, shift) => norm(x, -1, scale, shift, [...Array(x.ndim - 1).fill(1), -1], 1e-6);

function attention(query, key, value) {
  const depth = query.shape.at(-1);
  return np.matmul(nn.softmax(np.matmul(query, lastTwo(key)).mul(depth ** -0.5), -1), value);
}

/** Images are NCHW, weights OIHW. */
const engine = {
  convolution: (x, weight, stride) => lax.conv(x, weight, [stride, stride], 'SAME'),
  batchNorm,
  layerNorm,
  attention,
  relu: nn.relu,
  gelu: (x) => nn.gelu(x, { approximate: false }),
  add: (a, b) => a.add(b),
  twice: (x) => [x.ref, x],
  halve: (x) => lax.reduceWindow(x, np.max, [2, 2], [2, 2]),
  average: (x) => np.mean(x, [2, 3]),
  dense: (x, weight, bias) => np.matmul(x, weight).add(bias),
  reshape: (x, shape) => x.reshape(shape),
  permute: (x, order) => np.transpose(x, order),
  repeat: (x, counts) => np.tile(x, counts),
  concat: (parts, axis) => np.concatenate(parts, axis),
  split: (x, parts) => np.split(x, parts, 0),
  first: (x) => x.slice([], 0),
};

const adam = (weight, gradient, first, second, correction1, correction2) => {
  const m = first.mul(0.9).add(gradient.ref.mul(0.1));
  const v = second.mul(0.999).add(np.square(gradient).mul(0.001));
  const size = np.sqrt(v.ref.mul(correction2)).add(1e-7);
  return [weight.sub(m.ref.mul(correction1).div(size).mul(1e-3)), m, v];
};

function trainingStep(wantedModel) {
  const { batch } = wantedModel;
  const loss = (parameters, images, wanted) => {
    let next = 0;
    return crossEntropy(
      network(wantedModel, engine, () => parameters[next++], images),
      wanted,
    );
  };
  const differentiate = valueAndGrad(loss);
  const step = jit((parameters, first, second, images, wanted, correction1, correction2) => {
    const [value, gradients] = differentiate(tree.ref(parameters), images, wanted);
    const updated = parameters.map((weight, i) => adam(weight, gradients[i], first[i], second[i], correction1.ref, correction2.ref));
    tree.dispose([correction1, correction2]);
    return [value, ...[0, 1, 2].map((part) => updated.map((tensors) => tensors[part]))];
  });
  const declared = firstValues(wantedModel);
  const zeros = () => declared.map(({ shape }) => np.zeros(shape));
  const images = array(faces(batch), [batch, 1, 48, 48]);
  const wanted = array(targets(batch), [batch, CLASSES]);
  let state = [declared.map(({ shape, values }) => array(values, shape)), zeros(), zeros()];
  let t = 0;
  return {
    queue() {
      t++;
      const corrections = [np.array(1 / (1 - 0.9 ** t)), np.array(1 / (1 - 0.999 ** t))];
      let value;
      [value, ...state] = step(...state, images.ref, wanted.ref, ...corrections);
      return value.jsAsync();
    },
    finish: () => blockUntilReady(state),
  };
}

/** Shapes here from those of NHWC and HWIO. */
const imageShape = ([batch, height, width, channels]) => [batch, channels, height, width];
const weightShape = ([height, width, inputs, outputs]) => [outputs, inputs, height, width];
const asTheyAre = (shapes) => shapes;

const OPERATORS = {
  matmul: {
    shapes: asTheyAre,
    apply: ([a, b], { transposeA, transposeB }) => np.matmul(transposeA ? lastTwo(a) : a, transposeB ? lastTwo(b) : b),
  },
  conv2d: {
    shapes: ([image, weight]) => [imageShape(image), weightShape(weight)],
    apply: ([x, weight], { stride = 1, groups = 1 }) => {
      const padding = weight.shape[2] >> 1;
      const sides = [padding, padding];
      return lax.convGeneralDilated(x, weight, [stride, stride], [sides, sides], { featureGroupCount: groups });
    },
  },
  batch_norm: {
    shapes: ([image]) => [imageShape(image), [image[3]], [image[3]]],
    apply: ([x, scale, shift]) => batchNorm(x, scale, shift),
  },
  layer_norm: {
    shapes: ([x]) => [x, [x.at(-1)], [x.at(-1)]],
    apply: ([x, scale, shift]) => layerNorm(x, scale, shift),
  },
  softmax: { shapes: asTheyAre, apply: ([x]) => nn.softmax(x, -1) },
  softmax_divergence: { shapes: asTheyAre, apply: ([logits, wanted]) => crossEntropy(logits, wanted) },
  attention: { shapes: asTheyAre, apply: ([query, key, value]) => attention(query, key, value) },
  adamw: { shapes: ([shape]) => [shape, shape, shape, shape], apply: (tensors) => adam(...tensors, np.array(1.1), np.array(1.2)) },
};

function operatorRun({ op, shapes, options, pass, wrt }) {
  const { shapes: shapesHere, apply } = OPERATORS[op];
  const inputs = shapesHere(shapes).map((shape, i) => array(uniform(shape, 1, i + 1), shape));
  const forward = jit((inputs) => apply(inputs, options));
  let timed = forward;
  if (pass !== 'forward') {
    const output = forward(tree.ref(inputs));
    const weights = array(uniform(output.shape, 1, 9), output.shape);
    output.dispose();
    const transform = pass === 'both' ? valueAndGrad : grad;
    // The gradient from a weighted sum of the output, for all inputs or for one of them.
    const differentiated = jit((inputs, weights) => {
      const all = wrt === undefined;
      const contracted = (x) => np.sum(apply(all ? x : inputs.map((own, i) => (i === wrt ? x : own)), options).mul(weights));
      return transform(contracted)(all ? inputs : inputs[wrt]);
    });
    timed = (inputs) => differentiated(inputs, weights.ref);
  }
  let results = [];
  return {
    queue: () => void results.push(timed(tree.ref(inputs))),
    async finish() {
      tree.dispose(await blockUntilReady(results));
      results = [];
    },
  };
}

export const prepare = (wanted) => (wanted.model ? trainingStep(wanted) : operatorRun(wanted));
