import { ShapeError } from '../../errors.js';
import type { Tape } from '../tape.js';
import type { Tensor } from '../tensor.js';

/** Odds of votes that are never doubted: their logistic is 1 in 32 bits. */
const CERTAIN = 80;

export interface TrustInputs {
  /** What the model says, logits [N, C]. */
  scores: Tensor;
  /** Shares of the votes, [N, C], each row of sum 1. */
  votes: Tensor;
  /** How far the model decides between the classes that were voted for: 0 not at all, 1 as between candidates of which one is right. [N, 1]. */
  resolve: Tensor;
}

export interface TrustOptions {
  /** Probability that votes are not of their face, before anything is known; below 1. */
  doubt: number;
  /** Votes that the shares of a face count as. */
  evidence: number;
}

/**
 * Targets [N, C] between the votes and what the model says of a face, q = softmax(scores). Votes are trusted by the posterior probability that they belong to the face,
 * σ(log((1 − doubt) / doubt) + evidence · Σ votes · log(C q)): their likelihood under q against that of votes for any class alike. What is trusted is votes · q^resolve,
 * as shares; with resolve = 1 and even votes the gradient is that of CC (Feng et al. 2020). Nothing flows back through targets.
 * @throws ShapeError where shapes differ
 */
export function trustedVotes(tape: Tape, { scores, votes, resolve }: TrustInputs, { doubt, evidence }: TrustOptions): Tensor {
  const [batch, classes] = scores.shape;
  if (`${votes.shape}` !== `${scores.shape}` || resolve.size !== batch)
    throw new ShapeError(
      `trust in votes [${votes.shape}] by scores [${scores.shape}], resolve [${resolve.shape}]`,
      'Give scores and votes [N, C], resolve [N, 1].',
    );
  const trust = doubt > 0 ? { odds: Math.log((1 - doubt) / doubt), evidence } : { odds: CERTAIN, evidence: 0 };
  const targets = tape.tensor('trusted_votes', [batch, classes]);
  tape.launch('trusted_votes', {
    params: { batch, classes, ...trust },
    tensors: { scores, votes, resolve, targets },
    groups: Math.ceil(batch / 64),
  });
  return targets;
}
