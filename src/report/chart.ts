import { createRequire } from 'node:module';
import { Resvg } from '@resvg/resvg-js';
import * as vega from 'vega';
import { type Config, compile, type TopLevelSpec } from 'vega-lite';
import { GRID, INK, PALE_INK, RULE } from './palette.js';

/** The font of all pictures. It comes with the program, for machines that train have often none. */
export const FONT = 'DejaVu Sans';

const { resolve } = createRequire(import.meta.url);
const FONT_FILES = ['DejaVuSans.ttf', 'DejaVuSans-Bold.ttf'].map((file) => resolve(`dejavu-fonts-ttf/ttf/${file}`));

/** Pixels of the PNG to one of the SVG, so that text stays legible on dense screens. */
const SCALE = 2;

/** Without a canvas Vega takes every letter to be 0.8 em wide, which leaves holes in the layout. These are the widths of the font above. */
interface TextMetrics {
  width(item: { fontSize?: number }, text?: unknown): number;
}
const { textMetrics } = vega as unknown as { textMetrics: TextMetrics };
textMetrics.width = ({ fontSize = 11 }, text = '') => [...String(text)].reduce((sum, letter) => sum + letterWidth(letter) * fontSize, 0);

function letterWidth(letter: string): number {
  if (/[ijlft.,;: ]/.test(letter)) return 0.34;
  return /[mwMW%]/.test(letter) ? 0.92 : 0.62;
}

/** The look of every chart. */
const STYLE: Config = {
  background: 'white',
  padding: 20,
  font: FONT,
  title: {
    color: INK,
    fontSize: 13,
    anchor: 'start',
    frame: 'group',
    offset: 8,
    subtitleColor: PALE_INK,
    subtitleFontSize: 11,
    subtitlePadding: 6,
  },
  axis: {
    labelColor: PALE_INK,
    labelFontSize: 11,
    titleColor: PALE_INK,
    titleFontSize: 11,
    titleFontWeight: 'normal',
    titlePadding: 8,
    labelFlush: false,
    domainColor: RULE,
    tickColor: RULE,
    gridColor: GRID,
  },
  legend: {
    labelColor: INK,
    labelFontSize: 11,
    labelLimit: 300,
    columns: 7,
    columnPadding: 14,
    gridAlign: 'none',
    orient: 'top',
    offset: 6,
  },
  view: { stroke: null },
};

/** The title of a whole picture, above a line that says how to read it. */
export function heading(text: string, subtitle: string) {
  return { text, subtitle, fontSize: 16, offset: 16, frame: 'bounds' } as const;
}

/** One of the charts that stand side by side in a picture. */
export type Panel = Extract<TopLevelSpec, { concat: unknown }>['concat'][number];

/** Draws a Vega-Lite chart, in the style that all charts share, as PNG. */
export async function chartPng(spec: TopLevelSpec): Promise<Buffer> {
  return svgToPng(await chartSvg(spec));
}

/** The same as SVG. */
export async function chartSvg(spec: TopLevelSpec): Promise<string> {
  const view = new vega.View(vega.parse(compile(spec, { config: STYLE }).spec), { renderer: 'none' });
  const svg = await view.toSVG();
  view.finalize();
  return svg;
}

/** The bytes of a PNG, twice the size that the SVG gives. */
export function svgToPng(svg: string): Buffer {
  const font = { fontFiles: FONT_FILES, loadSystemFonts: false, defaultFontFamily: FONT, sansSerifFamily: FONT };
  return new Resvg(svg, { font, fitTo: { mode: 'zoom', value: SCALE } }).render().asPng();
}
