import { PNG } from 'pngjs';

/** Pixels of 8 bits, [height, width, channels], as the URL of a PNG that an SVG or a page can hold in itself. */
export function imageUrl(pixels: Uint8Array, { height, width, channels }: { height: number; width: number; channels: 1 | 3 }): string {
  const png = new PNG({ width, height });
  for (let i = 0; i < height * width; i++) {
    for (let channel = 0; channel < 3; channel++) png.data[4 * i + channel] = pixels[channels * i + (channels === 3 ? channel : 0)];
    png.data[4 * i + 3] = 255;
  }
  return `data:image/png;base64,${PNG.sync.write(png).toString('base64')}`;
}
