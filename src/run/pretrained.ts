/**
 * First weights of a network from a .safetensors file: by our own names, by those of timm and Hugging Face for vision transformers (ViT, DeiT, ViT-MAE), and by those
 * of torchvision for ResNet-18. Their convolutions are OIHW, their dense weights [out, in].
 */
import { existsSync, statSync } from 'node:fs';
import { RunError } from '../errors.js';
import type { ModelName } from '../nn/models.js';
import { isVisionTransformer, VISION_TRANSFORMERS } from '../nn/vision-transformer.js';
import { AUXILIARY, PROBE } from '../paradigms/student.js';
import { evaluatedWeights, listed, loadCheckpoint } from './checkpoint.js';
import { RunFolder } from './run-folder.js';
import { readSafetensors } from './safetensors.js';

interface Values {
  shape: readonly number[];
  data: Float32Array;
}

export interface Pretrained {
  /** Of the file. */
  path: string;
  tensors: ReadonlyMap<string, Values>;
  /** Those that its last layer tells, where it is known. */
  classes: readonly string[] | undefined;
}

/** The weights of a network that were found in a file, and what to tell of it. */
export interface FirstWeights {
  values: ReadonlyMap<string, Values>;
  notes: readonly string[];
}

/** How a library names the tensors of a network. */
interface Naming {
  library: string;
  /** Ends the name of a tensor that every file with this network has; what stands before it stands before all others. */
  landmark: string;
  isOf(model: ModelName): boolean;
  /** Parts of our names, and what stands for them there. */
  parts: readonly (readonly [ours: RegExp, theirs: string | ((...groups: string[]) => string)])[];
  /** Names of the blocks there: where one of their tensors is not known here, the network is another. */
  blocks: RegExp;
}

const minusOne = (_: string, number: string) => String(Number(number) - 1);

const NAMINGS: readonly Naming[] = [
  {
    library: 'timm',
    landmark: 'patch_embed.proj.weight',
    isOf: isVisionTransformer,
    parts: [
      [/^patches\b/, 'patch_embed.proj'],
      [/^class_token$/, 'cls_token'],
      [/^positions$/, 'pos_embed'],
      [/^block(\d+)/, (all, number) => `blocks.${minusOne(all, number)}`],
      [/\battention\.output\b/, 'attn.proj'],
      [/\battention\b/, 'attn'],
      [/\bmlp\.inner\b/, 'mlp.fc1'],
      [/\bmlp\.outer\b/, 'mlp.fc2'],
    ],
    blocks: /^blocks\./,
  },
  {
    library: 'Hugging Face',
    landmark: 'embeddings.patch_embeddings.projection.weight',
    isOf: isVisionTransformer,
    parts: [
      [/^patches\b/, 'embeddings.patch_embeddings.projection'],
      [/^class_token$/, 'embeddings.cls_token'],
      [/^positions$/, 'embeddings.position_embeddings'],
      [/^norm\b/, 'layernorm'],
      [/^block(\d+)/, (all, number) => `encoder.layer.${minusOne(all, number)}`],
      [/\bnorm1\b/, 'layernorm_before'],
      [/\bnorm2\b/, 'layernorm_after'],
      [/\battention\.output\b/, 'attention.output.dense'],
      [/\battention\.qkv\b/, 'attention.attention.{query,key,value}'],
      [/\bmlp\.inner\b/, 'intermediate.dense'],
      [/\bmlp\.outer\b/, 'output.dense'],
      [/^head\b/, 'classifier'],
    ],
    blocks: /^encoder\.layer\./,
  },
  {
    library: 'torchvision',
    landmark: 'layer1.0.conv1.weight',
    isOf: (model) => model === 'resnet18',
    parts: [
      [/^stem\.conv\b/, 'conv1'],
      [/^stem\.norm\b/, 'bn1'],
      [/^stage(\d+)\.block(\d+)/, (_, stage, block) => `layer${stage}.${Number(block) - 1}`],
      [/\bfirst\.conv\b/, 'conv1'],
      [/\bfirst\.norm\b/, 'bn1'],
      [/\bsecond\.conv\b/, 'conv2'],
      [/\bsecond\.norm\b/, 'bn2'],
      [/\bprojection\.conv\b/, 'downsample.0'],
      [/\bprojection\.norm\b/, 'downsample.1'],
      [/\brunning_variance$/, 'running_var'],
      [/^head\b/, 'fc'],
    ],
    blocks: /^layer\d\./,
  },
];

