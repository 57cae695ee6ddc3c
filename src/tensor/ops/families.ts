import { DeviceError } from '../../errors.js';
import { type AdapterSummary, type Gpu, MOST_TEXTURE_BYTES, type Tuning } from '../../gpu/gpu.js';
import type { Tensor } from '../tensor.js';

/** The operators that have kernels of several families. */
export type Product = 'matmul' | 'conv2d_forward' | 'conv2d_backward_input' | 'conv2d_backward_weight';

/**
 * How a product is computed: `outer-product` within one subgroup (shaders/matmul.wgsl), `tiled` through workgroup memory (shaders/lib/tile.wgsl), or
 * `direct`, a few results a thread, which takes any sizes on any adapter.
 */
export type Family = 'outer-product' | 'tiled' | 'direct';

/** Constants of shaders/lib/tile.wgsl. */
export type Tile = Record<'TILE_M' | 'TILE_N' | 'TILE_K' | 'THREAD_M' | 'THREAD_N', number>;

/**
 * `winograd: false` keeps an outer product from the detour of winograd.ts where that seems shorter; `texture` has the right side of large ones read from a
 * texture.
 */
export type Choice =
  | { family: 'outer-product'; winograd?: boolean; texture?: boolean }
  | { family: 'tiled'; tile: Tile }
  | { family: 'direct' };

export const PRODUCTS: readonly Product[] = ['matmul', 'conv2d_forward', 'conv2d_backward_input', 'conv2d_backward_weight'];

/** A choice as it fits the adapter: the tile's sides, threads of a workgroup, and constants for the shader. */
export interface Kernel {
  family: Family;
  rows: number;
  columns: number;
  threads: number;
  constants: Record<string, number>;
  /** Whether a convolution may go by winograd.ts instead, where that is shorter. */
  winograd: boolean;
  /** Whether the right side of a large product is copied into a texture first, from which it is loaded faster than from a buffer. */
  texture: boolean;
}

/** Sizes of a product: `count` matrices of [rows, depth] · [depth, columns]; the parts of sums that may be divided count as well. */
export interface ProductSize {
  rows: number;
  columns: number;
  depth: number;
  count: number;
}

type AdapterClass = 'software' | 'nvidia' | 'amd' | 'intel' | 'apple' | 'unknown';

const tile = (TILE_M: number, TILE_N: number, TILE_K: number, THREAD_M: number, THREAD_N: number): Choice => {
  return { family: 'tiled', tile: { TILE_M, TILE_N, TILE_K, THREAD_M, THREAD_N } };
};

/** Largest first: the first that suits a product's size is taken, the last where none does. */
const WIDE_REGISTERS = [
  tile(128, 128, 16, 8, 8),
  tile(128, 128, 8, 8, 8),
  tile(64, 64, 16, 8, 8),
  tile(128, 32, 16, 8, 4),
  tile(32, 32, 16, 4, 4),
];
const FEW_REGISTERS = [tile(64, 64, 16, 4, 8), tile(128, 32, 16, 8, 4), tile(32, 32, 16, 4, 4)];

/**
 * What an adapter gets that was not tuned. Software adapters compute workgroup memory as slowly as any other, and have no use for it; they check every
 * number loaded from a buffer by itself, and every texel but once.
 */
const DEFAULTS: Record<AdapterClass, Choice[]> = {
  software: [{ family: 'outer-product', texture: true }, { family: 'direct' }],
  nvidia: WIDE_REGISTERS,
  amd: WIDE_REGISTERS,
  apple: FEW_REGISTERS,
  intel: FEW_REGISTERS,
  unknown: FEW_REGISTERS,
};

/**
 * Tokens from which attention is fused where nothing else is tuned: on GPUs where the weights begin to outweigh what they are made of, by reckoning and not yet
 * measured. A processor hands numbers round in registers several times as fast as in workgroup memory, whatever traffic that saves.
 */
const FUSED_TOKENS: Record<AdapterClass, number> = { software: Infinity, nvidia: 128, amd: 128, apple: 128, intel: 128, unknown: 128 };

