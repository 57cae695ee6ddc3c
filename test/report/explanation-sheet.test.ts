import { type ExplanationSheetOptions, enlarged, explanationSheet, explanationSheetSvg, overlay } from '#src/report/explanation-sheet.js';
import { scaleColour } from '#src/report/palette.js';
import { assert, suite } from '../support/suite.js';
import { assertClose } from '../support/tensors.js';
import { decoded } from './example.js';

const options: ExplanationSheetOptions = {
  classes: ['neutral', 'happiness', 'fear'],
  extent: { height: 4, width: 4, channels: 1 },
  rows: 2,
  columns: 2,
  kind: 'attention',
};
const even = [0.25, 0.25, 0.25, 0.25];
const face = {
  name: 'folder/face.png',
  pixels: new Uint8Array(16).fill(100),
  probabilities: [0.2, 0.7, 0.1],
  maps: [...even, 1, 0, 0, 0, ...even],
};

suite('explanation sheet', (test) => {
  test('enlarging is linear between the middles of places, and constant beyond them', () => {
    assertClose(enlarged([0, 1], { height: 1, width: 2 }, 4), [0, 0.25, 0.75, 1, 0, 0.25, 0.75, 1, 0, 0.25, 0.75, 1, 0, 0.25, 0.75, 1]);
    const [first, second] = [enlarged([1, 2, 3, 4], { height: 2, width: 2 }, 2), enlarged([1, 2, 3, 4], { height: 2, width: 2 }, 6)];
    assertClose(first, [1, 2, 3, 4]);
    assertClose([second[0], second[5], second[30], second[35]], [1, 2, 3, 4]);
    assertClose([second[14], second[21]], [2 + 1 / 3 - 1 / 3, 3]); // a third of a place on either side of the middle
    assertClose(enlarged([7], { height: 1, width: 1 }, 3), new Array(9).fill(7));
  });

  test('an overlay is the face tinted by the colours of its map', () => {
    const map = { values: [0, 0.5, 1, 2], rows: 2, columns: 2, range: [0, 1] } as const;
    const picture = overlay([0, 0, 0, 200], { height: 2, width: 2, channels: 1 }, map, 2);
    const tinted = (share: number, grey: number) => scaleColour(share).map((value) => Math.round(0.6 * value + 0.4 * grey));
    assert.equal([...picture], [...tinted(0, 0), ...tinted(0.5, 0), ...tinted(1, 0), ...tinted(1, 200)]);
    const coloured = overlay([10, 20, 30], { height: 1, width: 1, channels: 3 }, { values: [3], rows: 1, columns: 1, range: [3, 3] }, 1);
    assert.equal(
      [...coloured],
      scaleColour(0).map((value, i) => Math.round(0.6 * value + 0.4 * 10 * (i + 1))),
    );
  });

  test('the most probable class comes first, with its name and probability', () => {
    const svg = explanationSheetSvg([face], options);
    const captions = [...svg.matchAll(/>(\w+ [\d.]+ %)</g)].map(([, caption]) => caption);
    assert.equal(captions, ['happiness 70.0 %', 'neutral 20.0 %', 'fear 10.0 %']);
    assert.is(svg.match(/<image /g)!.length, 4);
    assert.match(svg, '>folder/face.png<');
  });

  test('says what its maps are, and what the ends of the scale mean', () => {
    const attention = explanationSheetSvg([face, { ...face, maps: face.maps.map((share) => share / 4) }], options);
    assert.match(attention, "attention of the decoder's last layer");
    assert.match(attention, 'evenly it were 25.0 % a place');
    assert.match(attention, '>0.0 %<');
    assert.match(attention, '>100.0 % of the attention<');
    assert.is(attention.match(/<image /g)!.length, 8);
    const activation = explanationSheetSvg([{ ...face, maps: face.maps.map((value) => 2 * value - 1) }], {
      ...options,
      kind: 'activation',
    });
    assert.match(activation, 'class activation maps');
    assert.match(activation, '>-1.00<');
    assert.match(activation, '>1.00<');
    assert.not.match(activation, 'attention');
  });

  test('a place that is looked at is light in the picture, others are dark', () => {
    const picture = decoded(explanationSheet([face], options));
    const tint = (share: number) =>
      `#${scaleColour(share)
        .map((value) =>
          Math.round(0.6 * value + 0.4 * 100)
            .toString(16)
            .padStart(2, '0'),
        )
        .join('')}`;
    // The map of happiness is 1 in its first quarter's corner, 0 in the three others; those of the two others are even.
    const quarter = 56 ** 2;
    assert.ok(picture.pixelsOfColour(tint(1)) > 0.9 * quarter);
    assert.ok(picture.pixelsOfColour(tint(0)) > 0.9 * 5 * quarter);
    assert.ok(picture.pixelsOfColour(tint(0.25)) > 0.9 * 2 * 224 ** 2);
  });

  test('names are text, whatever they contain', () => {
    const svg = explanationSheetSvg([{ ...face, name: '<a>&' }], { ...options, classes: ['<b>', 'c', 'd'] });
    assert.match(svg, '&lt;a&gt;&amp;');
    assert.match(svg, '&lt;b&gt;');
  });
});
