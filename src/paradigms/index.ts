import { ferPlusCrossEntropy, ferPlusMajority, ferPlusMultiTarget, ferPlusProbability } from './ferplus.js';
import type { Paradigm } from './paradigm.js';

export type { Lesson, Paradigm } from './paradigm.js';

export const paradigms = {
  'ferplus-majority': ferPlusMajority,
  'ferplus-probability': ferPlusProbability,
  'ferplus-crossentropy': ferPlusCrossEntropy,
  'ferplus-multi-target': ferPlusMultiTarget,
} satisfies Record<string, Paradigm>;

export type ParadigmName = keyof typeof paradigms;
