import { FONT, svgToPng } from './chart.js';
import { imageUrl } from './face-image.js';
import { INK, PALE_INK } from './palette.js';

/** One corruption of a face: pixels of 8 bits [height, width, channels] for each severity. */
export interface CorruptedFaces {
  name: string;
  severities: readonly { severity: number; pixels: Uint8Array }[];
}

interface Extent {
  height: number;
  width: number;
  channels: 1 | 3;
}

/** Lengths in pixels of the SVG. */
const MARGIN = 20;
const HEAD = 84;
const FACE = 84;
const GAP = 6;
const NAME = 112;
/** Corruptions stand in so many blocks side by side. */
const BLOCKS = 2;

/** A face under every corruption (rows) at every severity (columns), the face itself first, as PNG. */
export function corruptionSheet(face: Uint8Array, corruptions: readonly CorruptedFaces[], extent: Extent): Buffer {
  return svgToPng(corruptionSheetSvg(face, corruptions, extent));
}

/** The same as SVG. */
export function corruptionSheetSvg(face: Uint8Array, corruptions: readonly CorruptedFaces[], extent: Extent): string {
  const columns = Math.max(...corruptions.map(({ severities }) => severities.length)) + 1;
  const blocks = Math.min(BLOCKS, corruptions.length);
  const rows = Math.ceil(corruptions.length / blocks);
  const blockWidth = NAME + columns * (FACE + GAP);
  const width = 2 * MARGIN + blocks * blockWidth + (blocks - 1) * MARGIN;
  const height = HEAD + rows * (FACE + GAP) + MARGIN;
  const image = (pixels: Uint8Array, x: number, y: number) =>
    `<image href="${imageUrl(pixels, extent)}" x="${x}" y="${y}" width="${FACE}" height="${FACE}" image-rendering="optimizeSpeed"/>`;
  const text = (x: number, y: number, content: string, style: string) => `<text x="${x}" y="${y}" ${style}>${content}</text>`;
  const label = `font-size="11" fill="${PALE_INK}" text-anchor="middle"`;

  const cells = corruptions.flatMap(({ name, severities }, index) => {
    const left = MARGIN + Math.floor(index / rows) * (blockWidth + MARGIN);
    const top = HEAD + (index % rows) * (FACE + GAP);
    const at = (column: number) => left + NAME + column * (FACE + GAP);
    const heads =
      index % rows === 0
        ? ['clean', ...severities.map(({ severity }) => `severity ${severity}`)].map((head, i) =>
            text(at(i) + FACE / 2, HEAD - 10, head, label),
          )
        : [];
    return [
      ...heads,
      text(left + NAME - 10, top + FACE / 2 + 4, name, `font-size="12" fill="${INK}" text-anchor="end"`),
      image(face, at(0), top),
      ...severities.map(({ pixels }, i) => image(pixels, at(i + 1), top)),
    ];
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="${FONT}">
<rect width="${width}" height="${height}" fill="white"/>
${text(MARGIN, 32, 'Corruptions', `font-size="16" font-weight="bold" fill="${INK}"`)}
${text(MARGIN, 50, 'one face under each, with the constants of ImageNet-C for its size', `font-size="11" fill="${PALE_INK}"`)}
${cells.join('\n')}
</svg>
`;
}
