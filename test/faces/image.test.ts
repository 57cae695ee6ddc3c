import path from 'node:path';
import sharp from 'sharp';
import { InputError } from '#src/errors.js';
import { type Image, readImage, resize, withChannels } from '#src/faces/image.js';
import { assert, rejects, suite } from '../support/suite.js';
import { assertClose } from '../support/tensors.js';
import { greyPng, inFolder, png, write } from './fixtures.js';

const RED = [255, 0, 0];
const BLUE = [0, 0, 255];

suite('image', (test) => {
  test('PNG becomes RGB, or grey by luma', () =>
    inFolder(async (folder) => {
      const file = write(
        folder,
        'halves.png',
        png(2, 2, (x) => (x === 0 ? RED : BLUE)),
      );
      assert.equal([...(await readImage(file, 2, 3))], [...RED, ...BLUE, ...RED, ...BLUE]);
      assert.equal([...(await readImage(file, 2, 1))], [76, 29, 76, 29]);
    }));

  test('transparent parts become black', () =>
    inFolder(async (folder) => {
      const file = write(
        folder,
        'clear.png',
        png(2, 2, (x) => [200, 200, 200, x === 0 ? 0 : 255]),
      );
      assert.equal([...(await readImage(file, 2, 1))], [0, 200, 0, 200]);
    }));

  test('JPEG is told by its bytes, whatever its name', () =>
    inFolder(async (folder) => {
      const jpeg = await sharp(png(16, 16, () => [200, 100, 50]))
        .jpeg({ quality: 100 })
        .toBuffer();
      const pixels = await readImage(write(folder, 'face.png', jpeg), 16, 3);
      assert.is(pixels.length, 16 * 16 * 3);
      assertClose(pixels.subarray(0, 3), [200, 100, 50], { absolute: 3 });
      const grey = await sharp(greyPng(90, 16)).greyscale().jpeg({ quality: 100 }).toBuffer();
      assertClose(await readImage(write(folder, 'grey.jpg', grey), 8, 3), new Float32Array(8 * 8 * 3).fill(90), { absolute: 2 });
    }));

  test('the orientation of a JPEG is applied', () =>
    inFolder(async (folder) => {
      const upright = png(16, 16, (_, y) => (y < 8 ? [255, 255, 255] : [0, 0, 0]));
      const turned = await sharp(upright).withMetadata({ orientation: 3 }).jpeg({ quality: 100 }).toBuffer(); // 3: upside down
      const pixels = await readImage(write(folder, 'turned.jpg', turned), 16, 1);
      assert.ok(pixels[0] < 10 && pixels[255] > 245);
    }));

  test('the middle of an oblong image is taken', () =>
    inFolder(async (folder) => {
      const file = write(
        folder,
        'wide.png',
        png(12, 4, (x) => (x >= 4 && x < 8 ? [200, 200, 200] : [0, 0, 0])),
      );
      assert.equal([...(await readImage(file, 4, 1))], Array(16).fill(200));
      const tall = write(
        folder,
        'tall.png',
        png(4, 12, (_, y) => (y >= 4 && y < 8 ? [200, 200, 200] : [0, 0, 0])),
      );
      assert.equal([...(await readImage(tall, 4, 1))], Array(16).fill(200));
    }));

  test('a box is cut out about its centre, as a square within the image', () =>
    inFolder(async (folder) => {
      const file = write(
        folder,
        'steps.png',
        png(16, 12, (x, y) => [10 * x, 10 * y, 0]),
      );
      const corners = async (left: number, top: number, right: number, bottom: number) => {
        const size = Math.min(12, Math.max(right - left, bottom - top));
        const pixels = await readImage(file, size, 3, { left, top, right, bottom });
        return [pixels[0] / 10, pixels[1] / 10, size];
      };
      assert.equal(await corners(4, 2, 12, 10), [4, 2, 8]);
      assert.equal(await corners(6, 2, 10, 10), [4, 2, 8], 'a narrow box is widened');
      assert.equal(await corners(-4, -4, 4, 4), [0, 0, 8], 'what is beyond the border is not there');
      assert.equal(await corners(12, 8, 20, 16), [8, 4, 8]);
      assert.equal(await corners(-20, -20, 40, 40), [4, 0, 12], 'no more than the image');
      for (const [left, top, right, bottom] of [[16, 0, 20, 4], [0, 12, 4, 14], [-4, 0, 0, 4], [4, 4, 4, 8], [Number.NaN, 0, 4, 4]]) // biome-ignore format: one list
        await rejects(() => readImage(file, 8, 3, { left, top, right, bottom }), InputError, 'steps.png', 'box', '16×12 pixels');
    }));

  test('growing is bilinear, shrinking averages what is covered', () => {
    const ramp = { height: 2, width: 2, channels: 1, pixels: Uint8Array.from([0, 100, 0, 100]) } as const;
    assert.equal([...resize(ramp, 4).pixels].slice(0, 4), [0, 25, 75, 100]);
    const checks: Image = {
      height: 8,
      width: 8,
      channels: 1,
      pixels: Uint8Array.from({ length: 64 }, (_, at) => 200 * (((at % 8) + (at >> 3)) % 2)),
    };
    assertClose(resize(checks, 2).pixels, [100, 100, 100, 100], { absolute: 1 });
    const flat: Image = { height: 5, width: 5, channels: 3, pixels: new Uint8Array(75).fill(77) };
    for (const size of [1, 3, 7, 48])
      assert.ok(
        resize(flat, size).pixels.every((pixel) => pixel === 77),
        `${size}`,
      );
    assert.is(resize(flat, 5), flat);
  });

  test('channels are repeated or weighed', () => {
    const rgb: Image = { height: 1, width: 1, channels: 3, pixels: Uint8Array.from([10, 20, 30]) };
    assert.equal([...withChannels(rgb, 1).pixels], [18]);
    assert.equal([...withChannels({ height: 1, width: 2, channels: 1, pixels: Uint8Array.from([4, 5]) }, 3).pixels], [4, 4, 4, 5, 5, 5]);
  });

  test('unreadable images are refused by name', () =>
    inFolder(async (folder) => {
      const whole = png(32, 32, (x, y) => [x * 8, y * 8, (x * y) % 256]);
      const jpeg = await sharp(whole).jpeg().toBuffer();
      const oversized = Buffer.from(whole);
      oversized.writeUInt32BE(1_000_000, 16); // the width in the header
      const files = {
        'cut.png': whole.subarray(0, whole.length / 2),
        'cut.jpg': jpeg.subarray(0, jpeg.length / 2),
        'head.png': whole.subarray(0, 10),
        'huge.png': oversized,
        'noise.png': Buffer.concat([whole.subarray(0, 60), Buffer.alloc(100, 0x55)]),
      };
      for (const [name, bytes] of Object.entries(files)) {
        await rejects(() => readImage(write(folder, name, bytes), 8, 1), InputError, name, 'unreadable image', 'Copy the file anew');
      }
      await rejects(() => readImage(write(folder, 'text.png', 'no image'), 8, 1), InputError, 'text.png', 'neither a PNG nor a JPEG');
      await rejects(() => readImage(write(folder, 'empty.png', ''), 8, 1), InputError, 'empty.png', 'neither a PNG nor a JPEG');
      await rejects(() => readImage(path.join(folder, 'absent.png'), 8, 1), InputError, 'absent.png', 'there is no such file');
    }));
});
