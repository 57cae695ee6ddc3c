/** The operators in which the time of training goes, each as a program of its own launches. */
import type { Gpu, Tuning } from '#src/gpu/gpu.js';
import { recordOptimizer } from '#src/optim/optimizer.js';
import { AUGMENTATIONS, gatherFaces } from '#src/tensor/ops/augment.js';
import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
import { uniformNumbers } from './bench-models.js';
import { type OperatorOptions, parseShapes, recordOperator } from './operators.js';

/** What a peer is asked to time: tools/peers/serve.mjs. */
export interface PeerOperator {
  op: string;
  shapes: number[][];
  options: OperatorOptions;
  pass: Pass;
  /** The one input whose gradient is wanted; absent: all. */
  wrt?: number;
}
type Pass = 'forward' | 'backward' | 'both';

export interface OperatorCase {
  name: string;
  /** `quick` is part of the short run of every day; `large` fills a GPU, and takes a processor long. */
  size: 'quick' | 'usual' | 'large';
  record(tape: Tape): void;
  /** Kernels to take whatever is usual. */
  tuning?: Tuning;
  /** Absent where no peer has the like. */
  peer?: PeerOperator;
}

/** A compiled operator. */
export interface OperatorRun {
  flops: number;
  /** Bytes of the bound tensors, summed over the launches: a lower bound of the traffic. */
  bytes: number;
  /** Planned memory: what lies between inputs and outputs, and these where no other launch needs their place. */
  plannedBytes: number;
  /** Runs the operator so many times. */
  repeats: number;
  run(): void;
  destroy(): void;
}

function operator(
  name: string,
  op: string,
  shapes: string,
  {
    pass = 'forward',
    wrt,
    options = {},
    size = 'usual',
  }: Partial<Pick<OperatorCase, 'size'> & Pick<PeerOperator, 'pass' | 'options' | 'wrt'>> = {},
): OperatorCase {
  const parsed = parseShapes(shapes);
  return {
    name,
    size,
    record(tape) {
      const isWanted = (input: number) => pass !== 'forward' && (wrt === undefined || input === wrt);
      const { forwardLaunches } = recordOperator(tape, op, parsed, options, isWanted);
      if (pass === 'forward') tape.launches.splice(forwardLaunches);
      if (pass === 'backward') tape.launches.splice(0, forwardLaunches);
    },
    peer: { op, shapes: parsed, options, pass, ...(wrt !== undefined && { wrt }) },
  };
}

/** A convolution in its three directions. */
function convolution(name: string, shapes: string, options: OperatorOptions = {}, size: OperatorCase['size'] = 'usual'): OperatorCase[] {
  return [
    operator(`${name}, forward`, 'conv2d', shapes, { options, size }),
    operator(`${name}, input gradient`, 'conv2d', shapes, { pass: 'backward', wrt: 0, options, size }),
    operator(`${name}, weight gradient`, 'conv2d', shapes, { pass: 'backward', wrt: 1, options, size }),
  ];
}

function products(extent: number, size: OperatorCase['size'], turned: OperatorCase['size'] = size): OperatorCase[] {
  const shapes = `${extent}x${extent},${extent}x${extent}`;
  return [
    operator(`product ${extent}³`, 'matmul', shapes, { size }),
    operator(`product ${extent}³, A · Bᵀ`, 'matmul', shapes, { options: { transposeB: 1 }, size: turned }),
    operator(`product ${extent}³, Aᵀ · B`, 'matmul', shapes, { options: { transposeA: 1 }, size: turned }),
  ];
}

/** Attention of heads of 64, in both directions and both forms: no peer is asked which of its own it takes. */
function attentions(heads: number, tokens: number): OperatorCase[] {
  const shape = `${heads}x${tokens}x64`;
  return (['products', 'fused'] as const).map((family) => {
    const { record, size } = operator('', 'attention', [shape, shape, shape].join(), { pass: 'both' });
    return { name: `attention, ${heads}×${tokens}×64, both ways, ${family}`, size, record, tuning: { attention: { family } } };
  });
}

/** AdamW over flat parameters, with the norm of the gradients as in training. */
function adamw(parameters: number, size: OperatorCase['size']): OperatorCase {
  return {
    name: `AdamW, ${(parameters / 2 ** 20).toFixed(0)} Mi parameters`,
    size,
    record(tape) {
      const flat = (label: string) => tape.input(label, [parameters]);
      const state = ['first', 'second'].map(flat);
      const groups = tape.input('groups', [parameters / 64, 2]);
      const options = { kind: 'adamw', beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weightDecay: 0 } as const;
      recordOptimizer(tape, { parameters: flat('parameters'), gradients: flat('gradients'), groups, state }, options);
    },
    peer: { op: 'adamw', shapes: [[parameters]], options: {}, pass: 'forward' },
  };
}

function augmentation(batch: number): OperatorCase {
  return {
    name: `augmentation of ${batch} faces, 48×48`,
    size: 'usual',
    record(tape) {
      const extent = { height: 48, width: 48, channels: 1 };
      const faces = tape.input('faces', [(batch * 48 * 48) / 4], 'u32');
      const indices = tape.input('indices', [batch], 'u32');
      gatherFaces(tape, faces, indices, { source: extent, output: extent, augment: AUGMENTATIONS.ferplus });
    },
  };
}

