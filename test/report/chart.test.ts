import { chartPng, FONT, svgToPng } from '#src/report/chart.js';
import { assert, suite } from '../support/suite.js';
import { decoded } from './example.js';

const svg = (content: string) => `<svg xmlns="http://www.w3.org/2000/svg" width="60" height="20" font-family="${FONT}">${content}</svg>`;

suite('chart', (test) => {
  test('a PNG has two pixels for one of the SVG', () => {
    const { width, height, at } = decoded(svgToPng(svg('<rect width="30" height="20" fill="#123456"/>')));
    assert.equal([width, height], [120, 40]);
    assert.is(at(59, 39), '#123456');
    assert.is(at(60, 39), '#000000');
  });

  test('text is drawn, in two weights, without fonts of the system', () => {
    const ink = (attributes: string) =>
      decoded(svgToPng(svg(`<rect width="60" height="20" fill="white"/><text y="15" ${attributes}>moue</text>`))).pixelsOfColour('#000000');
    const regular = ink('');
    assert.ok(regular > 50, `${regular} black pixels`);
    assert.ok(ink('font-weight="bold"') > 1.2 * regular);
  });

  test('a chart is drawn the same every time', async () => {
    const draw = () =>
      chartPng({
        data: { values: [1, 2, 3].map((x) => ({ x })) },
        mark: { type: 'bar', color: '#2e56c8' },
        encoding: { x: { field: 'x', type: 'ordinal' }, y: { field: 'x', type: 'quantitative' } },
      });
    const first = await draw();
    assert.ok(decoded(first).pixelsOfColour('#2e56c8') > 1000);
    assert.ok(first.equals(await draw()));
  });
});
