import { EXPRESSIONS } from './expressions.js';

/**
 * What the muscles of a face do, from 0 (at rest) to about 1: action units of the Facial Action Coding System (Ekman & Friesen 1978), by
 * their numbers there.
 */
export interface ActionUnits {
  /** 1 */ innerBrowRaiser: number;
  /** 2 */ outerBrowRaiser: number;
  /** 4 */ browLowerer: number;
  /** 5 */ upperLidRaiser: number;
  /** 6 */ cheekRaiser: number;
  /** 7 */ lidTightener: number;
  /** 9 */ noseWrinkler: number;
  /** 10 */ upperLipRaiser: number;
  /** 12 */ lipCornerPuller: number;
  /** 12 and 14 on one side */ oneSidedCorner: number;
  /** 15 */ lipCornerDepressor: number;
  /** 20 */ lipStretcher: number;
  /** 24 */ lipPressor: number;
  /** 25 */ lipsPart: number;
  /** 26 */ jawDrop: number;
  /** 43 */ lidDroop: number;
}

export const ACTION_UNITS = [
  'innerBrowRaiser',
  'outerBrowRaiser',
  'browLowerer',
  'upperLidRaiser',
  'cheekRaiser',
  'lidTightener',
  'noseWrinkler',
  'upperLipRaiser',
  'lipCornerPuller',
  'oneSidedCorner',
  'lipCornerDepressor',
  'lipStretcher',
  'lipPressor',
  'lipsPart',
  'jawDrop',
  'lidDroop',
] as const satisfies readonly (keyof ActionUnits)[];

const AT_REST = Object.fromEntries(ACTION_UNITS.map((unit) => [unit, 0])) as unknown as ActionUnits;

/** The units by which each expression is told, after the prototypes of EMFACS (Friesen & Ekman 1983). */
const PROTOTYPES: Record<(typeof EXPRESSIONS)[number], Partial<ActionUnits>> = {
  neutral: {},
  happiness: { cheekRaiser: 0.9, lipCornerPuller: 1, lipsPart: 0.7, jawDrop: 0.1 },
  surprise: { innerBrowRaiser: 1, outerBrowRaiser: 1, upperLidRaiser: 0.8, jawDrop: 0.9 },
  sadness: { innerBrowRaiser: 0.9, browLowerer: 0.4, lipCornerDepressor: 1, lidDroop: 0.6 },
  anger: { browLowerer: 1.1, upperLidRaiser: 0.2, lidTightener: 0.7, lipPressor: 0.9, lipCornerDepressor: 0.25 },
  disgust: { noseWrinkler: 1, upperLipRaiser: 1, browLowerer: 0.5, lidTightener: 0.5, lipCornerDepressor: 0.4, lipsPart: 0.4 },
  fear: {
    innerBrowRaiser: 1.1,
    outerBrowRaiser: 0.4,
    browLowerer: 0.5,
    upperLidRaiser: 1.1,
    lipStretcher: 1,
    lipsPart: 0.8,
    jawDrop: 0.15,
  },
  contempt: { oneSidedCorner: 1.1, lidDroop: 0.4, lipPressor: 0.3 },
};

/** The units of a mixture of expressions: their prototypes, weighted. @param mixture [EXPRESSIONS], summing to 1 */
export function blend(mixture: ArrayLike<number>): ActionUnits {
  const units = { ...AT_REST };
  EXPRESSIONS.forEach((expression, index) => {
    for (const unit of Object.keys(PROTOTYPES[expression]) as (keyof ActionUnits)[])
      units[unit] += mixture[index] * PROTOTYPES[expression][unit]!;
  });
  return units;
}
