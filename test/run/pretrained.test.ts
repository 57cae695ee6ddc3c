import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RunError } from '#src/errors.js';
import type { Gpu } from '#src/gpu/gpu.js';
import { type ModelName, type ModelOptions, models } from '#src/nn/models.js';
import { Parameters } from '#src/nn/parameters.js';
import { normal } from '#src/random.js';
import { saveCheckpoint } from '#src/run/checkpoint.js';
import { firstWeights, readPretrained, resampled } from '#src/run/pretrained.js';
import { writeSafetensors } from '#src/run/safetensors.js';
import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import { resnet18 } from '../reference/resnet.js';
import { visionTransformer } from '../reference/vision-transformer.js';
import { assert, gpuSuite, rejects, suite } from '../support/suite.js';
import { assertClose, randomArray } from '../support/tensors.js';
import { scratchFolder } from './scratch.js';

interface Tensor {
  shape: number[];
  data: Float32Array;
}
type Tensors = Map<string, Tensor>;

const folder = scratchFolder();
let files = 0;
const freshPath = () => join(folder, `${files++}.safetensors`);

async function fileOf(tensors: Tensors): Promise<string> {
  const path = freshPath();
  await writeSafetensors(path, new Map([...tensors].map(([name, tensor]) => [name, { dtype: 'F32', ...tensor }])));
  return path;
}

