import { type ActionUnits, blend } from '#src/faces/action-units.js';
import { between, Canvas, capsule, ellipse, type Figure, inset, intersection, stroke } from '#src/faces/canvas.js';
import { drawPortrait, type Portrait } from '#src/faces/portrait.js';
import { assert, suite } from '../support/suite.js';
import { assertClose } from '../support/tensors.js';

const SIZE = 96;
const AT_REST = blend([1, 0, 0, 0, 0, 0, 0, 0]);

const PLAIN: Portrait = {
  units: AT_REST,
  side: 1,
  anatomy: {
    headWidth: 0.76,
    jawTaper: 0.2,
    eyeDistance: 0.34,
    eyeWidth: 0.165,
    eyeHeight: 0.085,
    browHeight: 0.24,
    browThickness: 0.08,
    browTilt: 0,
    noseLength: 0.24,
    noseWidth: 0.13,
    mouthHeight: 0.58,
    mouthWidth: 0.28,
    mouthCurve: 0,
    lipThickness: 0.05,
    age: 0,
  },
  colors: {
    skin: [0.8, 0.6, 0.5],
    hair: [0.2, 0.14, 0.1],
    iris: [0.3, 0.4, 0.5],
    background: [0.5, 0.5, 0.5],
    clothes: [0.3, 0.3, 0.4],
    occluder: [0.5, 0.1, 0.1],
  },
  hair: { height: 0.3, length: 0, parting: 0, beard: 0 },
  glasses: false,
  gaze: [0, 0],
  pose: { yaw: 0, pitch: 0, roll: 0, scale: 1, x: 0, y: 0 },
  light: [0, 0],
  brightness: 0,
  contrast: 1,
  softness: 1,
  noise: 0,
  occlusion: 'none',
};

const draw = (changes: Partial<Portrait> = {}) => drawPortrait({ ...PLAIN, ...changes }, SIZE, 1, () => 0);
const move = (units: Partial<ActionUnits>) => draw({ units: { ...AT_REST, ...units } });

/** The rows and columns, as shares of the picture, within which two pictures differ. */
function difference(one: Uint8Array, other: Uint8Array) {
  const rows: number[] = [];
  const columns: number[] = [];
  one.forEach((value, at) => {
    if (Math.abs(value - other[at]) < 3) return;
    rows.push(Math.floor(at / SIZE) / SIZE);
    columns.push((at % SIZE) / SIZE);
  });
  return { count: rows.length, top: Math.min(...rows), bottom: Math.max(...rows), left: Math.min(...columns), right: Math.max(...columns) };
}

const mean = (pixels: Uint8Array) => pixels.reduce((sum, value) => sum + value, 0) / pixels.length;
const mirrored = (pixels: Uint8Array) => pixels.map((_, at) => pixels[at - (at % SIZE) + SIZE - 1 - (at % SIZE)]);

/** What a figure covers, in units of the plane. */
function area(figure: Figure): number {
  const canvas = new Canvas(200, 1, { x: 100, y: 100, scale: 50, rotation: 0.3 }, 1, [0]);
  canvas.fill(figure, [1]);
  return canvas.data.reduce((sum, value) => sum + value, 0) / 50 ** 2;
}

suite('canvas', (test) => {
  test('covers the area of its figures', () => {
    assertClose([area(ellipse(0.2, -0.3, 1, 0.5))], [Math.PI / 2], { relative: 0.01 });
    assertClose([area(inset(ellipse(0, 0, 1, 1), 0.5))], [Math.PI / 4], { relative: 0.01 });
    assertClose([area(capsule(-1, 0, 1, 0.5, 0.1))], [0.2 * Math.hypot(2, 0.5) + Math.PI * 0.01], { relative: 0.01 });
    assertClose(
      [
        area(
          between(
            0,
            0,
            1,
            (t) => t * t - 1,
            () => 0,
          ),
        ),
      ],
      [4 / 3],
      { relative: 0.01 },
    );
    assertClose([area(stroke(0, 0, 1, () => 0.2, 0.1, 0))], [0.2], { relative: 0.02 });
    assertClose(
      [
        area(
          intersection(
            ellipse(0, 0, 1, 1),
            between(
              0,
              0,
              1.5,
              () => -2,
              () => 0,
            ),
          ),
        ),
      ],
      [Math.PI / 2],
      { relative: 0.01 },
    );
  });

  test('paints every channel by opacity, and nothing beyond its edges', () => {
    const canvas = new Canvas(4, 3, { x: 0, y: 0, scale: 1, rotation: 0 }, 1, [1, 0, 0.5]);
    canvas.fill(ellipse(2, 2, 50, 50), [0, 1, 0.5], 0.25);
    assertClose(canvas.data.subarray(0, 3), [0.75, 0.25, 0.5]);
    canvas.fill(ellipse(-20, -20, 3, 3), [0, 0, 0]);
    assertClose(canvas.data.subarray(0, 3), [0.75, 0.25, 0.5]);
    canvas.shade((x) => (x < 1 ? 2 : 1));
    assertClose(canvas.data.subarray(0, 6), [1.5, 0.5, 1, 0.75, 0.25, 0.5]);
  });
});

