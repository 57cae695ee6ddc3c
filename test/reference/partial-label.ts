/** Partial labels in float64, row by row. */

export type PartialLabelKind = 'candidates' | 'leveraged' | 'complement';

export interface Rows {
  logits: ArrayLike<number>;
  candidates: ArrayLike<number>;
  weights: ArrayLike<number>;
  classes: number;
}

export function softmaxRow(logits: readonly number[]): number[] {
  const top = Math.max(...logits);
  const terms = logits.map((z) => Math.exp(z - top));
  const sum = terms.reduce((a, b) => a + b, 0);
  return terms.map((term) => term / sum);
}

function rowsOf(values: ArrayLike<number>, classes: number): number[][] {
  return Array.from({ length: values.length / classes }, (_, row) => Array.from({ length: classes }, (_, c) => values[row * classes + c]));
}

/** Mean over the rows. */
export function partialLabelLoss({ logits, candidates, weights, classes }: Rows, kind: PartialLabelKind, leverage: number): number {
  const sets = rowsOf(candidates, classes);
  const shares = rowsOf(weights, classes);
  const losses = rowsOf(logits, classes).map((row, i) => {
    const p = softmaxRow(row);
    const sum = (term: (c: number) => number) => row.reduce((total, _, c) => total + term(c), 0);
    if (kind === 'candidates') return -Math.log(sum((c) => sets[i][c] * p[c]));
    if (kind === 'complement') return sum((c) => (sets[i][c] ? 0 : -Math.log(1 - p[c])));
    return sum((c) => shares[i][c] * (sets[i][c] ? 1 / (1 + Math.exp(row[c])) : leverage / (1 + Math.exp(-row[c]))));
  });
  return losses.reduce((a, b) => a + b, 0) / losses.length;
}

export type ConfidenceKind = 'probability' | 'each-side' | 'activation' | 'largest';

/** The new row of one face; without momentum it owes nothing to the one before. */
export function confidence(scores: number[], set: number[], before: number[], kind: ConfidenceKind, momentum?: number): number[] {
  const now = presentConfidence(scores, set, kind);
  return momentum === undefined ? now : now.map((share, c) => momentum * before[c] + (1 - momentum) * share);
}

function presentConfidence(scores: number[], set: number[], kind: ConfidenceKind): number[] {
  if (kind === 'activation' || kind === 'largest') {
    const values = scores.map((z, c) => (set[c] ? (kind === 'activation' ? z * Math.abs(1 - z) : z) : Number.NEGATIVE_INFINITY));
    const best = values.indexOf(Math.max(...values));
    return values.map((_, c) => (c === best ? 1 : 0));
  }
  const p = softmaxRow(scores);
  const inside = p.reduce((sum, share, c) => sum + (set[c] ? share : 0), 0);
  return p.map((share, c) => (set[c] ? share / inside : kind === 'each-side' ? share / (1 - inside) : 0));
}
