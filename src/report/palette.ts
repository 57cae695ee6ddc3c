import { expressionName } from '../faces/expressions.js';

/**
 * One colour for each expression in every picture. Chosen to stay apart for people with protanopia, deuteranopia or
 * tritanopia; where one can, the colour is the one that the expression is spoken of in.
 */
const EXPRESSION_COLOURS: Readonly<Record<string, string>> = {
  neutral: '#7c7678',
  happiness: '#fac515',
  surprise: '#f58220',
  sadness: '#2e56c8',
  anger: '#d32f1c',
  disgust: '#22b78a',
  fear: '#52127a',
  contempt: '#ae92f2',
  unknown: '#c9ced4',
  NF: '#34393a',
};

/** What is drawn in no expression's colour. */
export const INK = '#22262b';
export const PALE_INK = '#6b7178';
export const RULE = '#d9dde2';
export const GRID = '#eef1f5';
export const ACCENT = '#2e56c8';
export const PALE_ACCENT = '#b9c7ee';
export const SECOND_ACCENT = '#f58220';
export const CONTRAST = '#22b78a';

/** The colours of `names`, in their order. Names of no known expression get the colours that the others leave free, in turn. */
export function expressionColours(names: readonly string[]): string[] {
  const known = names.map((name) => EXPRESSION_COLOURS[expressionName(name)]);
  const free = Object.values(EXPRESSION_COLOURS).filter((colour) => !known.includes(colour));
  const others = free.length > 0 ? free : Object.values(EXPRESSION_COLOURS);
  let next = 0;
  return known.map((colour) => colour ?? others[next++ % others.length]);
}
