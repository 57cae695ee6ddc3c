// The training step `m1` of bench-step.ts in jax-js, jitted as a whole, with the same first values, batch and Adam.
// Prints one line of JSON. Usage: node jax-js.mjs STEPS
import { tmpdir } from 'node:os';
import { create, globals } from 'webgpu';

const steps = Number(process.argv[2] ?? 5);
const batch = 64;
const classes = 8;

process.env.XDG_RUNTIME_DIR ??= tmpdir();
Object.assign(globalThis, globals);
Object.defineProperty(globalThis, 'navigator', { configurable: true, value: { gpu: create([]), userAgent: 'node' } });
// Dawn's binding polls through setImmediate and would take a core from the shaders: give the peer the cure that we have ourselves.
const immediate = globalThis.setImmediate;
globalThis.setImmediate = (callback, ...rest) =>
  /\[native code\]/.test(Function.prototype.toString.call(callback)) ? setTimeout(callback, 1, ...rest) : immediate(callback, ...rest);

const { blockUntilReady, defaultDevice, init, jit, lax, nn, numpy: np, tree, valueAndGrad } = await import('@jax-js/jax');
if (!(await init('webgpu')).includes('webgpu')) throw new Error('jax-js finds no WebGPU');
defaultDevice('webgpu');

function mulberry32(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let word = Math.imul(state ^ (state >>> 15), 1 | state);
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word;
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

function uniform(shape, scale, seed) {
  const next = mulberry32(seed);
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => (2 * next() - 1) * scale);
  return np.array(data, { shape });
}

function targets() {
  const next = mulberry32(5);
  const rows = [];
  for (let face = 0; face < batch; face++) {
    const row = Array.from({ length: classes }, () => Math.exp(3 * next()));
    const sum = row.reduce((a, b) => a + b);
    rows.push(...row.map((value) => value / sum));
  }
  return np.array(new Float32Array(rows), { shape: [batch, classes] });
}

// Faces and activations are NCHW and weights OIHW, which is what jax-js convolves.
const layers = [1, 32, 32, 64, 64, 128];
function initial() {
  const parameters = {};
  let seed = 8;
  for (let i = 1; i < layers.length; i++) {
    parameters[`weight${i}`] = uniform([layers[i], layers[i - 1], 3, 3], Math.sqrt(6 / (9 * layers[i - 1])), seed);
    parameters[`scale${i}`] = np.ones([layers[i]]);
    parameters[`shift${i}`] = np.zeros([layers[i]]);
    seed += 3;
  }
  parameters.head = uniform([128, classes], Math.sqrt(3 / 128), seed);
  parameters.bias = np.zeros([classes]);
  return parameters;
}

// jax-js counts references: every operation consumes its arguments, `.ref` keeps one for another use.
function layer(x, weight, scale, shift) {
  const channels = weight.shape[0];
  const convolved = lax.conv(x, weight, [1, 1], 'SAME');
  const centred = convolved.ref.sub(np.mean(convolved, [0, 2, 3], { keepdims: true }));
  const variance = np.mean(np.square(centred.ref), [0, 2, 3], { keepdims: true });
  const normed = centred.mul(np.reciprocal(np.sqrt(variance.add(1e-5))));
  return nn.relu(normed.mul(scale.reshape([1, channels, 1, 1])).add(shift.reshape([1, channels, 1, 1])));
}

function loss(parameters, faces, wanted) {
  let x = faces;
  for (let i = 1; i < layers.length; i++) {
    x = layer(x, parameters[`weight${i}`], parameters[`scale${i}`], parameters[`shift${i}`]);
    if (i === 2 || i === 4) x = lax.reduceWindow(x, np.max, [2, 2], [2, 2]);
  }
  const logits = np.matmul(np.mean(x, [2, 3]), parameters.head).add(parameters.bias);
  return np.mean(np.sum(nn.logSoftmax(logits, -1).mul(wanted), -1)).mul(-1);
}

const differentiate = valueAndGrad(loss);
const step = jit((parameters, first, second, faces, wanted, [correction1, correction2]) => {
  const [value, gradients] = differentiate(tree.ref(parameters), faces, wanted);
  const next = { parameters: {}, first: {}, second: {} };
  for (const name of Object.keys(parameters)) {
    const gradient = gradients[name];
    const m = first[name].mul(0.9).add(gradient.ref.mul(0.1));
    const v = second[name].mul(0.999).add(np.square(gradient).mul(0.001));
    const size = np.sqrt(v.ref.mul(correction2.ref)).add(1e-7);
    next.parameters[name] = parameters[name].sub(m.ref.mul(correction1.ref).div(size).mul(1e-3));
    next.first[name] = m;
    next.second[name] = v;
  }
  tree.dispose([correction1, correction2]);
  return [value, next];
});

const faces = uniform([batch, 1, 48, 48], 1, 3);
const wanted = targets();
const zeros = () => Object.fromEntries(Object.entries(initial()).map(([name, value]) => [name, np.zerosLike(value)]));
let state = { parameters: initial(), first: zeros(), second: zeros() };
const losses = [];
const stepMs = [];
for (let i = 0; i < steps + 2; i++) {
  const begun = performance.now();
  const corrections = [np.array(1 / (1 - 0.9 ** (i + 1))), np.array(1 / (1 - 0.999 ** (i + 1)))];
  let value;
  [value, state] = step(state.parameters, state.first, state.second, faces.ref, wanted.ref, corrections);
  await blockUntilReady(state);
  losses.push(await value.jsAsync());
  if (i >= 2) stepMs.push(performance.now() - begun);
}
// Multiply-adds, counted twice: forward, weight gradient, and input gradient but for the first layer.
const sizes = [48, 48, 24, 24, 12];
const forward = sizes.map((size, i) => 2 * batch * size * size * 9 * layers[i] * layers[i + 1]);
const head = 2 * batch * 128 * classes;
const gflop = (3 * (forward.reduce((a, b) => a + b) + head) - forward[0]) / 1e9;
console.log(JSON.stringify({ engine: 'jax-js 0.1.25', model: 'm1', batch, stepMs, gflop, losses: losses.slice(0, 4) }));
process.exit(0);
