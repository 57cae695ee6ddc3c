import { adaDf } from './ada-df.js';
import { readConstants } from './constants.js';
import { agreementWeighted, aleatoric, distribution } from './distribution.js';
import { dmue } from './dmue.js';
import { eac } from './eac.js';
import { ferPlusCrossEntropy, ferPlusMajority, ferPlusMultiTarget, ferPlusProbability } from './ferplus.js';
import { ldlVa } from './ldl-va.js';
import { moue } from './moue.js';
import { neighbours } from './neighbours.js';
import { labelSmoothing, oneHot, singleLabel } from './one-hot.js';
import type { Constants, Paradigm } from './paradigm.js';
import { cavl, cc, crDpll, lws, proden, rc } from './partial-labels.js';
import { pico } from './pico.js';
import { pllMim } from './pll-mim.js';
import { rul } from './rul.js';
import { scn } from './scn.js';
import { bornAgain, selfDistillation } from './teachers.js';

export { type Explanation, explanationOf } from './explanation.js';
export type { Constants, Findings, Lesson, Paradigm } from './paradigm.js';
export { logitsOf } from './paradigm.js';

export const paradigms = {
  moue,
  'one-hot': oneHot,
  'label-smoothing': labelSmoothing,
  'single-label': singleLabel,
  'ferplus-majority': ferPlusMajority,
  'ferplus-probability': ferPlusProbability,
  'ferplus-crossentropy': ferPlusCrossEntropy,
  'ferplus-multi-target': ferPlusMultiTarget,
  scn,
  rul,
  eac,
  dmue,
  distribution,
  'ada-df': adaDf,
  agreement: agreementWeighted,
  aleatoric,
  neighbours,
  'ldl-va': ldlVa,
  'self-distillation': selfDistillation,
  'born-again': bornAgain,
  cc,
  rc,
  proden,
  lws,
  cavl,
  'cr-dpll': crDpll,
  pico,
  'pll-mim': pllMim,
} satisfies Record<string, Paradigm>;

export type ParadigmName = keyof typeof paradigms;

/** The constants of a paradigm, those of its paper where `settings` ('name=value,…') does not change them. @throws UsageError for what it does not have. */
export function constantsOf(name: ParadigmName, settings: string): Constants {
  return readConstants(name, paradigms[name], settings);
}
