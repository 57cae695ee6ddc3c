import { reconstructionSheet, reconstructionSheetSvg } from '#src/report/reconstruction-sheet.js';
import { assert, suite } from '../support/suite.js';

suite('reconstruction sheet', (test) => {
  const face = (value: number) => new Uint8Array(16).fill(value);
  const faces = [1, 2, 3].map((i) => ({ masked: face(i), completed: face(50 + i), original: face(100 + i) }));
  const sheet = { title: 'Hidden & seen', subtitle: 'after epoch 2', extent: { height: 4, width: 4, channels: 1 as const }, faces };

  test('has three pictures of each face under their headings', () => {
    const svg = reconstructionSheetSvg(sheet);
    assert.is(svg.match(/<image /g)?.length, 9);
    assert.is(new Set(svg.match(/base64,[^"]+/g)).size, 9);
    assert.is(svg.match(/>completed</g)?.length, 2);
    assert.ok(svg.includes('Hidden &amp; seen') && svg.includes('after epoch 2'));
    const places = [...svg.matchAll(/<image [^>]* x="(\d+)" y="(\d+)"/g)].map(([, x, y]) => `${x} ${y}`);
    assert.is(new Set(places).size, 9);
  });

  test('is a PNG', () => {
    assert.is(reconstructionSheet(sheet).subarray(1, 4).toString(), 'PNG');
  });
});
