import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';
import { apply } from './arithmetic.js';
import { launchSum } from './reduce.js';

/** Values of KIND in shaders/partial_label_loss.wgsl. */
const LOSSES = { candidates: 0, leveraged: 1, complement: 2 } as const;
/** Values of KIND in shaders/confidence_update.wgsl. */
const CONFIDENCES = { probability: 0, 'each-side': 1, activation: 2, largest: 3 } as const;

const THREADS_PER_GROUP = 64;

export interface PartialLabelOptions {
  /**
   * With S the candidates and p = softmax(logits): `candidates` −log Σ_S p (Feng et al. 2020), `leveraged` Σ_S w σ(−z) + β Σ w σ(z) over the others (Wen et al.
   * 2021), `complement` −Σ log(1 − p) over the others (Wu, Wang & Zhang 2022).
   */
  kind: keyof typeof LOSSES;
  /** w of `leveraged`, [N, C]. */
  weights?: Tensor;
  /** β of `leveraged`. */
  leverage?: number;
}

/**
 * Mean loss of faces of which only a set of candidate classes is known, [1]; differentiable in logits.
 * @param logits [N, C]
 * @param candidates [N, C] of zeros and ones; each row has a one
 * @throws ShapeError where shapes differ
 */
export function partialLabelLoss(
  tape: Tape,
  logits: Tensor,
  candidates: Tensor,
  { kind, weights, leverage = 1 }: PartialLabelOptions,
): Tensor {
  requireRows('partial label loss', logits, [candidates, ...(weights ? [weights] : [])]);
  const [rows, classes] = logits.shape;
  const faceLoss = tape.tensor('face_loss', [rows]);
  const logitGradient = tape.tensor('logits.gradient', logits.shape);
  tape.launch('partial_label_loss', {
    constants: { KIND: LOSSES[kind] },
    params: { rows, classes, leverage },
    tensors: { logits, candidates, weights: weights ?? candidates, face_loss: faceLoss, logit_gradient: logitGradient },
    groups: Math.ceil(rows / THREADS_PER_GROUP),
  });
  const loss = tape.tensor('loss', [1]);
  launchSum(tape, faceLoss, [0], loss, 1 / rows);
  return tape.record({
    name: 'partial_label_loss',
    inputs: [logits],
    output: loss,
    gradient: (outputGradient) => [tape.isOne(outputGradient) ? logitGradient : apply(tape, 'multiply', logitGradient, outputGradient)],
  });
}

export interface ConfidenceOptions {
  /**
   * `probability`: softmax within the candidates; `each-side`: softmax within the candidates and within the others; `activation`: one-hot of the candidate with
   * the largest z·|1 − z|; `largest`: one-hot of that with the largest score.
   */
  kind: keyof typeof CONFIDENCES;
  /** Share of what was in the row that stays, [1]; by default none. */
  momentum?: Tensor;
}

/**
 * Writes the confidence of each candidate into rows of a table kept from step to step.
 * @param table [M, C]
 * @param scores [N, C]
 * @param candidates [N, C] of zeros and ones
 * @param rows u32 [N] into the table, all different
 * @throws ShapeError where shapes differ
 */
export function updateConfidence(
  tape: Tape,
  table: Tensor,
  { scores, candidates, rows }: { scores: Tensor; candidates: Tensor; rows: Tensor },
  { kind, momentum }: ConfidenceOptions,
): void {
  requireRows('confidence update', scores, [candidates]);
  const [batch, classes] = scores.shape;
  if (table.shape[1] !== classes || rows.size !== batch || rows.dtype !== 'u32' || (momentum && momentum.size !== 1))
    throw new ShapeError(
      `confidence update (${kind}) of a table [${table.shape}] at ${rows.dtype} rows [${rows.shape}] from scores [${scores.shape}]`,
      'Give a table [M, C], u32 rows [N], scores [N, C], and a momentum [1] or none.',
    );
  tape.launch('confidence_update', {
    constants: { KIND: CONFIDENCES[kind], MOVING: momentum !== undefined },
    params: { batch, classes },
    tensors: { scores, candidates, rows, momentum: momentum ?? scores, table },
    groups: Math.ceil(batch / THREADS_PER_GROUP),
  });
}

function requireRows(what: string, logits: Tensor, others: readonly Tensor[]): void {
  if (logits.shape.length === 2 && others.every(({ shape }) => `${shape}` === `${logits.shape}`)) return;
  throw new ShapeError(`${what} of [${logits.shape}] and ${others.map(({ shape }) => `[${shape}]`).join(', ')}`, 'All are [N, C].');
}