/** What a tuner tries for every product. */
export const CANDIDATES: readonly Choice[] = [
  { family: 'direct' },
  { family: 'outer-product' },
  { family: 'outer-product', texture: true },
  ...WIDE_REGISTERS,
  ...FEW_REGISTERS.filter((choice) => !WIDE_REGISTERS.includes(choice)),
];

/** How attention is computed: `fused`, by kernels that keep no matrix of weights, or by `products` with a softmax between them. */
export type AttentionForm = 'fused' | 'products';

/** What makes an operator use the kernel of that name (`conv2d_forward`, `matmul_tiled`, …) wherever it takes the sizes. */
export function tuningFor(shader: string): Tuning {
  if (shader.startsWith('attention')) return { attention: { family: 'fused' } };
  const product = PRODUCTS.find((name) => shader.startsWith(name));
  if (!product) return {};
  if (shader.endsWith('_direct')) return { [product]: { family: 'direct' } };
  if (shader.endsWith('_tiled')) return { [product]: FEW_REGISTERS[0] };
  return { [product]: { family: 'outer-product', winograd: false, texture: true } };
}

/** Workgroups below which a smaller tile is better than an adapter half idle. */
const ENOUGH_GROUPS = 256;
/** Multiply-adds below which an outer product takes longer to compile, a third of a second a form, than it will ever save. */
const WORTH_COMPILING = 2 ** 19;
/** Threads that keep an adapter evenly busy, or for a processor, with its few cores, workgroups. */
const BUSY = { processorGroups: 32, gpuThreads: 131_072 };

export function adapterClass({ isFallback, vendor }: AdapterSummary): AdapterClass {
  if (isFallback) return 'software';
  const known = (['nvidia', 'amd', 'intel', 'apple'] as const).find((name) => vendor.toLowerCase() === name);
  return known ?? 'unknown';
}

/** Products of one class are tuned as one: sizes within the same power of two, the name under which `gpu.tuning` keeps their kernel. */
export function productClass(product: Product, { rows, columns, depth, count }: ProductSize): string {
  const [m, n, k, times] = [rows, columns, depth, count].map((extent) => 2 ** Math.ceil(Math.log2(extent)));
  return `${product} ${times}x${m}x${n}x${k}`;
}

/**
 * The kernel for a product: the tuned one of its class, else the tuned one of all such products, else the adapter's default; of those, the first that
 * takes the sizes (`families` says which do) and that the adapter can run.
 * @throws DeviceError where the tuning names no kernel.
 */
export function kernelFor(gpu: Gpu, product: Product, size: ProductSize, families: readonly Family[]): Kernel {
  const defaults = DEFAULTS[adapterClass(gpu.adapter)];
  const runnable = (choices: (Choice | undefined)[]) =>
    choices.flatMap((choice) => (choice && families.includes(choice.family) ? (kernelOf(gpu, choice) ?? []) : []));
  const tuned = runnable([productClass(product, size), product].map((name) => tunedChoice(gpu, name)));
  const usual = runnable(defaults);
  return tuned[0] ?? usual.find((kernel) => suits(kernel, size)) ?? usual.at(-1) ?? DIRECT;
}

/** The form of attention over so many tokens, with so many bytes of weights a head: the tuned one, else the adapter's default. */
export function attentionForm(gpu: Gpu, { tokens, headBytes }: { tokens: number; headBytes: number }): AttentionForm {
  if (headBytes > gpu.limits.maxStorageBufferBindingSize) return 'fused';
  const family = gpu.tuning.attention?.family;
  if (family === 'fused' || family === 'products') return family;
  return tokens >= FUSED_TOKENS[adapterClass(gpu.adapter)] ? 'fused' : 'products';
}

