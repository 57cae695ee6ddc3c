import { ShapeError } from '../errors.js';
import type { Tape } from '../tensor/tape.js';
import type { Tensor } from '../tensor/tensor.js';

/** Stochastic gradient descent; weight decay is L2, added to the gradient. */
export interface SgdOptions {
  kind: 'sgd';
  momentum: number;
  nesterov: boolean;
  weightDecay: number;
  /** Gradients whose global norm is larger are scaled down to it. */
  clipNorm?: number;
  /** What the loss was multiplied by, a power of two: gradients are divided by it. Default 1. */
  lossScale?: number;
}

/** AdamW; weight decay is decoupled from the gradient. With weightDecay 0 this is Adam. */
export interface AdamwOptions {
  kind: 'adamw';
  beta1: number;
  beta2: number;
  /** Added to the root of the second moment; above 0. */
  epsilon: number;
  weightDecay: number;
  /** Gradients whose global norm is larger are scaled down to it. */
  clipNorm?: number;
  /** What the loss was multiplied by, a power of two: gradients are divided by it. Default 1. */
  lossScale?: number;
}

export type OptimizerOptions = SgdOptions | AdamwOptions;
export type OptimizerKind = OptimizerOptions['kind'];

/** Constants that a config may leave out. */
export const OPTIMIZER_DEFAULTS: { sgd: SgdOptions; adamw: AdamwOptions } = {
  sgd: { kind: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 5e-4 },
  adamw: { kind: 'adamw', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.05 },
};

/** What each optimiser keeps between steps: tensors in the layout of the parameters, initially zero. */
export const OPTIMIZER_STATE: Readonly<Record<OptimizerKind, readonly string[]>> = {
  sgd: ['velocity'],
  adamw: ['first_moment', 'second_moment'],
};

/** Floats between two possible starts of a parameter in the flat buffers, and behind each entry of `groups`. */
export const PARAMETER_ALIGNMENT = 64;

const ELEMENTS_PER_GROUP = 2048;
const NORM_ELEMENTS_PER_GROUP = 16384;
const LARGEST_FLOAT = 3.4028234663852886e38;

/**
 * The flat buffers that an optimiser works on. Parameters start at multiples of PARAMETER_ALIGNMENT; the padding behind them is
 * zero and stays so.
 */
export interface FlatParameters {
  /** [P] */
  parameters: Tensor;
  /** [P] */
  gradients: Tensor;
  /** [P / 64, 2]: of each block a factor on the learning rate, and one on weight decay. */
  groups: Tensor;
  /** One [P] for each name in OPTIMIZER_STATE. */
  state: readonly Tensor[];
}

/**
 * Records the update of all parameters by their gradients, as PyTorch does it (torch.optim.SGD without dampening,
 * torch.optim.AdamW). Learning rate and bias corrections come from the tape's step. Returns the global norm of the gradients
 * before clipping, [1]: keep it to log it, and stop the run when it is not finite, for then the parameters stay as they are.
 * @throws ShapeError when the buffers do not fit each other or the optimiser.
 */
export function recordOptimizer(tape: Tape, flat: FlatParameters, options: OptimizerOptions): Tensor {
  const { parameters, gradients, groups, state } = flat;
  const names = OPTIMIZER_STATE[options.kind];
  requireFlat(options.kind, parameters, [gradients, ...state]);
  if (groups.size * PARAMETER_ALIGNMENT !== 2 * parameters.size || groups.dtype !== 'f32') {
    throw new ShapeError(
      `${options.kind}: groups ${groups.dtype} [${groups.shape}] of ${parameters.size} parameters`,
      'Give two f32 for each 64 parameters.',
    );
  }
  if (state.length !== names.length) {
    throw new ShapeError(`${options.kind}: ${state.length} state tensors`, `It keeps ${names.length}: ${names.join(', ')}.`);
  }
  const { norm, clipFactor } = recordGradientNorm(tape, gradients, options);
  const quads = parameters.size / 4;
  const tensors = {
    parameters,
    gradients,
    groups,
    clip_factor: clipFactor,
    step: tape.step,
    ...Object.fromEntries(names.map((name, i) => [name, state[i]])),
  };
  const workgroups = Math.ceil(parameters.size / ELEMENTS_PER_GROUP);
  if (options.kind === 'sgd') {
    const { momentum, nesterov, weightDecay } = options;
    tape.launch('sgd', {
      constants: { NESTEROV: nesterov },
      params: { quads, momentum, weight_decay: weightDecay },
      tensors,
      groups: workgroups,
      flops: 6 * parameters.size,
    });
  } else {
    const { beta1, beta2, epsilon, weightDecay } = options;
    tape.launch('adamw', {
      params: { quads, beta1, beta2, rest1: 1 - beta1, rest2: 1 - beta2, epsilon, weight_decay: weightDecay },
      tensors,
      groups: workgroups,
      flops: 14 * parameters.size,
    });
  }
  return norm;
}

