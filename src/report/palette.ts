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

/** Viridis (Smith and van der Walt 2015) at tenths: equal steps look equal, and lightness alone tells them too. */
const SCALE = ['#440154', '#482475', '#414487', '#355f8d', '#2a788e', '#21918c', '#22a884', '#44bf70', '#7ad151', '#bddf26', '#fde725'].map(
  (colour) => [1, 3, 5].map((i) => Number.parseInt(colour.slice(i, i + 2), 16)),
);

/** The colour of a number from 0 (dark) to 1 (light) on a scale, as red, green and blue from 0 to 255. */
export function scaleColour(share: number): [red: number, green: number, blue: number] {
  const place = Math.min(1, Math.max(0, share)) * (SCALE.length - 1);
  const below = Math.min(SCALE.length - 2, Math.floor(place));
  const mixed = SCALE[below].map((value, i) => value + (place - below) * (SCALE[below + 1][i] - value));
  return mixed as [number, number, number];
}

/** The colours of `names`, in their order. Names of no known expression get the colours that the others leave free, in turn. */
export function expressionColours(names: readonly string[]): string[] {
  const known = names.map((name) => EXPRESSION_COLOURS[expressionName(name)]);
  const free = Object.values(EXPRESSION_COLOURS).filter((colour) => !known.includes(colour));
  const others = free.length > 0 ? free : Object.values(EXPRESSION_COLOURS);
  let next = 0;
  return known.map((colour) => colour ?? others[next++ % others.length]);
}
