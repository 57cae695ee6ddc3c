import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';

/** Odds of votes that are never doubted: their logistic is 1 in 32 bits. */
const CERTAIN = 80;

export interface TrustInputs {
  /** What the model says now, logits [N, C]. */
  scores: Tensor;
  /** Shares of the votes, [N, C], each row of sum 1. */
  votes: Tensor;
  /** Σ votes · log m of each face, m the frequencies of the classes: [N, 1]. */
  expected: Tensor;
  /** How far the opinion decides between the classes that were voted for: 0 not at all, 1 as between candidates of which one is right. [N, 1]. */
  resolve: Tensor;
  /** u32 [N] into the table of opinions, all different. */
  rows: Tensor;
}

export interface TrustOptions {
  /** Share that an earlier opinion keeps when a face is visited again. */
  memory: number;
  /** Probability that votes are not of their face, before anything is known, below 1. */
  doubt: number;
  /** Votes that the shares of a face are taken for. */
  evidence: number;
}

/**
 * Targets [N, C] between the votes and the model's own opinion of a face, a running mean of logits kept in `opinion`, [M, C]. With q the softmax of the opinion, votes
 * are trusted by the posterior probability that they belong to the face, σ(log((1 − doubt) / doubt) + evidence · Σ votes · log(q / m)): their likelihood under q against
 * that under the frequencies m of the classes. What is trusted is votes · q^resolve, as shares; with resolve = 1 and even votes the confidence of PRODEN (Lv et al.
 * 2020). Nothing flows back through targets.
 * @throws ShapeError where shapes differ
 */
export function trustedVotes(
  tape: Tape,
  opinion: Tensor,
  { scores, votes, expected, resolve, rows }: TrustInputs,
  { memory, doubt, evidence }: TrustOptions,
): Tensor {
  const [batch, classes] = scores.shape;
  if (
    `${votes.shape}` !== `${scores.shape}` ||
    opinion.shape[1] !== classes ||
    expected.size !== batch ||
    resolve.size !== batch ||
    rows.size !== batch
  )
    throw new ShapeError(
      `trust in votes [${votes.shape}] by scores [${scores.shape}], expected [${expected.shape}], resolve [${resolve.shape}], rows [${rows.shape}] of [${opinion.shape}]`,
      'Give opinions [M, C], scores and votes [N, C], expected and resolve [N, 1], rows [N].',
    );
  const trust = doubt > 0 ? { odds: Math.log((1 - doubt) / doubt), evidence } : { odds: CERTAIN, evidence: 0 };
  const targets = tape.tensor('trusted_votes', [batch, classes]);
  tape.launch('trusted_votes', {
    params: { batch, classes, memory, ...trust },
    tensors: { scores, votes, expected, resolve, rows, opinion, targets },
    groups: Math.ceil(batch / 64),
  });
  return targets;
}
