import { contactSheet, contactSheetSvg, variedFaces } from '#src/report/contact-sheet.js';
import { expressionColours } from '#src/report/palette.js';
import { assert, suite } from '../support/suite.js';
import { decoded, exampleFaces } from './example.js';

const faces = exampleFaces();
const [neutral, happiness, fear] = expressionColours(faces.classes);

/** Lengths of the bars of one colour, in order. */
function lengths(svg: string, colour: string): number[] {
  return [...svg.matchAll(new RegExp(`<rect [^>]*width="([\\d.]+)"[^>]*fill="${colour}"`, 'g'))]
    .map((match) => Number(match[1]))
    .filter(Boolean);
}

suite('contact sheet', (test) => {
  test('bars are as long as the shares of the votes', () => {
    const svg = contactSheetSvg(faces);
    const [first, second, third] = lengths(svg, neutral);
    const [happy] = lengths(svg, happiness);
    assert.is(lengths(svg, neutral).length, 3);
    assert.ok(Math.abs(happy / first - 3 / 7) < 1e-3);
    assert.ok(Math.abs(second / first - 6 / 7) < 1e-3);
    assert.ok(Math.abs(third / first - 1 / 7) < 1e-3);
    for (const number of ['>7<', '>3<', '>9<', '>10<']) assert.ok(svg.includes(number), number);
  });

  test('probabilities stand beside the votes, the truth is marked', () => {
    const shares = Float32Array.of(0.5, 0.25, 0.25, 1, 0, 0, 0, 0, 1, 0, 0, 1);
    const svg = contactSheetSvg(faces, { probabilities: shares });
    assert.is(lengths(svg, fear).length, 1 + 3);
    for (const number of ['>50%<', '>25%<', '>100%<']) assert.ok(svg.includes(number), number);
    const marks = (sheet: string) => sheet.split('width="1.50"').length - 1;
    assert.is(marks(svg), 0);
    assert.is(marks(contactSheetSvg({ ...faces, truth: shares })), 6);
    assert.match(contactSheetSvg({ ...faces, truth: shares }), 'the true distribution');
  });

  test('shares that are no counts are shown in percent', () => {
    assert.match(contactSheetSvg({ ...faces, votes: faces.votes.map((vote) => vote / 10) }), '>70%<');
  });

  test('the picture shows the pixels of the chosen faces', () => {
    const picture = decoded(contactSheet(faces, { indices: [2, 0], columns: 2 }));
    assert.ok(picture.pixelsOfColour('#969696') > 40_000); // 150, a face of 240 × 240 pixels but for its round corners
    assert.ok(picture.pixelsOfColour('#282828') > 40_000);
    assert.is(picture.pixelsOfColour('#5a5a5a'), 0);
  });

  test('names are text, whatever they contain', () => {
    const svg = contactSheetSvg({ ...faces, ids: ['<a>', 'b & "c"', 'one\u0000two', 'long/'.repeat(10)] }, { title: '</svg>' });
    assert.match(svg, '&lt;/svg&gt;');
    assert.match(svg, '&lt;a&gt;');
    assert.match(svg, 'b &amp; &quot;c&quot;');
    assert.match(svg, 'one two');
    assert.match(svg, '>…');
    assert.ok(contactSheet({ ...faces, ids: ['<', '&', '\u0001', ']]>'] }).length > 1000); // well-formed
  });

  test('a choice of faces takes each expression in turn', () => {
    // pluralities neutral, neutral, fear, none
    assert.equal(variedFaces(faces, 2), [0, 2]);
    assert.equal(variedFaces(faces, 10), [0, 2, 1]);
  });
});