/** A file of 16-bit numbers, put together by hand; `tensors` hold what such numbers are. */
function halfFile(tensors: Tensors, dtype: 'BF16' | 'F16'): string {
  const path = freshPath();
  let end = 0;
  const header: Record<string, unknown> = {};
  const words: Uint16Array[] = [];
  for (const [name, { shape, data }] of tensors) {
    const begin = end;
    end += 2 * data.length;
    header[name] = { dtype, shape, data_offsets: [begin, end] };
    words.push(Uint16Array.from(data, (value) => (dtype === 'BF16' ? bitsOf(value) >>> 16 : halfBits(value))));
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(path, Buffer.concat([length, text, ...words.map((part) => Buffer.from(part.buffer))]));
  return path;
}

const bitsOf = (value: number) => new Uint32Array(Float32Array.of(value).buffer)[0];
/** The nearest number of those with the upper 16 bits of a float32, and of those with 8 bits behind the point: both types hold them. */
const coarse = (value: number) => new Float32Array(Uint32Array.of((bitsOf(Math.round(value * 256) / 256) & 0xffff0000) >>> 0).buffer)[0];
/** Of a number that f16 holds, not smaller than its least normal one. */
function halfBits(value: number): number {
  if (value === 0) return 0;
  const exponent = Math.floor(Math.log2(Math.abs(value)));
  return (value < 0 ? 0x8000 : 0) | ((exponent + 15) << 10) | ((Math.abs(value) / 2 ** exponent - 1) * 1024);
}

let seed = 0;
const random = (shape: number[], scale = 0.3): Tensor => ({ shape, data: randomArray(shape, ++seed, scale) });
const near = (level: number, shape: number[]): Tensor => ({ shape, data: randomArray(shape, ++seed, 0.3).map((value) => level + value) });

const SIZES = { image: 16, channels: 1, patch: 2, width: 24, heads: 3, depth: 4 };
const OPTIONS: ModelOptions = { classes: 5, width: 0.125, dropout: 0 };

/** A vision transformer of random weights under timm's names, for colours or grey, and positions of that many places a side. */
function timm({ channels = 1, side = 8, classes = 5 } = {}): Tensors {
  const { width, depth, patch } = SIZES;
  const tensors: Tensors = new Map([
    ['cls_token', random([1, 1, width])],
    ['pos_embed', random([1, 1 + side * side, width])],
    ['patch_embed.proj.weight', random([width, channels, patch, patch])],
    ['patch_embed.proj.bias', random([width])],
    ['norm.weight', near(1, [width])],
    ['norm.bias', random([width])],
    ['head.weight', random([classes, width], 1)],
    ['head.bias', random([classes])],
  ]);
  const layer = (name: string, outputs: number, inputs: number) => {
    tensors.set(`${name}.weight`, random([outputs, inputs]));
    tensors.set(`${name}.bias`, random([outputs]));
  };
  for (let index = 0; index < depth; index++) {
    for (const name of ['norm1', 'norm2']) {
      tensors.set(`blocks.${index}.${name}.weight`, near(1, [width]));
      tensors.set(`blocks.${index}.${name}.bias`, random([width]));
    }
    layer(`blocks.${index}.attn.qkv`, 3 * width, width);
    layer(`blocks.${index}.attn.proj`, width, width);
    layer(`blocks.${index}.mlp.fc1`, 4 * width, width);
    layer(`blocks.${index}.mlp.fc2`, width, 4 * width);
  }
  return tensors;
}

/** The same network under the names that Hugging Face's ViTForImageClassification gives it. */
function huggingFace(tensors: Tensors): Tensors {
  const names: [RegExp, string][] = [
    [/^cls_token/, 'vit.embeddings.cls_token'],
    [/^pos_embed/, 'vit.embeddings.position_embeddings'],
    [/^patch_embed\.proj/, 'vit.embeddings.patch_embeddings.projection'],
    [/^norm\b/, 'vit.layernorm'],
    [/^head/, 'classifier'],
    [/^blocks\.(\d+)/, 'vit.encoder.layer.$1'],
    [/norm1/, 'layernorm_before'],
    [/norm2/, 'layernorm_after'],
    [/attn\.proj/, 'attention.output.dense'],
    [/mlp\.fc1/, 'intermediate.dense'],
    [/mlp\.fc2/, 'output.dense'],
  ];
  const renamed: Tensors = new Map();
  for (const [name, tensor] of tensors) {
    const theirs = names.reduce((text, [from, to]) => text.replace(from, to), name);
    if (!name.includes('qkv')) renamed.set(theirs, tensor);
    else {
      ['query', 'key', 'value'].forEach((part, i) => {
        const rows = tensor.data.length / 3;
        const data = tensor.data.slice(i * rows, (i + 1) * rows);
        renamed.set(theirs.replace('attn.qkv', `attention.attention.${part}`), {
          shape: [tensor.shape[0] / 3, ...tensor.shape.slice(1)],
          data,
        });
      });
    }
  }
  return renamed;
}

/** ResNet-18 of an eighth of the channels and random weights, under torchvision's names. */
function torchvision({ channels = 3 } = {}): Tensors {
  const tensors: Tensors = new Map();
  const convolution = (name: string, outputs: number, inputs: number, kernel: number) =>
    tensors.set(`${name}.weight`, random([outputs, inputs, kernel, kernel], 2 / Math.sqrt(inputs * kernel * kernel)));
  const norm = (name: string, width: number) => {
    tensors.set(`${name}.weight`, near(1, [width]));
    tensors.set(`${name}.bias`, random([width]));
    tensors.set(`${name}.running_mean`, random([width]));
    tensors.set(`${name}.running_var`, near(1, [width]));
  };
  convolution('conv1', 8, channels, 7);
  norm('bn1', 8);
  let inputs = 8;
  [8, 16, 32, 64].forEach((width, stage) => {
    for (const index of [0, 1]) {
      const name = `layer${stage + 1}.${index}`;
      convolution(`${name}.conv1`, width, inputs, 3);
      norm(`${name}.bn1`, width);
      convolution(`${name}.conv2`, width, width, 3);
      norm(`${name}.bn2`, width);
      if (width !== inputs) {
        convolution(`${name}.downsample.0`, width, inputs, 1);
        norm(`${name}.downsample.1`, width);
      }
      inputs = width;
    }
  });
  tensors.set('fc.weight', random([5, 64]));
  tensors.set('fc.bias', random([5]));
  return tensors;
}

const CLASSES = ['a', 'b', 'c', 'd', 'e'];

interface Network {
  model?: ModelName;
  size?: number;
  channels?: number;
  options?: Partial<ModelOptions>;
  classes?: readonly string[];
}

/** A network that begins with the weights of a file: what it says of `faces`, its values, and what is told of the file. */
async function begun(gpu: Gpu, path: string, faces: Float32Array, network: Network = {}) {
  const { model = 'vit', size = 16, channels = 1, options = {}, classes = CLASSES } = network;
  const pretrained = await readPretrained(path);
  const tape = new Tape(gpu);
  const parameters = Parameters.create();
  const input = tape.input('faces', [faces.length / (size * size * channels), size, size, channels]);
  const logits = models[model]({ tape, parameters, path: '' }, input, { ...OPTIONS, classes: classes.length, ...options });
  const shapes = new Map([...parameters.entries].map(([name, { tensor }]) => [name, tensor]));
  const { values, notes } = firstWeights(pretrained, model, shapes, classes);
  const program = await Program.compile(gpu, tape, { keep: [logits] });
  try {
    parameters.initialise(gpu, (stream, index) => normal(1, stream, index));
    parameters.writeSome(gpu, values);
    program.write(input, faces);
    program.run();
    return { logits: (await program.read(logits)) as Float32Array, weights: await parameters.read(gpu), notes };
  } finally {
    program.destroy();
    parameters.destroy(gpu);
  }
}

function timmLogits(tensors: Tensors, faces: Float32Array, pooling: 'token' | 'mean' = 'token', sizes = SIZES): number[] {
  const extent = sizes.image ** 2 * sizes.channels;
  return Array.from({ length: faces.length / extent }, (_, face) =>
    visionTransformer(faces.subarray(face * extent, (face + 1) * extent), (name) => tensors.get(name)!.data, sizes, pooling),
  ).flat();
}

const CLOSE = { relative: 1e-4, absolute: 2e-5 };
const FACES = randomArray([3, 16, 16, 1], 77, 2);

gpuSuite('first weights of published networks', (test) => {
  test("timm's give timm's logits", async (gpu) => {
    const tensors = timm();
    const { logits, notes } = await begun(gpu, await fileOf(tensors), FACES);
    assertClose(logits, timmLogits(tensors, FACES), CLOSE);
    assert.match(notes[0], /^first weights: 56 tensors of .*\.safetensors, by the names of timm$/);
    assert.is(notes.length, 1);
  });

  test("Hugging Face's give the same, with or without what stands before their names", async (gpu) => {
    const tensors = timm();
    const renamed = huggingFace(tensors);
    renamed.set('decoder.decoder_embed.weight', random([8, 24]));
    const { logits, notes } = await begun(gpu, await fileOf(renamed), FACES);
    assertClose(logits, timmLogits(tensors, FACES), CLOSE);
    assert.equal(notes.slice(1), ['left there: decoder.decoder_embed.weight']);
    const bare = new Map([...renamed].map(([name, tensor]) => [name.replace(/^vit\./, ''), tensor]));
    assert.equal((await begun(gpu, await fileOf(bare), FACES)).logits, logits);
  });

  test('16-bit files of both kinds are read as the numbers that they hold', async (gpu) => {
    const tensors = new Map([...timm()].map(([name, { shape, data }]) => [name, { shape, data: data.map(coarse) }]));
    const { logits } = await begun(gpu, await fileOf(tensors), FACES);
    assertClose(logits, timmLogits(tensors, FACES), CLOSE);
    for (const dtype of ['BF16', 'F16'] as const) assert.equal((await begun(gpu, halfFile(tensors, dtype), FACES)).logits, logits);
  });

  test('the mean of the tokens is normed by fc_norm, which may be new', async (gpu) => {
    const options = { pooling: 'mean' } as const;
    const tensors = timm();
    const { logits, notes } = await begun(gpu, await fileOf(tensors), FACES, { options });
    tensors.set('fc_norm.weight', { shape: [24], data: new Float32Array(24).fill(1) });
    tensors.set('fc_norm.bias', { shape: [24], data: new Float32Array(24) });
    assertClose(logits, timmLogits(tensors, FACES, 'mean'), CLOSE);
    assert.equal(notes.slice(1), ['left there: norm.weight, norm.bias', 'begin at random: fc_norm.scale, fc_norm.shift']);
    tensors.set('fc_norm.weight', near(1, [24]));
    tensors.delete('norm.weight');
    tensors.delete('norm.bias');
    const path = await fileOf(tensors);
    assertClose((await begun(gpu, path, FACES, { options })).logits, timmLogits(tensors, FACES, 'mean'), CLOSE);
    await rejects(() => begun(gpu, path, FACES), RunError, path, 'norm.weight', '--pooling');
  });

  test('grey faces see what they would in colour', async (gpu) => {
    const tensors = timm({ channels: 3 });
    const inColour = FACES.length;
    const colours = Float32Array.from({ length: 3 * inColour }, (_, i) => FACES[Math.floor(i / 3)]);
    const path = await fileOf(tensors);
    const wanted = timmLogits(tensors, colours, 'token', { ...SIZES, channels: 3 });
    const grey = await begun(gpu, path, FACES);
    assertClose(grey.logits, wanted, CLOSE);
    assert.equal(grey.notes.slice(1), ['patches.weight: colours summed for grey faces']);
    assertClose((await begun(gpu, path, colours, { channels: 3 })).logits, wanted, CLOSE);
  });

  test('positions are resampled to the grid of the faces, the class token keeps its own', async (gpu) => {
    const tensors = timm({ side: 5 });
    const { logits, notes } = await begun(gpu, await fileOf(tensors), FACES);
    const { data } = tensors.get('pos_embed')!;
    const grid = resampled(data.subarray(24), { from: 5, to: 8, width: 24 });
    const resized = new Map(tensors).set('pos_embed', { shape: [1, 65, 24], data: Float32Array.of(...data.subarray(0, 24), ...grid) });
    assertClose(logits, timmLogits(resized, FACES), CLOSE);
    assert.equal(notes.slice(1), ['positions: 5×5 places to 8×8, bicubic']);
  });

  test('a last layer for other classes begins anew', async (gpu) => {
    const { notes, weights } = await begun(gpu, await fileOf(timm({ classes: 10 })), FACES);
    assert.equal(notes.slice(1), ['left there: head.weight, head.bias', 'begin at random: head.weight, head.bias']);
    assert.equal(weights.get('head.bias')!.data, new Float32Array(5));
  });

  test("torchvision's ResNet-18 gives torchvision's logits, and begins anew with the layer that small faces have instead", async (gpu) => {
    const tensors = torchvision();
    tensors.set('bn1.num_batches_tracked', random([1]));
    const path = await fileOf(tensors);
    const faces = randomArray([2, 96, 96, 1], 78, 1);
    const network = { model: 'resnet18', size: 96 } as const;
    const { logits, notes } = await begun(gpu, path, faces, network);
    const wanted = [0, 1].flatMap((face) => {
      const grey = faces.subarray(face * 96 * 96, (face + 1) * 96 * 96);
      const data = Array.from(grey).flatMap((value) => [value, value, value]);
      return resnet18({ side: 96, channels: 3, data }, (name) => tensors.get(name)!);
    });
    assertClose(logits, wanted, CLOSE);
    assert.equal(notes.slice(1), ['stem.conv.weight: colours summed for grey faces']);
    const small = await begun(gpu, path, FACES, { model: 'resnet18' });
    assert.match(small.notes[1], /^left there: conv1\.weight, bn1\.weight, bn1\.bias, bn1\.running_mean, bn1\.running_var$/);
    assert.match(small.notes[2], /^begin at random: stem\.conv\.weight, stem\.norm/);
    assert.equal(small.weights.get('stem.norm.scale')!.data, new Float32Array(8).fill(1));
  });

  test('our own names: a file of an encoder, and a run with its averaged weights', async (gpu) => {
    const { weights } = await begun(gpu, await fileOf(timm()), FACES);
    const state = { model: 'vit', modelOptions: {}, classes: CLASSES, seed: 0, epoch: 0, step: 0 };
    const average = new Map([...weights].map(([name, { shape, data }]) => [name, { shape, data: data.map((value) => value + 1) }]));
    const [run, pretraining] = [join(folder, 'run'), join(folder, 'pretraining')];
    for (const path of [run, pretraining]) {
      mkdirSync(path);
      writeFileSync(join(path, 'config.json'), '{}');
    }
    await saveCheckpoint(join(run, 'best.safetensors'), { weights, average, optimizer: new Map(), kept: new Map(), state });
    const ofRun = await begun(gpu, run, FACES);
    for (const [name, { data }] of ofRun.weights) assert.equal(data, average.get(name)!.data);
    const strangers = await begun(gpu, run, FACES, { classes: ['e', 'd', 'c', 'b', 'a'] });
    assert.equal(strangers.notes.slice(1), ['left there: head.weight, head.bias', 'begin at random: head.weight, head.bias']);

    const encoder = new Map([...weights].filter(([name]) => !name.startsWith('head')));
    const tensors = new Map(
      [...encoder].map(([name, { shape, data }]) => [name, { dtype: 'F32' as const, shape, data: data as Float32Array }]),
    );
    await writeSafetensors(join(pretraining, 'encoder.safetensors'), tensors);
    const ofEncoder = await begun(gpu, pretraining, FACES);
    for (const [name, { data }] of encoder) assert.equal(ofEncoder.weights.get(name)!.data, data);
    assert.equal(ofEncoder.notes.slice(1), ['begin at random: head.weight, head.bias']);
  });

  test('what cannot be made to fit is refused by name, with what to do', async (gpu) => {
    const refused = async (tensors: Tensors, network: Network, ...parts: (string | RegExp)[]) => {
      const path = await fileOf(tensors);
      await rejects(() => begun(gpu, path, FACES, network), RunError, path, ...parts);
    };
    const without = (name: string) => new Map([...timm()].filter(([other]) => other !== name));
    await refused(without('blocks.1.attn.qkv.bias'), {}, 'blocks.1.attn.qkv.bias', 'block2.attention.qkv.bias');
    await refused(timm(), { options: { patch: 4 } }, 'patch_embed.proj.weight', '--patch 2');
    await refused(timm(), { model: 'small' }, 'timm', 'not small', 'Give one of the size of');
    await refused(timm(), { model: 'vit-tiny' }, '4 blocks of width 24', 'not vit-tiny');
    await refused(timm(), { options: { width: 0.25 } }, '4 blocks of width 24', 'not vit');
    await refused(torchvision(), {}, 'torchvision', '--model resnet18');
    await refused(new Map(timm()).set('blocks.0.ls1.gamma', random([24])), {}, 'blocks.0.ls1.gamma', 'no place in vit');
    await refused(new Map([['weight', random([3])]]), { model: 'small' }, 'stem.conv.weight');
    const large = new Map(timm()).set('pos_embed', random([1, 67, 24]));
    await refused(large, {}, 'pos_embed', '[1,67,24]', 'positions [1,65,24]');
    const tiny = new Map([...timm()].map(([name, tensor]) => [name.replace(/^blocks\.3/, 'blocks.11'), tensor] as const));
    tiny.set('patch_embed.proj.weight', random([192, 1, 2, 2]));
    await refused(tiny, {}, '12 blocks of width 192', '--model vit-tiny');
    await rejects(() => readPretrained(join(folder, 'nowhere.safetensors')), RunError, 'nowhere.safetensors', 'does not exist');
  });
});

suite('resampled positions', (test) => {
  test('the same size leaves them as they are', () => {
    const data = randomArray([25, 3], 5);
    assertClose(resampled(data, { from: 5, to: 5, width: 3 }), data);
  });

  test('what is the same everywhere stays, and slopes stay slopes away from the border', () => {
    for (const [from, to] of [
      [12, 6],
      [6, 14],
      [7, 8],
    ]) {
      const slope = Float32Array.from({ length: from * from * 2 }, (_, i) =>
        i % 2 === 0 ? 3 : (Math.floor(i / 2) % from) + 10 * Math.floor(i / 2 / from),
      );
      const result = resampled(slope, { from, to, width: 2 });
      const border = Math.ceil((2 * Math.max(1, from / to)) / (from / to));
      for (let row = 0; row < to; row++) {
        for (let column = 0; column < to; column++) {
          const [same, sloping] = result.subarray((row * to + column) * 2);
          assertClose([same], [3]);
          if (Math.min(row, column) < border || Math.max(row, column) >= to - border) continue;
          const at = (place: number) => ((place + 0.5) * from) / to - 0.5;
          assertClose([sloping], [at(column) + 10 * at(row)]);
        }
      }
    }
  });

  test('halving and doubling have the weights of the kernel', () => {
    // Halved, a new place lies between two old ones: the kernel at 1/4, 3/4, 5/4 and 7/4, of either side, by their sum.
    const impulse = (size: number, place: number) => Float32Array.from({ length: size * size }, (_, i) => (i % size === place ? 1 : 0));
    const row = (from: number, to: number, place: number) => [...resampled(impulse(from, place), { from, to, width: 1 })].slice(0, to);
    const [near, mid, far, edge] = [0.8671875, 0.2265625, -0.0703125, -0.0234375];
    const sum = 2 * (near + mid + far + edge);
    assertClose([row(16, 8, 8)[3], row(16, 8, 8)[4], row(16, 8, 8)[5]], [mid / sum, near / sum, far / sum], { absolute: 1e-7 });
    assertClose([row(16, 8, 8)[2]], [0], { absolute: 0.02 });
    // Doubled, at 1/4 and 3/4, 5/4 and 7/4 of a place.
    const doubled = row(8, 16, 4);
    assertClose(doubled.slice(5, 13), [edge, far, mid, near, near, mid, far, edge], { absolute: 1e-7 });
  });
});