/** The global L2 norm of flat gradients over lossScale, [1], and min(1, clipNorm / norm) / lossScale, [1] (Pascanu, Mikolov & Bengio 2013). */
function recordGradientNorm(
  tape: Tape,
  gradients: Tensor,
  { clipNorm = LARGEST_FLOAT, lossScale = 1 }: OptimizerOptions,
): { norm: Tensor; clipFactor: Tensor } {
  const count = Math.ceil(gradients.size / NORM_ELEMENTS_PER_GROUP);
  const partials = tape.tensor('gradient_norm.partials', [count]);
  const norm = tape.tensor('gradient_norm', [1]);
  const clipFactor = tape.tensor('clip_factor', [1]);
  tape.launch('gradient_norm', {
    params: { quads: gradients.size / 4 },
    tensors: { gradients, partials },
    groups: count,
    flops: 2 * gradients.size,
  });
  tape.launch('gradient_norm_final', {
    params: { count, clip_norm: clipNorm, unscale: 1 / lossScale },
    tensors: { partials, norm, clip_factor: clipFactor },
    groups: 1,
  });
  return { norm, clipFactor };
}

/**
 * Records average = decay * average + (1 - decay) * parameters over flat [P] buffers, with the decay of the tape's step.
 * @throws ShapeError when the two differ in size or are no whole number of blocks
 */
export function recordEma(tape: Tape, { parameters, average }: { parameters: Tensor; average: Tensor }): void {
  requireFlat('ema', parameters, [average]);
  const groups = Math.ceil(parameters.size / ELEMENTS_PER_GROUP);
  tape.launch('ema', {
    params: { quads: parameters.size / 4 },
    tensors: { parameters, average, step: tape.step },
    groups,
    flops: 3 * parameters.size,
  });
}

/** The fields of the step's state (shaders/lib/step.wgsl) that optimiser and weight averaging read. */
export interface StepState {
  /** 1 - beta^t after t = step + 1 updates; 1 for SGD. */
  biasCorrection1: number;
  biasCorrection2: number;
  /** Share that the averaged weights keep. */
  emaDecay: number;
}

/**
 * What changes from step to step, for a step counted from 0. The decay of the averaged weights warms up as
 * min(decay, (1 + step) / (10 + step)), so that the first, poor weights are soon forgotten.
 */
export function stepState(options: OptimizerOptions, step: number, emaDecay = 0.999): StepState {
  const [beta1, beta2] = options.kind === 'adamw' ? [options.beta1, options.beta2] : [0, 0];
  return {
    biasCorrection1: 1 - beta1 ** (step + 1),
    biasCorrection2: 1 - beta2 ** (step + 1),
    emaDecay: Math.min(emaDecay, (1 + step) / (10 + step)),
  };
}

function requireFlat(name: string, parameters: Tensor, others: readonly Tensor[]): void {
  if (parameters.size === 0 || parameters.size % PARAMETER_ALIGNMENT !== 0) {
    throw new ShapeError(`${name}: ${parameters.size} parameters`, `Pad every parameter to a multiple of ${PARAMETER_ALIGNMENT}.`);
  }
  for (const other of others) {
    if (other.size !== parameters.size) {
      throw new ShapeError(
        `${name}: ${other.label} [${other.shape}] beside parameters [${parameters.shape}]`,
        'All flat buffers have one layout.',
      );
    }
  }
}
