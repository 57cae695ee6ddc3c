import { escaped } from './escaped.js';
import { INK } from './palette.js';

interface TextStyle {
  size: number;
  colour?: string;
  bold?: boolean;
  /** The text ends at x instead of beginning there. */
  end?: boolean;
  /** Its letters stand about y instead of on it. */
  middle?: boolean;
}

/** One line of text as SVG. */
export function text(x: number, y: number, content: string, { size, colour = INK, bold, end, middle }: TextStyle): string {
  const baseline = middle ? y + 0.36 * size : y; // half the height of a capital
  const style = `font-size="${size}" fill="${colour}"${bold ? ' font-weight="bold"' : ''}${end ? ' text-anchor="end"' : ''}`;
  return `<text x="${x.toFixed(2)}" y="${baseline.toFixed(2)}" ${style}>${escaped(content)}</text>`;
}

/** The end of a long name tells more than its beginning, for it is often a path. */
export function shortened(name: string, length: number): string {
  return name.length <= length ? name : `…${name.slice(1 - length)}`;
}
