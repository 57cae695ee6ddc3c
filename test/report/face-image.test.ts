import { PNG } from 'pngjs';
import { imageUrl } from '#src/report/face-image.js';
import { assert, suite } from '../support/suite.js';

const pixelsOf = (url: string) => {
  const png = PNG.sync.read(Buffer.from(url.replace('data:image/png;base64,', ''), 'base64'));
  return { width: png.width, height: png.height, data: [...png.data] };
};

suite('face image', (test) => {
  test('grey bytes become grey pixels', () => {
    const url = imageUrl(Uint8Array.of(0, 128, 255, 7, 8, 9), { height: 2, width: 3, channels: 1 });
    const data = [0, 128, 255, 7, 8, 9].flatMap((value) => [value, value, value, 255]);
    assert.equal(pixelsOf(url), { width: 3, height: 2, data });
  });

  test('RGB bytes keep their colours', () => {
    const url = imageUrl(Uint8Array.of(1, 2, 3, 250, 128, 0), { height: 1, width: 2, channels: 3 });
    assert.equal(pixelsOf(url), { width: 2, height: 1, data: [1, 2, 3, 255, 250, 128, 0, 255] });
  });
});
