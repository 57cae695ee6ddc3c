import { logSoftmax } from './softmax.js';

export interface DivergenceCase {
  logits: ArrayLike<number>;
  target: ArrayLike<number>;
  weight: ArrayLike<number>;
  classes: number;
  kind: 'kl' | 'cross-entropy' | 'multi-target';
  temperature: number;
}

/** The loss of each face in float64, by the definitions. */
export function perFace({ logits, target, weight, classes, kind, temperature: T }: DivergenceCase): Float64Array {
  const logP = logSoftmax(
    Float64Array.from(logits, (z) => z / T),
    classes,
  );
  return Float64Array.from(weight, (_, face) => {
    const terms = Array.from({ length: classes }, (_, c) => ({ t: target[face * classes + c], logP: logP[face * classes + c] }));
    if (kind === 'multi-target') return -(T ** 2) * Math.log(Math.max(...terms.map((term) => term.t * Math.exp(term.logP))));
    const seen = terms.filter(({ t }) => t !== 0);
    return T ** 2 * seen.reduce((sum, { t, logP }) => sum + t * ((kind === 'kl' ? Math.log(t) : 0) - logP), 0);
  });
}

export function loss(given: DivergenceCase): number {
  return perFace(given).reduce((sum, l, face) => sum + (given.weight[face] * l) / given.weight.length, 0);
}

/** Gradients of the loss in closed form; the target's where it is above 0. */
export function gradients({ logits, target, weight, classes, kind, temperature: T }: DivergenceCase) {
  const faces = weight.length;
  const logP = logSoftmax(
    Float64Array.from(logits, (z) => z / T),
    classes,
  );
  const rowOf = (i: number) => Math.floor(i / classes);
  const rowSum = (i: number) => Array.from({ length: classes }, (_, c) => target[rowOf(i) * classes + c]).reduce((sum, t) => sum + t, 0);
  const isBest = (i: number) => {
    const row = Array.from({ length: classes }, (_, c) => rowOf(i) * classes + c);
    const score = (k: number) => Math.log(target[k]) + logP[k];
    return row.every((k) => k === i || score(i) > score(k));
  };
  return {
    logits: Float64Array.from(logits, (_, i) => {
      const p = Math.exp(logP[i]);
      const difference = kind === 'multi-target' ? p - Number(isBest(i)) : p * rowSum(i) - target[i];
      return (weight[rowOf(i)] / faces) * T * difference;
    }),
    target: Float64Array.from(target, (t, i) => {
      const slope = { kl: Math.log(t) + 1 - logP[i], 'cross-entropy': -logP[i], 'multi-target': isBest(i) ? -1 / t : 0 }[kind];
      return (weight[rowOf(i)] / faces) * T ** 2 * slope;
    }),
    weight: perFace({ logits, target, weight, classes, kind, temperature: T }).map((l) => l / faces),
  };
}
