import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PNG } from 'pngjs';
import type { DatasetOptions } from '#src/faces/face-set.js';
import { scratchFolder } from '../run/scratch.js';

process.env.MOUE_CACHE = scratchFolder(); // no test leaves packed faces in the user's own folder

export const OPTIONS: DatasetOptions = { seed: 1, validationShare: 0.25, size: 48, channels: 1 };

/** Runs `body` with an empty folder, which is removed afterwards. */
export async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'moue-faces-'));
  try {
    await body(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Writes a file and the folders above it; returns its path. */
export function write(folder: string, name: string, content: string | Uint8Array): string {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

/** A PNG image; `color` gives RGB or RGBA of a pixel. */
export function png(width: number, height: number, color: (x: number, y: number) => readonly number[]): Buffer {
  const image = new PNG({ width, height });
  for (let pixel = 0; pixel < width * height; pixel++) {
    const [red, green, blue, alpha = 255] = color(pixel % width, Math.floor(pixel / width));
    image.data.set([red, green, blue, alpha], 4 * pixel);
  }
  return PNG.sync.write(image);
}

/** A PNG of one grey. */
export function greyPng(value: number, size = 8): Buffer {
  return png(size, size, () => [value, value, value]);
}

export const PIXELS_HEADER = 'emotion,pixels,Usage';
export const VOTES_HEADER = 'Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF';

/** 48×48 pixels of FER2013 that count up from `start`, as the file has them. */
export function pixelCell(start: number): string {
  return Array.from({ length: 48 * 48 }, (_, index) => (start + index) % 256).join(' ');
}

export interface FerPlusRow {
  usage: string;
  emotion?: number;
  pixels?: string;
  votes?: string;
}

/** The text of fer2013.csv and of fer2013new.csv. */
export function ferPlusText(rows: readonly FerPlusRow[]): { pixels: string; votes: string } {
  const pixels = rows.map(({ emotion = 3, pixels: cell, usage }, row) => `${emotion},${cell ?? pixelCell(row)},${usage}`);
  const votes = rows.map(({ usage, votes: cells = '0,9,0,0,0,0,0,1,0,0' }, row) => `${usage},fer${row}.png,${cells}`);
  return { pixels: `${[PIXELS_HEADER, ...pixels].join('\n')}\n`, votes: `${[VOTES_HEADER, ...votes].join('\n')}\n` };
}

/** Writes both files of FER+ into a folder. */
export function writeFerPlus(folder: string, rows: readonly FerPlusRow[]): void {
  const { pixels, votes } = ferPlusText(rows);
  write(folder, 'fer2013.csv', pixels);
  write(folder, 'fer2013new.csv', votes);
}

/** Rows with their usages only. */
export function usages(counts: Record<string, number>): FerPlusRow[] {
  return Object.entries(counts).flatMap(([usage, count]) => Array.from({ length: count }, () => ({ usage })));
}
