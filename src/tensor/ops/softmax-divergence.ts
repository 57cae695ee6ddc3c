import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';
import { apply } from './arithmetic.js';
import { launchSum } from './reduce.js';

/** Values of KIND in shaders/lib/divergence.wgsl. */
const KINDS = { kl: 0, 'cross-entropy': 1, 'multi-target': 2 } as const;

const THREADS_PER_GROUP = 64;

export interface DivergenceOptions {
  /**
   * With p = softmax(logits / T): `kl` is Σ t (log t − log p) with 0 log 0 = 0, `cross-entropy` −Σ t log p, `multi-target` −log max (t p), the
   * multi-label loss of FER+ (Barsoum et al. 2016).
   */
  kind: keyof typeof KINDS;
  /** Weight of each face, [B]; 1 by default. */
  weight?: Tensor;
  /** T. The loss is multiplied by T², so that gradients keep their size (Hinton, Vinyals & Dean 2015). */
  temperature?: number;
}

export interface Divergence {
  /** Mean over the batch of weight · perFace: [1]. Differentiable in logits, weight and target. */
  loss: Tensor;
  /** The loss of each face without its weight, [B]; not differentiable. */
  perFace: Tensor;
}

/**
 * Softmax, divergence from a target distribution, weighting and all gradients in one kernel.
 * @param logits [B, C]
 * @param target [B, C], not negative; rows that sum to 1, or for `multi-target` have values up to 1
 * @throws ShapeError where shapes differ or the temperature is not positive
 */
export function softmaxDivergence(
  tape: Tape,
  logits: Tensor,
  target: Tensor,
  { kind, weight: givenWeight, temperature = 1 }: DivergenceOptions,
): Divergence {
  const [rows, classes] = logits.shape;
  const shapesFit = logits.shape.length === 2 && `${target.shape}` === `${logits.shape}` && (givenWeight?.size ?? rows) === rows;
  if (!shapesFit || !(temperature > 0)) {
    throw new ShapeError(
      `softmax divergence of logits [${logits.shape}], target [${target.shape}], weight [${givenWeight?.shape ?? rows}], temperature ${temperature}`,
      'Give logits [B, C], target [B, C], weight [B] and a positive temperature.',
    );
  }
  const weight = givenWeight ?? tape.constant('weight', [rows], new Float32Array(rows).fill(1));
  const spec = { constants: { KIND: KINDS[kind] }, params: { rows, classes, temperature }, groups: Math.ceil(rows / THREADS_PER_GROUP) };
  const inputs = { logits, targets: target, weight };

  const perFace = tape.tensor('face_loss', [rows]);
  const weightedLoss = tape.tensor('weighted_loss', [rows]);
  const logitGradient = tape.tensor('logits.gradient', logits.shape);
  const weightGradient = tape.tensor('weight.gradient', weight.shape);
  tape.launch('softmax_divergence', {
    ...spec,
    tensors: { ...inputs, face_loss: perFace, weighted_loss: weightedLoss, logit_gradient: logitGradient, weight_gradient: weightGradient },
  });
  const loss = tape.tensor('loss', [1]);
  launchSum(tape, weightedLoss, [0], loss, 1 / rows);

  tape.record({
    name: 'softmax_divergence',
    inputs: [logits, weight, target],
    output: loss,
    gradient(outputGradient) {
      const scaled = (gradient: Tensor) => (tape.isOne(outputGradient) ? gradient : apply(tape, 'multiply', gradient, outputGradient));
      return [
        logits.differentiable ? scaled(logitGradient) : undefined,
        weight.differentiable ? scaled(weightGradient) : undefined,
        target.differentiable ? targetGradient(outputGradient) : undefined,
      ];
    },
  });
  return { loss, perFace };

  function targetGradient(outputGradient: Tensor): Tensor {
    const gradient = tape.gradientTarget(target);
    tape.launch('softmax_divergence_backward_target', {
      ...spec,
      tensors: { ...inputs, output_gradient: outputGradient, target_gradient: gradient },
    });
    return gradient;
  }
}
