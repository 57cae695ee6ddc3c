/** The operators in which the time of training goes, each as a program of its own launches. */
import type { Gpu } from '#src/gpu/gpu.js';
import { recordOptimizer } from '#src/optim/optimizer.js';
import { uniform } from '#src/random.js';
import { AUGMENTATIONS, gatherFaces } from '#src/tensor/ops/augment.js';
import { Program } from '#src/tensor/program.js';
import { Tape } from '#src/tensor/tape.js';
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
  /** Part of the short run of every day. */
  quick: boolean;
  record(tape: Tape): void;
  /** Absent where no peer has the like. */
  peer?: PeerOperator;
}

/** A compiled operator. */
export interface OperatorRun {
  flops: number;
  /** Bytes of the bound tensors, summed over the launches: a lower bound of the traffic. */
  bytes: number;
  run(): void;
  destroy(): void;
}

function operator(
  name: string,
  op: string,
  shapes: string,
  { pass = 'forward', wrt, options = {}, quick = false }: { pass?: Pass; wrt?: number; options?: OperatorOptions; quick?: boolean } = {},
): OperatorCase {
  const parsed = parseShapes(shapes);
  return {
    name,
    quick,
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
function convolution(name: string, shapes: string, options: OperatorOptions = {}, quick = false): OperatorCase[] {
  return [
    operator(`${name}, forward`, 'conv2d', shapes, { options, quick }),
    operator(`${name}, input gradient`, 'conv2d', shapes, { pass: 'backward', wrt: 0, options, quick }),
    operator(`${name}, weight gradient`, 'conv2d', shapes, { pass: 'backward', wrt: 1, options, quick }),
  ];
}

function products(size: number, quick: boolean): OperatorCase[] {
  const shapes = `${size}x${size},${size}x${size}`;
  return [
    operator(`product ${size}³`, 'matmul', shapes, { quick }),
    operator(`product ${size}³, A · Bᵀ`, 'matmul', shapes, { options: { transposeB: 1 } }),
    operator(`product ${size}³, Aᵀ · B`, 'matmul', shapes, { options: { transposeA: 1 } }),
  ];
}

/** AdamW over flat parameters, with the norm of the gradients as in training. */
function adamw(size: number, quick: boolean): OperatorCase {
  return {
    name: `AdamW, ${(size / 2 ** 20).toFixed(0)} Mi parameters`,
    quick,
    record(tape) {
      const flat = (label: string) => tape.input(label, [size]);
      const state = ['first', 'second'].map(flat);
      const groups = tape.input('groups', [size / 64], 'u32');
      const options = { kind: 'adamw', beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weightDecay: 0 } as const;
      recordOptimizer(tape, { parameters: flat('parameters'), gradients: flat('gradients'), groups, state }, options);
    },
    peer: { op: 'adamw', shapes: [[size]], options: {}, pass: 'forward' },
  };
}

function augmentation(batch: number): OperatorCase {
  return {
    name: `augmentation of ${batch} faces, 48×48`,
    quick: false,
    record(tape) {
      const extent = { height: 48, width: 48, channels: 1 };
      const faces = tape.input('faces', [(batch * 48 * 48) / 4], 'u32');
      const indices = tape.input('indices', [batch], 'u32');
      gatherFaces(tape, faces, indices, { source: extent, output: extent, augment: AUGMENTATIONS.ferplus });
    },
  };
}

export const OPERATOR_CASES: readonly OperatorCase[] = [
  ...products(512, true),
  ...products(1024, false),
  operator('48 products of 65×64·64×65, A · Bᵀ', 'matmul', '48x65x64,48x65x64', { options: { transposeB: 1 } }),
  operator('16 products of 256³', 'matmul', '16x256x256,16x256x256'),
  ...convolution('convolution 3×3, 32×24×24, 64 to 64', '32x24x24x64,3x3x64x64', {}, true),
  ...convolution('convolution 1×1, 32×24×24, 64 to 128', '32x24x24x64,1x1x64x128'),
  ...convolution('convolution 3×3 stride 2, 32×24×24, 64 to 128', '32x24x24x64,3x3x64x128', { stride: 2 }),
  ...convolution('convolution 5×5, 32×24×24, 32 to 32', '32x24x24x32,5x5x32x32'),
  ...convolution('depthwise 3×3, 32×24×24, 128', '32x24x24x128,3x3x1x128', { groups: 128 }),
  operator('batch norm, 32×24×24×64, both ways', 'batch_norm', '32x24x24x64', { pass: 'both', quick: true }),
  operator('layer norm, 1040×192, both ways', 'layer_norm', '1040x192', { pass: 'both' }),
  operator('softmax, 4096×1024', 'softmax', '4096x1024'),
  operator('softmax + divergence, 8192×8, both ways', 'softmax_divergence', '8192x8,8192x8', { pass: 'both', wrt: 0, quick: true }),
  operator('attention, 48×65×64, both ways', 'attention', '48x65x64,48x65x64,48x65x64', { pass: 'both' }),
  operator('attention, 8 queries over 64 tokens, 192×64, both ways', 'attention', '192x8x64,192x64x64,192x64x64', { pass: 'both' }),
  adamw(2 ** 20, true),
  adamw(11 * 2 ** 20, false),
  augmentation(256),
];

export async function operatorRun(gpu: Gpu, { record }: Pick<OperatorCase, 'record'>): Promise<OperatorRun> {
  const tape = new Tape(gpu, { training: true });
  record(tape);
  const program = await Program.compile(gpu, tape);
  for (const [stream, tensor] of tape.inputs.entries()) {
    const value = (i: number) => uniform(0, stream, i);
    program.write(
      tensor,
      tensor.dtype === 'u32'
        ? Uint32Array.from({ length: tensor.size }, (_, i) => i % 256)
        : Float32Array.from({ length: tensor.size }, (_, i) => 2 * value(i) - 1),
    );
  }
  const sum = (amount: (launch: Tape['launches'][number]) => number) => tape.launches.reduce((total, launch) => total + amount(launch), 0);
  return {
    flops: sum((launch) => launch.flops),
    bytes: sum((launch) => launch.bytes),
    run: () => void program.run(),
    destroy: () => program.destroy(),
  };
}