/** Parts of a network with our own names. */
const OWN_BLOCKS = /^(block|stage|group)\d/;
/** The first layer, which reads the channels of the faces. */
const FIRST_LAYER = /^(patches|stem\.conv|group1\.conv1)\.weight$/;
/** What may be new: the last layer, and the norm that is behind the mean of tokens alone. */
const MAY_BE_NEW = /^(head|fc_norm)\./;
/** What is no part of a network: of paradigms, and the statistics of a probe. What stands in files without being needed. */
const isAdded = (name: string) => name.startsWith(AUXILIARY) || name.startsWith(PROBE);
const COUNTERS = /\bnum_batches_tracked$/;

/**
 * Reads what `--from` names: a .safetensors file, the best checkpoint of a run with its averaged weights, where it has those, or what a pretraining run has left in
 * `encoder.safetensors`.
 * @throws RunError where there is no such file, or it is damaged
 */
export async function readPretrained(from: string): Promise<Pretrained> {
  const run = existsSync(from) && statSync(from).isDirectory() ? RunFolder.open(from) : undefined;
  const path = !run ? from : existsSync(run.encoderPath) ? run.encoderPath : run.existingCheckpoint('best');
  const { tensors, metadata } = await readSafetensors(path);
  if (metadata.format?.startsWith('moue checkpoint')) {
    const checkpoint = await loadCheckpoint(path);
    return { path, tensors: evaluatedWeights(checkpoint) as Pretrained['tensors'], classes: checkpoint.state.classes };
  }
  const numbers = new Map<string, Values>();
  for (const [name, { shape, data }] of tensors) {
    if (data instanceof Float32Array) numbers.set(name, { shape, data });
    else if (data instanceof Float64Array) numbers.set(name, { shape, data: Float32Array.from(data) });
  }
  return { path, tensors: numbers, classes: undefined };
}

/**
 * Finds the weights of `model` in a file, but for what a paradigm adds, and the last layer where it tells other classes. Weights of the first layer are summed over
 * the colours where faces are grey, positions resampled to the grid of the faces.
 * @param wanted the shapes of all that the network has, by name
 * @throws RunError naming the tensor where the file lacks one, has one that cannot be made to fit, or is of another network
 */
export function firstWeights(
  { path, tensors, classes: known }: Pretrained,
  model: ModelName,
  wanted: ReadonlyMap<string, { shape: readonly number[] }>,
  classes: readonly string[],
): FirstWeights {
  const naming = NAMINGS.find(({ landmark }) => [...tensors.keys()].some((name) => isNamed(name, landmark)));
  const prefix = naming ? prefixOf(naming, tensors) : '';
  const refuse = (problem: string, remedy: string, field?: string): never => {
    throw new RunError(problem, remedy, { file: path, field });
  };
  if (naming) requireNetwork(naming, prefix, tensors, model, wanted, refuse);
  const otherStem = isOtherStem(naming, prefix, tensors, wanted);

  const values = new Map<string, Values>();
  const used = new Set<string>();
  const changed: string[] = [];
  const left: string[] = [];
  for (const [name, { shape }] of wanted) {
    if (isAdded(name)) continue;
    const sources = theirNames(naming, name).map((source) => (tensors.has(prefix + source) ? prefix + source : source));
    const missing = sources.find((source) => !tensors.has(source));
    if (missing !== undefined) {
      if (MAY_BE_NEW.test(name)) continue;
      refuse(
        `is not there, and ${model} needs it${missing === name ? '' : ` as ${name}`}`,
        'Give a file of that --model, with the same --pooling.',
        missing,
      );
    }
    for (const source of sources) used.add(source);
    const found = sources.map((source) => tensors.get(source)!);
    const given = naming ? joined(found.map(outputsLast)) : found[0];
    const isOtherHead = name.startsWith('head.') && (known ? known.join() !== classes.join() : given.shape.at(-1) !== shape.at(-1));
    const fitted = fit(name, given, shape);
    if (isOtherHead || (otherStem && name.startsWith('stem.'))) left.push(...sources);
    else if (fitted) {
      values.set(name, fitted.values);
      if (fitted.change) changed.push(`${name}: ${fitted.change}`);
    } else {
      const remedy =
        name === 'patches.weight' && naming
          ? `Give --patch ${found[0].shape.at(-1)}.`
          : 'Give the --model, --width, --patch and --size of that network.';
      refuse(`is [${found[0].shape}], of which ${name} [${shape}] cannot be made`, remedy, sources[0]);
    }
  }
  if (values.size === 0) refuse(`has no weights of ${model}`, "Give a file with moue's, timm's, Hugging Face's or torchvision's names.");
  const rest = [...tensors.keys()].filter((name) => !used.has(name) && !COUNTERS.test(name));
  const unknown = rest.find((name) => (naming?.blocks ?? OWN_BLOCKS).test(name.slice(prefix.length)));
  if (unknown) refuse(`has no place in ${model}`, 'Give a file of that --model: another network gives other numbers.', unknown);
  const fresh = [...wanted.keys()].filter((name) => !values.has(name) && !name.startsWith(PROBE));
  return {
    values,
    notes: [
      `first weights: ${values.size} tensors of ${path}${naming ? `, by the names of ${naming.library}` : ''}`,
      ...changed,
      listed('left there', [...left, ...rest]),
      listed('begin at random', fresh),
    ].filter((note) => note !== undefined),
  };
}