/** A command buffer of more would take long to record. */
const MOST_REPEATS = 1000;

export const OPERATOR_CASES: readonly OperatorCase[] = [
  ...products(512, 'quick', 'usual'),
  ...products(1024, 'usual'),
  ...products(4096, 'large'),
  operator('48 products of 65×64·64×65, A · Bᵀ', 'matmul', '48x65x64,48x65x64', { options: { transposeB: 1 } }),
  operator('16 products of 256³', 'matmul', '16x256x256,16x256x256'),
  ...convolution('convolution 3×3, 32×24×24, 64 to 64', '32x24x24x64,3x3x64x64', {}, 'quick'),
  ...convolution('convolution 3×3, 256×24×24, 64 to 64', '256x24x24x64,3x3x64x64', {}, 'large'),
  ...convolution('convolution 3×3, 256×12×12, 256 to 256', '256x12x12x256,3x3x256x256', {}, 'large'),
  ...convolution('convolution 1×1, 32×24×24, 64 to 128', '32x24x24x64,1x1x64x128'),
  ...convolution('convolution 3×3 stride 2, 32×24×24, 64 to 128', '32x24x24x64,3x3x64x128', { stride: 2 }),
  ...convolution('convolution 5×5, 32×24×24, 32 to 32', '32x24x24x32,5x5x32x32'),
  operator('convolution 3×3, 64×48×48, 1 to 16, forward', 'conv2d', '64x48x48x1,3x3x1x16'),
  operator('convolution 3×3, 64×48×48, 1 to 16, weight gradient', 'conv2d', '64x48x48x1,3x3x1x16', { pass: 'backward', wrt: 1 }),
  ...convolution('depthwise 3×3, 32×24×24, 128', '32x24x24x128,3x3x1x128', { groups: 128 }),
  operator('batch norm, 32×24×24×64, both ways', 'batch_norm', '32x24x24x64', { pass: 'both', size: 'quick' }),
  operator('batch norm, 256×24×24×64, both ways', 'batch_norm', '256x24x24x64', { pass: 'both', size: 'large' }),
  operator('layer norm, 1040×192, both ways', 'layer_norm', '1040x192', { pass: 'both' }),
  operator('layer norm, 16640×192, both ways', 'layer_norm', '16640x192', { pass: 'both', size: 'large' }),
  operator('softmax, 4096×1024', 'softmax', '4096x1024'),
  operator('softmax + divergence, 8192×8, both ways', 'softmax_divergence', '8192x8,8192x8', { pass: 'both', wrt: 0, size: 'quick' }),
  operator('attention, 48×65×64, both ways', 'attention', '48x65x64,48x65x64,48x65x64', { pass: 'both' }),
  operator('attention, 768×65×64, both ways', 'attention', '768x65x64,768x65x64,768x65x64', { pass: 'both', size: 'large' }),
  operator('attention, 8 queries over 64 tokens, 192×64, both ways', 'attention', '192x8x64,192x64x64,192x64x64', { pass: 'both' }),
  ...attentions(12, 64),
  ...attentions(12, 197),
  ...attentions(3, 1024),
  adamw(2 ** 20, 'quick'),
  adamw(11 * 2 ** 20, 'usual'),
  augmentation(256),
];

/** Compiles an operator, so many times in a row that a run takes `enoughMs`: alone, a kernel on a fast GPU is shorter than its submission. */
export async function operatorRun(
  gpu: Gpu,
  { record, tuning }: Pick<OperatorCase, 'record' | 'tuning'>,
  enoughMs = 0,
): Promise<OperatorRun> {
  const chosen = Object.create(gpu, { tuning: { value: { ...gpu.tuning, ...tuning } } }) as Gpu;
  const tape = new Tape(chosen, { training: true });
  record(tape);
  const once = [...tape.launches];
  let program = await Program.compile(gpu, tape);
  for (const [stream, tensor] of tape.inputs.entries()) {
    program.write(
      tensor,
      tensor.dtype === 'u32' ? Uint32Array.from({ length: tensor.size }, (_, i) => i % 256) : uniformNumbers(tensor.size, 1, stream),
    );
  }
  let repeats = 1;
  program.run();
  await gpu.idle();
  while (repeats < MOST_REPEATS) {
    const begun = performance.now();
    program.run();
    await gpu.idle();
    const timeMs = performance.now() - begun;
    if (timeMs >= enoughMs) break;
    // By so little at once that a time which was mostly waiting does not lead too far.
    repeats = Math.min(MOST_REPEATS, Math.ceil(repeats * Math.min(8, (1.2 * enoughMs) / timeMs)));
    tape.launches.splice(0, Infinity, ...Array.from({ length: repeats }, () => once).flat());
    program.free();
    program = await Program.compile(gpu, tape);
  }
  const sum = (amount: (launch: Tape['launches'][number]) => number) => once.reduce((total, launch) => total + amount(launch), 0);
  return {
    flops: sum((launch) => launch.flops),
    bytes: sum((launch) => launch.bytes),
    plannedBytes: program.memory.peakBytes,
    repeats,
    run: () => void program.run(),
    destroy: () => program.destroy(),
  };
}