/** What is tuned under a name: it comes from a file, in which anything may stand. */
function tunedChoice(gpu: Gpu, name: string): Choice | undefined {
  const choice = gpu.tuning[name] as Choice | undefined;
  if (!choice || choice.family === 'outer-product' || choice.family === 'direct') return choice;
  const { TILE_M = 0, TILE_N = 0, TILE_K = 0, THREAD_M = 0, THREAD_N = 0 } = choice.tile ?? {};
  // Anything else compiles, and computes something else.
  const isWhole = [TILE_M / THREAD_M, TILE_N / THREAD_N, TILE_K / 4, THREAD_M / 4, THREAD_N / 4].every(
    (ratio) => Number.isInteger(ratio) && ratio > 0,
  );
  if (choice.family === 'tiled' && isWhole) return choice;
  throw new DeviceError(
    `the tuning for '${name}' names no kernel: ${JSON.stringify(choice)}`,
    'Remove the tuning-….json of this adapter from ~/.cache/moue, and run tools/tune again.',
  );
}

const DIRECT: Kernel = { family: 'direct', rows: 4, columns: 4, threads: 64, constants: {}, winograd: false, texture: false };

/** Undefined where the adapter cannot run it: subgroups missing or of varying size, too many threads, or too little workgroup memory. */
function kernelOf(gpu: Gpu, choice: Choice): Kernel | undefined {
  if (choice.family === 'direct') return DIRECT;
  if (choice.family === 'outer-product') {
    const { hasSubgroups, subgroupMinSize: lanes, subgroupMaxSize } = gpu.adapter;
    if (!hasSubgroups || lanes !== subgroupMaxSize || ![4, 8, 16, 32].includes(lanes)) return undefined;
    // More rows save loads, and spill registers: 24 is the fastest of 8, 16, 24, 32 and 40 on llvmpipe's 8 lanes.
    const rows = lanes > 8 ? 32 : 24;
    const constants = { SUBGROUP: lanes, ROWS: rows };
    const { winograd = true, texture = false } = choice;
    return { family: 'outer-product', rows, columns: 4 * lanes, threads: lanes, constants, winograd, texture };
  }
  const { TILE_M, TILE_N, TILE_K, THREAD_M, THREAD_N } = choice.tile;
  const threads = (TILE_M / THREAD_M) * (TILE_N / THREAD_N);
  const bytes = (TILE_M + TILE_N) * (TILE_K / 4 + 1) * 16;
  const { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupStorageSize } = gpu.limits;
  if (threads > maxComputeInvocationsPerWorkgroup || bytes > maxComputeWorkgroupStorageSize) return undefined;
  return { family: 'tiled', rows: TILE_M, columns: TILE_N, threads, constants: { ...choice.tile }, winograd: false, texture: false };
}

/** Whether the product is worth its kernel: no side leaves half of a tile empty, and there are tiles enough for the whole adapter. */
function suits(kernel: Kernel, { rows, columns, depth, count }: ProductSize): boolean {
  if (kernel.family === 'direct') return true;
  if (kernel.family === 'outer-product') return rows * columns * depth * count >= WORTH_COMPILING;
  const groups = Math.ceil(rows / kernel.rows) * Math.ceil(columns / kernel.columns) * count;
  return rows > kernel.rows / 2 && columns > kernel.columns / 2 && groups >= ENOUGH_GROUPS;
}

/** Whether a kernel can read an operand from a texture. */
export function fitsTexture({ texture }: Kernel, { dtype, bytes }: Tensor): boolean {
  return texture && dtype === 'f32' && bytes <= MOST_TEXTURE_BYTES;
}

/**
 * Into how many parts a long sum is divided when `groups` workgroups of so many threads are all that its results make: so that the adapter is busy,
 * none sums fewer than `shortest` terms for it, and none more than 8192, which keeps the rounding error small.
 */
export function splitsOf(gpu: Gpu, groups: number, threads: number, terms: number, shortest: number): number {
  const busy = gpu.adapter.isFallback ? BUSY.processorGroups : BUSY.gpuThreads / threads;
  return Math.max(1, Math.min(Math.ceil(busy / groups), Math.floor(terms / shortest)), Math.ceil(terms / 8192));
}
