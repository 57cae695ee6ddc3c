// The networks of tools/bench-models.ts for any engine: the same layers, first values, faces and targets.

export const CLASSES = 8;
const FACE_SIZE = 48;
const FIRST_SEED = 7;

/** Tommy Ettinger's mulberry32. */
export function randomNumbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let word = Math.imul(state ^ (state >>> 15), 1 | state);
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word;
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const sizeOf = (shape) => shape.reduce((product, extent) => product * extent, 1);

export function uniform(shape, bound, seed) {
  const next = randomNumbers(seed);
  return Float32Array.from({ length: sizeOf(shape) }, () => (2 * next() - 1) * bound);
}

/** Faces of one channel, so that [N, 48, 48, 1] and [N, 1, 48, 48] hold the same numbers. */
export const faces = (batch) => uniform([batch, FACE_SIZE, FACE_SIZE], 1, 3);

export function targets(batch) {
  const next = randomNumbers(5);
  const rows = [];
  for (let face = 0; face < batch; face++) {
    const row = Array.from({ length: CLASSES }, () => Math.exp(3 * next()));
    const sum = row.reduce((a, b) => a + b);
    rows.push(...row.map((value) => value / sum));
  }
  return Float32Array.from(rows);
}

/**
 * Records a model for so many faces in an engine's operators. `parameter(shape, { bound } | { value })` gives the next parameter; convolution weights are
 * [outputs, inputs, kernel, kernel], dense ones [inputs, outputs]. `engine.twice(x)` gives x for two uses.
 */
export function network({ model, batch }, engine, parameter, x) {
  const filled = (channels, value) => parameter([channels], { value });
  const convolutionNorm = (x, inputs, channels, { kernel = 3, stride = 1 } = {}) => {
    const bound = Math.sqrt(6 / (kernel * kernel * inputs));
    const convolved = engine.convolution(x, parameter([channels, inputs, kernel, kernel], { bound }), stride);
    const scale = filled(channels, 1);
    return engine.batchNorm(convolved, scale, filled(channels, 0));
  };
  const convolutionNormRelu = (...layer) => engine.relu(convolutionNorm(...layer));
  const dense = (x, inputs, outputs) => {
    const weight = parameter([inputs, outputs], { bound: Math.sqrt(3 / inputs) });
    return engine.dense(x, weight, filled(outputs, 0));
  };
  const layerNorm = (x, width) => {
    const scale = filled(width, 1);
    return engine.layerNorm(x, scale, filled(width, 0));
  };

  if (model === 'm1') {
    x = convolutionNormRelu(convolutionNormRelu(x, 1, 32), 32, 32);
    x = convolutionNormRelu(convolutionNormRelu(engine.halve(x), 32, 64), 64, 64);
    x = convolutionNormRelu(engine.halve(x), 64, 128);
    return dense(engine.average(x), 128, CLASSES);
  }
  if (model === 'm2') {
    x = convolutionNormRelu(x, 1, 64);
    let inputs = 64;
    for (const channels of [64, 128, 256, 512]) {
      for (const stride of [channels === 64 ? 1 : 2, 1]) {
        const [main, side] = engine.twice(x);
        const first = convolutionNormRelu(main, inputs, channels, { stride });
        const second = convolutionNorm(first, channels, channels);
        const shortcut = inputs === channels ? side : convolutionNorm(side, inputs, channels, { kernel: 1, stride });
        x = engine.relu(engine.add(second, shortcut));
        inputs = channels;
      }
    }
    return dense(engine.average(x), 512, CLASSES);
  }
  if (model === 'm3') {
    const [patch, width, depth, heads] = [6, 192, 4, 3];
    const side = FACE_SIZE / patch;
    const tokens = side * side + 1;
    const rows = engine.permute(engine.reshape(x, [batch, side, patch, side, patch]), [0, 1, 3, 2, 4]);
    const patches = dense(engine.reshape(rows, [batch, tokens - 1, patch * patch]), patch * patch, width);
    const bound = Math.sqrt(6 / width);
    const classToken = engine.repeat(parameter([1, 1, width], { bound }), [batch, 1, 1]);
    x = engine.add(engine.concat([classToken, patches], 1), parameter([1, tokens, width], { bound }));
    for (let block = 0; block < depth; block++) {
      let [main, side] = engine.twice(x);
      const joint = engine.reshape(dense(layerNorm(main, width), width, 3 * width), [batch, tokens, 3, heads, width / heads]);
      const parts = engine.split(engine.permute(joint, [2, 0, 3, 1, 4]), 3);
      const seen = engine.attention(...parts.map((part) => engine.reshape(part, [batch * heads, tokens, width / heads])));
      const joined = engine.permute(engine.reshape(seen, [batch, heads, tokens, width / heads]), [0, 2, 1, 3]);
      x = engine.add(side, dense(engine.reshape(joined, [batch, tokens, width]), width, width));
      [main, side] = engine.twice(x);
      x = engine.add(side, dense(engine.gelu(dense(layerNorm(main, width), width, 4 * width)), 4 * width, width));
    }
    return dense(engine.first(layerNorm(x, width)), width, CLASSES);
  }
  throw new Error(`no model '${model}'`);
}

/** Shapes and first values of a model's parameters in their order. */
export function firstValues(wanted) {
  const declared = [];
  const parameter = (shape, { bound, value }) => {
    const seed = FIRST_SEED + declared.length + 1;
    declared.push({ shape, values: bound === undefined ? new Float32Array(sizeOf(shape)).fill(value) : uniform(shape, bound, seed) });
  };
  const lists = { twice: () => [0, 0], split: () => [0, 0, 0] };
  const engine = new Proxy(lists, { get: (known, name) => known[name] ?? (() => 0) });
  network(wanted, engine, parameter, 0);
  return declared;
}