function isNamed(name: string, landmark: string): boolean {
  return name === landmark || name.endsWith(`.${landmark}`);
}

function prefixOf({ landmark }: Naming, tensors: Pretrained['tensors']): string {
  const name = [...tensors.keys()].find((candidate) => isNamed(candidate, landmark))!;
  return name.slice(0, -landmark.length);
}

/** The tensors that our weight of that name is made of: several of them beside one another. */
function theirNames(naming: Naming | undefined, name: string): string[] {
  if (!naming) return [name];
  let theirs = name;
  for (const [ours, part] of naming.parts) theirs = theirs.replace(ours, part as string);
  theirs = theirs.replace(/\bscale$/, 'weight').replace(/\bshift$/, 'bias');
  const [all, alternatives] = /\{(.*)\}/.exec(theirs) ?? [];
  return all ? alternatives.split(',').map((part) => theirs.replace(all, part)) : [theirs];
}

type Refuse = (problem: string, remedy: string, field?: string) => never;

/** Refuses a file with another network than `model`, and names the one that it fits. */
function requireNetwork(
  { library, landmark, isOf }: Naming,
  prefix: string,
  tensors: Pretrained['tensors'],
  model: ModelName,
  wanted: ReadonlyMap<string, { shape: readonly number[] }>,
  refuse: Refuse,
): void {
  if (!landmark.includes('patch')) {
    if (!isOf(model)) refuse(`holds a ResNet by the names of ${library}, not ${model}`, 'Choose --model resnet18.');
    return;
  }
  const numbers = [...tensors.keys()].map((name) => /^(?:blocks|encoder\.layer)\.(\d+)\./.exec(name.slice(prefix.length))?.[1]);
  const theirs = {
    width: tensors.get(prefix + landmark)!.shape[0],
    blocks: 1 + Math.max(-1, ...numbers.map((number) => Number(number ?? -1))),
  };
  const ours = {
    width: wanted.get('class_token')?.shape.at(-1),
    blocks: [...wanted.keys()].filter((name) => /^block\d+\.norm1\.scale$/.test(name)).length,
  };
  if (isOf(model) && theirs.width === ours.width && theirs.blocks === ours.blocks) return;
  const fitting = Object.entries(VISION_TRANSFORMERS).find(
    ([, size]) => size.headWidth * size.heads === theirs.width && size.depth === theirs.blocks,
  );
  refuse(
    `holds a vision transformer of ${theirs.blocks} blocks of width ${theirs.width} by the names of ${library}, not ${model}`,
    fitting ? `Choose --model ${fitting[0]}, without --width.` : `Give one of the size of ${Object.keys(VISION_TRANSFORMERS).join(', ')}.`,
  );
}

/** Whether the first convolution is of another size there, as that of ResNet-18 is for small faces: then the first layer begins anew. */
function isOtherStem(
  naming: Naming | undefined,
  prefix: string,
  tensors: Pretrained['tensors'],
  wanted: ReadonlyMap<string, { shape: readonly number[] }>,
): boolean {
  const name = 'stem.conv.weight';
  const theirs = tensors.get(prefix + theirNames(naming, name)[0]);
  const ours = wanted.get(name);
  return theirs !== undefined && ours !== undefined && theirs.shape[naming ? 2 : 0] !== ours.shape[0];
}

/** [O, I, …] → […, I, O] of what has an input axis: OIHW → HWIO, [out, in] → [in, out]. */
function outputsLast({ shape, data }: Values): Values {
  if (shape.length !== 2 && shape.length !== 4) return { shape, data };
  const [outputs, inputs, ...places] = shape;
  const count = places.reduce((product, extent) => product * extent, 1);
  const turned = new Float32Array(data.length);
  let from = 0;
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) for (let place = 0; place < count; place++) turned[(place * inputs + i) * outputs + o] = data[from++];
  }
  return { shape: [...places, inputs, outputs], data: turned };
}

