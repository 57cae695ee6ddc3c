import { FONT, svgToPng } from './chart.js';
import { escaped } from './escaped.js';
import { imageUrl } from './face-image.js';
import { INK, PALE_INK } from './palette.js';

export interface ReconstructionSheet {
  title: string;
  subtitle: string;
  /** Of every picture, in pixels. */
  extent: { height: number; width: number; channels: 1 | 3 };
  /** [height, width, channels], 8 bits each: a face without what was hidden, with what was put in its place, and as it is. */
  faces: readonly { masked: Uint8Array; completed: Uint8Array; original: Uint8Array }[];
}

/** Lengths in pixels of the SVG. */
const MARGIN = 20;
const HEAD = 78;
const FACE = 120;
const GAP = 6;
const BETWEEN = 30;
const COLUMNS = 2;
const PARTS = [
  ['masked', 'what is seen'],
  ['completed', 'completed'],
  ['original', 'the face'],
] as const;

/** Faces in rows, each three times: what a masked autoencoder sees of it, how it completes it, and the whole of it. */
export function reconstructionSheet(sheet: ReconstructionSheet): Buffer {
  return svgToPng(reconstructionSheetSvg(sheet));
}

/** The same as SVG. */
export function reconstructionSheetSvg({ title, subtitle, extent, faces }: ReconstructionSheet): string {
  const group = PARTS.length * (FACE + GAP) - GAP;
  const columns = Math.min(COLUMNS, faces.length);
  const width = 2 * MARGIN + columns * (group + BETWEEN) - BETWEEN;
  const height = HEAD + Math.ceil(faces.length / columns) * (FACE + GAP) - GAP + MARGIN;
  const left = (column: number, part: number) => MARGIN + column * (group + BETWEEN) + part * (FACE + GAP);
  const text = (x: number, y: number, size: number, content: string, style: string) =>
    `<text x="${x}" y="${y}" font-size="${size}" ${style}>${escaped(content)}</text>`;
  const heads = Array.from({ length: columns }, (_, column) =>
    PARTS.map(([, name], part) => text(left(column, part), HEAD - 8, 10, name, `fill="${PALE_INK}"`)),
  );
  const images = faces.map((face, place) =>
    PARTS.map(([name], part) => {
      const [x, y] = [left(place % columns, part), HEAD + Math.floor(place / columns) * (FACE + GAP)];
      const url = imageUrl(face[name], extent);
      return `<image href="${url}" x="${x}" y="${y}" width="${FACE}" height="${FACE}" image-rendering="optimizeSpeed"/>`;
    }),
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="${FONT}">
<rect width="${width}" height="${height}" fill="white"/>
${text(MARGIN, 28, 16, title, `fill="${INK}" font-weight="bold"`)}
${text(MARGIN, 46, 11, subtitle, `fill="${PALE_INK}"`)}
${[...heads, ...images].flat().join('\n')}
</svg>
`;
}
