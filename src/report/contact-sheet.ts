import { type FaceSet, pixelsOf, votesOf } from '../faces/face-set.js';
import { distribution, plurality } from '../labels/votes.js';
import { FONT, svgToPng } from './chart.js';
import { imageUrl } from './face-image.js';
import { expressionColours, INK, PALE_INK, RULE } from './palette.js';
import { shortened, text } from './svg-text.js';

export interface ContactSheetOptions {
  title?: string;
  /** The faces to show, as indices into the set; by default the first 24. */
  indices?: ArrayLike<number>;
  /** Faces side by side. */
  columns?: number;
  /** [count, classes] what a model says of every face of the set, to stand beside the votes. */
  probabilities?: ArrayLike<number>;
}

/** Lengths in pixels of the SVG. */
const MARGIN = 20;
const HEAD = 64;
const FACE = 120;
const CAPTION = 14;
const NAMES = 68;
const BARS = 76;
const NUMBERS = 30;
const GAP = 20;

/** Shares below this get neither a number nor a line: they could not be told from none. */
const LEAST_SHOWN = 0.03;

/** Faces, each with its annotators' votes as bars and, where known, a model's probabilities and the true distribution, as PNG. */
export function contactSheet(faces: FaceSet, options: ContactSheetOptions = {}): Buffer {
  return svgToPng(contactSheetSvg(faces, options));
}

/** The same as SVG. */
export function contactSheetSvg(faces: FaceSet, options: ContactSheetOptions = {}): string {
  const { title = faces.name, probabilities, columns = probabilities ? 3 : 4 } = options;
  const indices = Array.from(options.indices ?? Array.from({ length: Math.min(faces.count, 24) }, (_, index) => index));
  const cardWidth = FACE + NAMES + (BARS + NUMBERS) * (probabilities ? 2 : 1);
  const cardHeight = Math.max(FACE + CAPTION, faces.voteNames.length * rowHeight(faces));
  const width = 2 * MARGIN + columns * (cardWidth + GAP) - GAP;
  const height = HEAD + Math.ceil(indices.length / columns) * (cardHeight + GAP) - GAP + MARGIN;
  const cards = indices.map((face, place) => {
    const x = MARGIN + (place % columns) * (cardWidth + GAP);
    const y = HEAD + Math.floor(place / columns) * (cardHeight + GAP);
    return `<g transform="translate(${x} ${y})">${card(faces, face, probabilities)}</g>`;
  });
  const legend = [
    'bars: votes of the annotators',
    ...(probabilities ? ['at their right: probabilities of the model'] : []),
    ...(faces.truth ? ['dark lines: the true distribution'] : []),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="${FONT}">
<defs><clipPath id="face"><rect width="${FACE}" height="${FACE}" rx="5"/></clipPath></defs>
<rect width="${width}" height="${height}" fill="white"/>
${text(MARGIN, 28, title, { size: 16, bold: true })}
${text(MARGIN, 46, legend.join('; '), { size: 11, colour: PALE_INK })}
${cards.join('\n')}
</svg>
`;
}

/** Faces of all kinds in turn, so that rare expressions are seen too: one of each plurality, a second of each, and so on. */
export function variedFaces(faces: FaceSet, count: number): number[] {
  const seen = new Map<number, number>(); // plurality → faces of it so far
  const turns = Array.from({ length: faces.count }, (_, face) => {
    const best = plurality(votesOf(faces, face).subarray(0, faces.classes.length));
    const turn = seen.get(best) ?? 0;
    seen.set(best, turn + 1);
    return { face, best, turn };
  });
  return turns
    .filter(({ best }) => best >= 0)
    .sort((a, b) => a.turn - b.turn || a.best - b.best)
    .slice(0, count)
    .map(({ face }) => face);
}

/** One face with its id below and a table of bars beside it. */
function card(faces: FaceSet, face: number, probabilities?: ArrayLike<number>): string {
  const { voteNames, classes, truth } = faces;
  const votes = votesOf(faces, face);
  const height = rowHeight(faces);
  const rowOf = (table: ArrayLike<number>) => Array.from(classes, (_, c) => table[face * classes.length + c]);
  const numbers = votes.every(Number.isInteger) ? Array.from(votes, String) : undefined;
  const left = FACE + NAMES;
  return [
    `<image href="${imageUrl(pixelsOf(faces, face), faces)}" width="${FACE}" height="${FACE}" clip-path="url(#face)"/>`,
    text(0, FACE + 11, shortened(faces.ids[face], 24), { size: 8, colour: PALE_INK }),
    ...voteNames.map((name, row) => text(left - 6, (row + 0.5) * height, shortened(name, 12), { size: 9, end: true, middle: true })),
    bars({ x: left, height, names: voteNames, shares: distribution(votes), numbers, marks: truth && rowOf(truth) }),
    probabilities ? bars({ x: left + BARS + NUMBERS, height, names: classes, shares: rowOf(probabilities) }) : '',
  ].join('');
}

interface Bars {
  x: number;
  /** Of one row. */
  height: number;
  names: readonly string[];
  shares: ArrayLike<number>;
  /** What stands behind each bar, instead of its share in percent. */
  numbers?: readonly string[];
  /** Shares to mark by a line. */
  marks?: ArrayLike<number>;
}

/** A bar for each share; one of 1 is as long as BARS. */
function bars({ x, height, names, shares, numbers, marks = [] }: Bars): string {
  const colours = expressionColours(names);
  const rows = names.map((_, row) => {
    const y = row * height;
    const mark = marks[row] >= LEAST_SHOWN ? marks[row] : 0;
    const end = x + BARS * Math.max(shares[row], mark);
    const number = numbers?.[row] ?? `${Math.round(100 * shares[row])}%`;
    return [
      rect(x, y + 2, BARS * shares[row], height - 4, colours[row]),
      mark > 0 ? rect(x + BARS * mark - 0.75, y + 0.5, 1.5, height - 1, INK) : '',
      shares[row] >= LEAST_SHOWN ? text(end + 4, y + height / 2, number, { size: 8, colour: PALE_INK, middle: true }) : '',
    ].join('');
  });
  return rect(x - 1, 0, 1, names.length * height, RULE) + rows.join('');
}

/** As many rows as stand beside the face, within what is legible. */
function rowHeight({ voteNames }: FaceSet): number {
  return Math.min(15, Math.max(11, FACE / voteNames.length));
}

function rect(x: number, y: number, width: number, height: number, fill: string): string {
  return `<rect x="${x.toFixed(2)}" y="${y.toFixed(2)}" width="${width.toFixed(2)}" height="${height.toFixed(2)}" fill="${fill}"/>`;
}