suite('portrait', (test) => {
  const rest = draw();

  test('is symmetric when nothing is one-sided', () => {
    // The side of the nose's shadow is the only difference.
    const { left, right, top, bottom } = difference(rest, mirrored(rest));
    assert.ok(left > 0.4 && right < 0.6 && top > 0.4 && bottom < 0.7, JSON.stringify({ left, right, top, bottom }));
  });

  test('moves the mouth alone by the units of the mouth', () => {
    for (const units of [{ lipCornerPuller: 1 }, { lipCornerDepressor: 1 }, { lipStretcher: 1 }, { lipPressor: 1 }, { lipsPart: 1 }]) {
      const { count, top } = difference(move(units), rest);
      assert.ok(count > 40 && top > 0.5, `${Object.keys(units)}: ${count} pixels from ${top}`);
    }
    assert.ok(mean(move({ jawDrop: 1 })) < mean(rest), 'an open mouth is dark');
  });

  test('moves the upper face alone by the units of brows and lids', () => {
    for (const units of [{ innerBrowRaiser: 1 }, { outerBrowRaiser: 1 }, { browLowerer: 1 }, { upperLidRaiser: 1 }, { lidDroop: 1 }]) {
      const { count, bottom } = difference(move(units), rest);
      assert.ok(count > 40 && bottom < 0.6, `${Object.keys(units)}: ${count} pixels down to ${bottom}`);
    }
  });

  test('lifts one corner of the mouth for contempt', () => {
    const [right, left] = [1, -1].map((side) => draw({ units: { ...AT_REST, oneSidedCorner: 1 }, side: side as 1 | -1 }));
    assert.not.equal(right, left);
    assert.ok(difference(right, mirrored(right)).right > 0.6);
  });

  test('hides what is occluded', () => {
    const pout = { ...AT_REST, lipCornerDepressor: 1, lipsPart: 1 };
    assert.ok(
      difference(draw({ units: pout, occlusion: 'scarf' }), draw({ occlusion: 'scarf' })).count <
        difference(draw({ units: pout }), rest).count / 4,
    );
    const stare = { ...AT_REST, upperLidRaiser: 1 };
    const through = difference(draw({ units: stare, occlusion: 'sunglasses' }), draw({ occlusion: 'sunglasses' }));
    assert.ok(through.count < difference(draw({ units: stare }), rest).count / 4, JSON.stringify(through));
    for (const occlusion of ['hand', 'fringe'] as const) assert.ok(difference(draw({ occlusion }), rest).count > 200, occlusion);
  });

  test('has light, brightness, contrast and noise', () => {
    const lit = draw({ light: [0.5, 0] });
    assert.ok(mean(lit.filter((_, at) => at % SIZE >= SIZE / 2)) > mean(lit.filter((_, at) => at % SIZE < SIZE / 2)) + 20);
    assertClose([mean(draw({ brightness: -0.1 })) - mean(rest)], [-25.5], { absolute: 2 });
    const spread = (pixels: Uint8Array) => {
      const middle = mean(pixels);
      return Math.sqrt(pixels.reduce((sum, value) => sum + (value - middle) ** 2, 0) / pixels.length);
    };
    assertClose([spread(draw({ contrast: 0.5 })) / spread(rest)], [0.5], { relative: 0.05 });
    const noisy = drawPortrait({ ...PLAIN, noise: 0.1 }, SIZE, 1, (pixel) => (pixel % 2 ? 1 : -1));
    assertClose([noisy[0] - rest[0], noisy[1] - rest[1]], [-25.5, 25.5], { absolute: 1 });
  });
});