/** Tensors beside one another along their last axis. */
function joined(parts: readonly Values[]): Values {
  const [{ shape, data: first }] = parts;
  if (parts.length === 1) return parts[0];
  const width = shape.at(-1)!;
  const data = new Float32Array(parts.length * first.length);
  parts.forEach((part, index) => {
    for (let row = 0; row * width < first.length; row++)
      data.set(part.data.subarray(row * width, (row + 1) * width), (row * parts.length + index) * width);
  });
  return { shape: [...shape.slice(0, -1), parts.length * width], data };
}

/** The tensor in the shape that is wanted, and what was done to it; undefined where it does not fit. */
function fit(name: string, given: Values, shape: readonly number[]): { values: Values; change?: string } | undefined {
  const width = shape.at(-1)!;
  const rowsOf = (data: { length: number }) => data.length / width;
  const wantedRows = shape.reduce((product, extent) => product * extent, 1) / width;
  if (given.shape.at(-1) !== width) return undefined;
  if (name === 'positions') {
    const [from, to] = [rowsOf(given.data), wantedRows].map((rows) => Math.sqrt(rows - 1));
    if (given.data.length === wantedRows * width) return { values: { shape, data: given.data } };
    if (!Number.isInteger(from)) return undefined;
    const data = new Float32Array(wantedRows * width);
    data.set(given.data.subarray(0, width));
    data.set(resampled(given.data.subarray(width), { from, to, width }), width);
    return { values: { shape, data }, change: `${from}×${from} places to ${to}×${to}, bicubic` };
  }
  const ratio = rowsOf(given.data) / wantedRows;
  if (FIRST_LAYER.test(name) && ratio === 3)
    return { values: { shape, data: summed(given.data, width) }, change: 'colours summed for grey faces' };
  // Rows of a convolution and of patches lie alike: pixel by pixel, of each its channels.
  const alike = name === 'patches.weight' ? ratio === 1 : given.shape.join() === shape.join();
  return alike ? { values: { shape, data: given.data } } : undefined;
}

/** Each three rows of so many numbers summed to one: what grey faces in colour would have given. */
function summed(data: Float32Array, width: number): Float32Array {
  return Float32Array.from({ length: data.length / 3 }, (_, i) => {
    const first = Math.floor(i / width) * 3 * width + (i % width);
    return data[first] + data[first + width] + data[first + 2 * width];
  });
}

/**
 * A map [from, from, width] in another size, [to, to, width]: bicubic with a = −1/2 (Keys 1981), its kernel widened where the map shrinks, as timm resamples positions
 * (torch's interpolate with antialias).
 */
export function resampled(data: Float32Array, { from, to, width }: { from: number; to: number; width: number }): Float32Array {
  const weights = bicubicWeights(from, to);
  const along = (values: Float32Array, outer: number, inner: number): Float32Array => {
    const output = new Float32Array(outer * to * inner);
    for (let o = 0; o < outer; o++) {
      for (let row = 0; row < to; row++) {
        for (let i = 0; i < inner; i++) {
          let sum = 0;
          for (const [place, weight] of weights[row]) sum += weight * values[(o * from + place) * inner + i];
          output[(o * to + row) * inner + i] = sum;
        }
      }
    }
    return output;
  };
  return along(along(data, 1, from * width), to, width);
}

/** Of each new place the old ones that it is made of, with their weights, which sum to 1. */
function bicubicWeights(from: number, to: number): [place: number, weight: number][][] {
  const step = from / to;
  const stretch = Math.max(1, step);
  return Array.from({ length: to }, (_, row) => {
    const centre = (row + 0.5) * step;
    const first = Math.max(0, Math.floor(centre - 2 * stretch + 0.5));
    const end = Math.min(from, Math.floor(centre + 2 * stretch + 0.5));
    const places = Array.from({ length: end - first }, (_, i) => first + i);
    const weights = places.map((place) => keys((place + 0.5 - centre) / stretch));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return places.map((place, i): [number, number] => [place, weights[i] / sum]);
  });
}

/** The cubic convolution kernel (Keys 1981, eq. 4) with a = −1/2. */
function keys(x: number): number {
  const d = Math.abs(x);
  if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
  return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
}
