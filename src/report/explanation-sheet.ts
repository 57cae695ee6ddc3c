import { FONT, svgToPng } from './chart.js';
import { imageUrl } from './face-image.js';
import { PALE_INK, scaleColour } from './palette.js';
import { shortened, text } from './svg-text.js';

/** A face, what a model says of it, and where it read that. */
export interface ExplainedFace {
  name: string;
  /** As the model sees it, [height, width, channels] of 8 bits. */
  pixels: Uint8Array;
  /** [classes] */
  probabilities: ArrayLike<number>;
  /** [classes, rows, columns] */
  maps: ArrayLike<number>;
}

export interface ExplanationSheetOptions {
  classes: readonly string[];
  /** Of the faces. */
  extent: Extent;
  rows: number;
  columns: number;
  /** `attention`: each map is a distribution over the places; `activation`: what each place adds to the logit. */
  kind: 'attention' | 'activation';
}

interface Extent {
  height: number;
  width: number;
  channels: 1 | 3;
}

/** Lengths in pixels of the SVG. */
const MARGIN = 20;
const HEAD = 72;
const FACE = 112;
const CAPTION = 18;
const GAP = 10;
const BAR = 180;

/** Pixels of an overlay to one of the SVG: as many as the PNG has. */
const DENSITY = 2;
/** How much of an overlay is the map's colour; the rest is the face. */
const OPACITY = 0.6;

/** A row per face: the face, and each class's map over it, the most probable class first, as PNG. All maps share one scale of colours. */
export function explanationSheet(faces: readonly ExplainedFace[], options: ExplanationSheetOptions): Buffer {
  return svgToPng(explanationSheetSvg(faces, options));
}

/** The same as SVG. */
export function explanationSheetSvg(faces: readonly ExplainedFace[], options: ExplanationSheetOptions): string {
  const { classes, extent, rows, columns, kind } = options;
  const range = rangeOf(faces, kind);
  const width = 2 * MARGIN + (classes.length + 1) * (FACE + GAP) - GAP;
  const height = HEAD + faces.length * (FACE + CAPTION + GAP) - GAP + MARGIN;
  const image = (x: number, y: number, pixels: Uint8Array, side: Extent) =>
    `<image href="${imageUrl(pixels, side)}" x="${x}" y="${y}" width="${FACE}" height="${FACE}"/>`;
  const cells = faces.flatMap(({ name, pixels, probabilities, maps }, row) => {
    const y = HEAD + row * (FACE + CAPTION + GAP);
    const order = classes.map((_, c) => c).sort((a, b) => probabilities[b] - probabilities[a]);
    const places = rows * columns;
    const overlays = order.flatMap((c, place) => {
      const x = MARGIN + (place + 1) * (FACE + GAP);
      const map = Array.from({ length: places }, (_, i) => maps[c * places + i]);
      const side = FACE * DENSITY;
      const caption = `${shortened(classes[c], 11)} ${shareText(probabilities[c])}`;
      return [
        image(x, y, overlay(pixels, extent, { values: map, rows, columns, range }, side), { height: side, width: side, channels: 3 }),
        text(x, y + FACE + 13, caption, { size: 10, bold: place === 0 }),
      ];
    });
    return [
      image(MARGIN, y, pixels, extent),
      text(MARGIN, y + FACE + 13, shortened(name, 18), { size: 10, colour: PALE_INK }),
      ...overlays,
    ];
  });
  const [title, subtitle] = TITLES[kind];
  const remarks = [
    subtitle,
    ...(kind === 'attention' ? [`evenly it were ${shareText(1 / (rows * columns))} a place`] : []),
    'the most probable first',
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="${FONT}">
<rect width="${width}" height="${height}" fill="white"/>
${text(MARGIN, 30, title, { size: 16, bold: true })}
${text(MARGIN, 50, remarks.join('; '), { size: 11, colour: PALE_INK })}
${legend(width - MARGIN - BAR, range, kind)}
${cells.join('\n')}
</svg>
`;
}

function shareText(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

const TITLES = {
  attention: ['Where each expression was looked for', "attention of the decoder's last layer, mean over its heads"],
  activation: ['What speaks for each expression', 'class activation maps: what each place of the last feature map adds to the logit'],
} as const;

/** Attention begins at none; what is added to a logit may be below nothing. */
function rangeOf(faces: readonly ExplainedFace[], kind: ExplanationSheetOptions['kind']): [least: number, greatest: number] {
  const bounds = faces.map(({ maps }) =>
    Array.from(maps).reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [0, 0]),
  );
  return [kind === 'attention' ? 0 : Math.min(...bounds.map(([low]) => low)), Math.max(...bounds.map(([, high]) => high))];
}

/** The scale of colours with its ends, on the right above the pictures. */
function legend(x: number, range: [number, number], kind: ExplanationSheetOptions['kind']): string {
  const steps = Array.from({ length: BAR }, (_, i) => {
    const colour = scaleColour(i / (BAR - 1)).map(Math.round);
    return `<rect x="${x + i}" y="22" width="1.5" height="10" fill="rgb(${colour})"/>`;
  });
  const written = (value: number) => (kind === 'attention' ? shareText(value) : value.toFixed(2));
  const [low, high] = range.map(written);
  return [
    ...steps,
    text(x, 46, low, { size: 10, colour: PALE_INK }),
    text(x + BAR, 46, `${high}${kind === 'attention' ? ' of the attention' : ''}`, { size: 10, colour: PALE_INK, end: true }),
  ].join('');
}

interface ScaledMap {
  /** [rows, columns] */
  values: ArrayLike<number>;
  rows: number;
  columns: number;
  /** The numbers at the ends of the scale of colours. */
  range: readonly [number, number];
}

/** A map in colours over a face, both enlarged to a square: [side, side, 3]. */
export function overlay(pixels: ArrayLike<number>, extent: Extent, { values, rows, columns, range }: ScaledMap, side: number): Uint8Array {
  const { height, width, channels } = extent;
  const planes = Array.from({ length: channels }, (_, channel) => {
    const plane = Array.from({ length: height * width }, (_, i) => pixels[i * channels + channel]);
    return enlarged(plane, { height, width }, side);
  });
  const map = enlarged(values, { height: rows, width: columns }, side);
  const [low, high] = range;
  const picture = new Uint8Array(side * side * 3);
  map.forEach((value, i) => {
    const colour = scaleColour(high > low ? (value - low) / (high - low) : 0);
    for (let channel = 0; channel < 3; channel++) {
      picture[3 * i + channel] = Math.round(OPACITY * colour[channel] + (1 - OPACITY) * planes[channel % channels][i]);
    }
  });
  return picture;
}

/** Bilinear: between the middles of the places, and beyond the outermost of them as they are. [height, width] → [side, side] */
export function enlarged(values: ArrayLike<number>, { height, width }: { height: number; width: number }, side: number): Float64Array {
  /** Of each new place along one axis: the place before it, the one behind it, and how far it is towards that. */
  const between = (count: number) =>
    Array.from({ length: side }, (_, i) => {
      const at = Math.min(count - 1, Math.max(0, ((i + 0.5) * count) / side - 0.5));
      const first = Math.floor(at);
      return { first, second: Math.min(count - 1, first + 1), share: at - first };
    });
  const across = between(width);
  return Float64Array.from(
    between(height).flatMap((y) =>
      across.map((x) => {
        const along = (row: number) => values[row * width + x.first] * (1 - x.share) + values[row * width + x.second] * x.share;
        return along(y.first) * (1 - y.share) + along(y.second) * y.share;
      }),
    ),
  );
}
