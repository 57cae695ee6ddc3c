import type { ActionUnits } from './action-units.js';
import { between, Canvas, type Color, capsule, ellipse, type Figure, inset, intersection, stroke, type View } from './canvas.js';

/** What lies between a face and its viewer. */
export type Occlusion = 'none' | 'hand' | 'sunglasses' | 'fringe' | 'scarf';

/**
 * One face as it is to be drawn. Lengths are in units of half a head's height, x to the viewer's right and y downwards from the middle of
 * the face; colours are RGB from 0 to 1.
 */
export interface Portrait {
  units: ActionUnits;
  /** Side of the one-sided corner: 1 the viewer's right. */
  side: 1 | -1;
  anatomy: {
    headWidth: number;
    jawTaper: number;
    eyeDistance: number;
    eyeWidth: number;
    eyeHeight: number;
    browHeight: number;
    browThickness: number;
    browTilt: number;
    noseLength: number;
    noseWidth: number;
    mouthHeight: number;
    mouthWidth: number;
    mouthCurve: number;
    lipThickness: number;
    /** 0 smooth to 1 deeply lined. */
    age: number;
  };
  colors: { skin: Color; hair: Color; iris: Color; background: Color; clothes: Color; occluder: Color };
  hair: { height: number; length: number; parting: number; beard: number };
  glasses: boolean;
  /** Direction of the eyes, −1 to 1 on each axis. */
  gaze: readonly [x: number, y: number];
  /** Turns of the head: yaw and pitch as shares of a quarter turn, roll in radians. */
  pose: { yaw: number; pitch: number; roll: number; scale: number; x: number; y: number };
  /** Slope of the light across the face, per unit. */
  light: readonly [x: number, y: number];
  brightness: number;
  contrast: number;
  /** Width of an edge in pixels of a 48-pixel picture. */
  softness: number;
  /** Standard deviation of the noise, 1 being white. */
  noise: number;
  occlusion: Occlusion;
}

const LUMA = [0.299, 0.587, 0.114];
const DARK: Color = [0.09, 0.06, 0.06];
const EYE_WHITE: Color = [0.93, 0.92, 0.9];
const TEETH: Color = [0.95, 0.94, 0.9];
const TONGUE: Color = [0.62, 0.28, 0.28];

/** How far down the hair on the temples reaches. */
const HAIR_END = 0.05;

/** How wide the rim of a head is shaded. */
const RIM = 0.3;

/** Pixels per unit and middle of the face in a picture of side 1: the head fills most of it, as in FER2013. */
const HEAD_SCALE = 0.46;
const HEAD_MIDDLE = 0.52;

/**
 * Draws a face as a square of `size` pixels: [size, size, channels].
 * @param noise numbers of mean 0 and deviation 1, one per pixel, which the channels share
 */
export function drawPortrait(portrait: Portrait, size: number, channels: 1 | 3, noise: (pixel: number) => number): Uint8Array {
  const { pose, light } = portrait;
  const view: View = {
    x: size * (0.5 + pose.x),
    y: size * (HEAD_MIDDLE + pose.y),
    scale: size * HEAD_SCALE * pose.scale,
    rotation: pose.roll,
  };
  const ink = (color: Color): Color => (channels === 3 ? color : [LUMA.reduce((sum, weight, index) => sum + weight * color[index], 0)]);
  const canvas = new Canvas(size, channels, view, (portrait.softness * size) / 48, ink(portrait.colors.background));
  const pen = new Pen(canvas, ink, portrait);
  pen.drawSurroundings();
  pen.drawHead();
  pen.drawEyes();
  pen.drawNose();
  pen.drawMouth();
  pen.drawLines();
  pen.drawBrows();
  pen.drawHair();
  canvas.shade((x, y) => Math.max(0.15, 1 + light[0] * x + light[1] * y));
  pen.drawOcclusion();
  return develop(canvas, portrait, noise);
}

/** Brightness, contrast and noise, and the rounding to bytes. */
function develop(
  { channels, data }: Canvas,
  { brightness, contrast, noise: deviation }: Portrait,
  noise: (pixel: number) => number,
): Uint8Array {
  const pixels = new Uint8ClampedArray(data.length); // rounds, and clamps to 0 … 255
  const slope = 255 * contrast;
  const offset = 255 * (0.5 - 0.5 * contrast + brightness);
  const grain = 255 * deviation;
  for (let pixel = 0, at = 0; at < data.length; pixel++) {
    const start = offset + grain * noise(pixel);
    for (let channel = 0; channel < channels; channel++, at++) pixels[at] = start + slope * data[at];
  }
  return new Uint8Array(pixels.buffer);
}

/** Draws the parts of one portrait; each part takes its form from the action units that move it. */
class Pen {
  private readonly skin: Color;
  private readonly shadow: Color;
  private readonly glow: Color;

  constructor(
    private readonly canvas: Canvas,
    private readonly ink: (color: Color) => Color,
    private readonly portrait: Portrait,
  ) {
    const { skin } = portrait.colors;
    this.skin = ink(skin);
    this.shadow = ink(mix(skin, DARK, 0.55));
    this.glow = ink(mix(skin, [1, 0.95, 0.9], 0.3));
  }

  /** Where a feature at (x, y) of the upright face comes to lie on the turned head, and how wide it looks there. */
  private place(x: number, y: number): { x: number; y: number; width: number } {
    const { yaw, pitch } = this.portrait.pose;
    const width = 1 - 0.35 * yaw * Math.sign(x) * Math.min(1, Math.abs(x) / 0.3) - 0.15 * Math.abs(yaw);
    return { x: x * width + 0.35 * yaw, y: y + 0.2 * pitch, width };
  }

  private get jaw(): number {
    return 1 + 0.16 * this.portrait.units.jawDrop;
  }

  drawSurroundings(): void {
    const { canvas, ink, portrait } = this;
    const { colors, hair, anatomy } = portrait;
    canvas.fill(
      ellipse(0, -0.1 + hair.length / 2, anatomy.headWidth + 0.14, 1 + hair.length / 2),
      ink(colors.hair),
      hair.length > 0.15 ? 1 : 0,
    );
    canvas.fill(ellipse(0, 1.75, 1.15, 0.75), ink(colors.clothes));
    canvas.fill(capsule(0, 0.6, 0, 1.3, 0.34), this.shadow);
  }

  drawHead(): void {
    const { canvas, ink, portrait, jaw } = this;
    const { anatomy, colors, pose, hair } = portrait;
    for (const side of [-1, 1] as const) {
      const x = side * (anatomy.headWidth - 0.02) - 0.1 * pose.yaw;
      canvas.fill(ellipse(x, 0.02, 0.1, 0.19), this.skin);
      canvas.fill(ellipse(x, 0.03, 0.05, 0.11), this.shadow, 0.6);
    }
    const skull = ellipse(0, 0, anatomy.headWidth, 1);
    const head: Figure = {
      ...skull,
      bottom: jaw,
      distance(x, y) {
        if (y < 0) return skull.distance(x, y);
        const low = y / jaw;
        return skull.distance(x / (1 - anatomy.jawTaper * low * low), low);
      },
    };
    // The sides turn away from the viewer and the light: a dark rim, then the skin with an edge as soft as the rim is wide.
    canvas.fill(head, this.ink(mix(colors.skin, DARK, 0.3)));
    canvas.fill(inset(head, RIM / 2), this.skin, 1, RIM * canvas.unit);
    canvas.fill(ellipse(0.3 * pose.yaw, -0.45, 0.45, 0.3), this.glow, 0.25, 0.33 * canvas.unit);
    if (hair.beard > 0) {
      const beard = intersection(head, ellipse(0, 0.95, 0.9, 0.62));
      canvas.fill(beard, ink(mix(colors.hair, DARK, 0.5)), hair.beard, 0.17 * canvas.unit);
    }
  }

  drawEyes(): void {
    const { canvas, ink, portrait } = this;
    const { units, anatomy, gaze, colors, glasses } = portrait;
    const open = Math.max(
      0.08,
      1 +
        0.75 * units.upperLidRaiser -
        0.3 * units.lidTightener -
        0.25 * units.cheekRaiser -
        0.35 * units.noseWrinkler -
        0.45 * units.lidDroop,
    );
    const squint = Math.max(
      0.1,
      1 - 0.75 * units.cheekRaiser - 0.5 * units.lidTightener - 0.35 * units.noseWrinkler + 0.2 * units.upperLidRaiser,
    );
    const droop = 0.05 * units.lidDroop + 0.03 * units.innerBrowRaiser;
    for (const side of [-1, 1] as const) {
      const { x, y, width } = this.place(side * anatomy.eyeDistance, -0.14);
      const halfWidth = anatomy.eyeWidth * width;
      const above = anatomy.eyeHeight * open;
      const below = anatomy.eyeHeight * 0.6 * squint;
      const upper = (t: number) => droop * t - above * (1 - t * t) ** 0.75;
      const lower = (t: number) => droop * t + below * (1 - t * t);
      canvas.fill(ellipse(x, y - 0.02, halfWidth * 1.35, anatomy.eyeHeight * 2.1), this.shadow, 0.35, 0.17 * canvas.unit); // the socket
      const opening = between(x, y, halfWidth, upper, lower, side);
      canvas.fill(opening, ink(EYE_WHITE));
      const iris = anatomy.eyeHeight * 0.98;
      const irisX = x + gaze[0] * halfWidth * 0.4;
      const irisY = y - 0.02 + gaze[1] * 0.04;
      canvas.fill(intersection(opening, ellipse(irisX, irisY, iris * width, iris)), ink(colors.iris));
      canvas.fill(intersection(opening, ellipse(irisX, irisY, iris * 0.55 * width, iris * 0.55)), ink(DARK));
      canvas.fill(stroke(x, y, halfWidth * 1.08, upper, 0.05, 0.6, side), ink(DARK), 0.9);
      canvas.fill(stroke(x, y, halfWidth, lower, 0.025, 0.6, side), this.shadow, 0.8);
      canvas.fill(stroke(x, y - 0.06, halfWidth * 1.05, upper, 0.025, 0.5, side), this.shadow, 0.6); // the lid's fold
      const bag = 0.7 * units.cheekRaiser + 0.4 * units.lidTightener + 0.3 * anatomy.age;
      canvas.fill(
        stroke(x, y + below + 0.05, halfWidth, (t) => 0.03 * (1 - t * t), 0.035, 0.6, side),
        this.shadow,
        Math.min(0.9, bag),
      );
      if (glasses) {
        const rim = ellipse(x, y, halfWidth * 1.45, 0.22);
        canvas.fill({ ...rim, distance: (px, py) => Math.abs(rim.distance(px, py)) - 0.022 }, ink(DARK), 0.9);
      }
    }
    if (glasses)
      canvas.fill(
        stroke(this.place(0, 0).x, -0.16, 0.12, (t) => -0.03 * (1 - t * t), 0.035, 0),
        ink(DARK),
        0.9,
      );
  }

  drawBrows(): void {
    const { canvas, ink, portrait } = this;
    const { units, anatomy, colors } = portrait;
    const inner = 0.15 * units.innerBrowRaiser - 0.14 * units.browLowerer - 0.06 * units.noseWrinkler + anatomy.browTilt;
    const outer = 0.15 * units.outerBrowRaiser + 0.02 * units.browLowerer - anatomy.browTilt;
    const furrow = 0.06 * units.browLowerer + 0.03 * units.noseWrinkler;
    for (const side of [-1, 1] as const) {
      const lifted = side === portrait.side ? 0.07 * units.oneSidedCorner : 0;
      const { x, y, width } = this.place(side * (anatomy.eyeDistance - furrow), -0.14 - anatomy.browHeight);
      const curve = (t: number) => -(inner * (1 - t)) / 2 - ((outer + lifted) * (1 + t)) / 2 - 0.05 * (1 - t * t) + 0.02 * t;
      const color = ink(mix(colors.hair, DARK, 0.35));
      canvas.fill(stroke(x, y, (anatomy.eyeWidth + 0.06) * width, curve, anatomy.browThickness, 0.5, side), color, 0.92);
    }
  }

  drawNose(): void {
    const { canvas, ink, portrait } = this;
    const { anatomy, units, light } = portrait;
    const { x, y } = this.place(0, anatomy.noseLength - 0.03 * units.noseWrinkler);
    const turned = 0.25 * portrait.pose.yaw;
    const dark = light[0] > 0 ? -1 : 1;
    canvas.fill(capsule(x + dark * 0.06 - turned, -0.12, x + dark * 0.09, y - 0.04, 0.035), this.shadow, 0.45, 0.11 * canvas.unit);
    canvas.fill(capsule(x - turned, -0.1, x, y - 0.06, 0.04), this.glow, 0.5, 0.09 * canvas.unit);
    const flare = anatomy.noseWidth * (1 + 0.2 * units.noseWrinkler + 0.1 * units.lipCornerPuller);
    canvas.fill(ellipse(x, y, flare, 0.085), this.skin, 1, 0.09 * canvas.unit);
    for (const side of [-1, 1]) canvas.fill(ellipse(x + side * flare * 0.5, y + 0.045, flare * 0.3, 0.032), ink(DARK), 0.8);
    canvas.fill(
      stroke(x, y + 0.06, flare, (t) => 0.04 * (1 - t * t), 0.03, 0.3),
      this.shadow,
      0.6,
    );
  }

  drawMouth(): void {
    const { canvas, ink, portrait } = this;
    const { units, anatomy, colors } = portrait;
    const { x, y, width } = this.place(0, anatomy.mouthHeight + 0.04 * units.jawDrop - 0.03 * units.upperLipRaiser);
    const stretched = 1 + 0.3 * units.lipCornerPuller + 0.32 * units.lipStretcher - 0.3 * units.jawDrop - 0.12 * units.lipPressor;
    const halfWidth = anatomy.mouthWidth * stretched * width;
    const bend = anatomy.mouthCurve + 0.15 * units.lipCornerPuller - 0.15 * units.lipCornerDepressor - 0.03 * units.lipStretcher;
    const pulled = 0.16 * units.oneSidedCorner;
    const middle = (t: number) => bend * (0.45 - t * t) - pulled * Math.max(0, portrait.side * t) ** 1.5 + 0.3 * pulled;
    const gap = 0.1 * units.lipsPart + 0.42 * units.jawDrop;
    const raised = 0.08 * units.upperLipRaiser;
    const openUpper = (t: number) => middle(t) - (0.3 * gap + raised) * (1 - t ** 4);
    const openLower = (t: number) => middle(t) + 0.7 * gap * (1 - t ** 4);
    const lips = anatomy.lipThickness * (1 - 0.75 * Math.min(1, units.lipPressor)) * (1 - 0.2 * units.lipCornerPuller);
    const lipUpper = (t: number) => openUpper(t) - lips * (1 - t * t) * (0.8 + 0.35 * Math.min(1, 6 * t * t));
    const lipLower = (t: number) => openLower(t) + lips * 1.25 * (1 - t * t);

    canvas.fill(ellipse(x, y + 0.7 * gap + lips + 0.12, halfWidth * 0.6, 0.06), this.shadow, 0.35, 0.11 * canvas.unit); // under the lip
    canvas.fill(between(x, y, halfWidth * 1.04, lipUpper, lipLower), ink(mix(colors.skin, [0.62, 0.2, 0.22], 0.55)));
    const opening = between(x, y, halfWidth * 0.93, openUpper, openLower);
    if (gap + raised > 0.02) {
      canvas.fill(opening, ink(DARK));
      const tongue = ellipse(x, y + 0.7 * gap, halfWidth * 0.6, 0.35 * gap);
      if (gap > 0.2) canvas.fill(intersection(opening, tongue), ink(TONGUE), 0.8);
      const teeth = Math.min(0.09, 0.75 * (gap + raised));
      const row = between(x, y, halfWidth * 0.85, openUpper, (t) => Math.min(openLower(t), openUpper(t) + teeth));
      canvas.fill(row, ink(TEETH), Math.min(1, (gap + raised) / 0.06) * Math.max(0.15, 1 - 0.8 * units.jawDrop));
    }
    canvas.fill(stroke(x, y, halfWidth * 1.04, middle, 0.035, 0.3), ink(DARK), gap + raised > 0.05 ? 0 : 0.85);
    for (const side of [-1, 1] as const) {
      const cornerY = y + middle(side);
      canvas.fill(ellipse(x + side * halfWidth, cornerY, 0.035, 0.035), this.shadow, 0.8);
    }
  }

  /** Folds and wrinkles: what the muscles push together, deeper with age. */
  drawLines(): void {
    const { canvas, portrait, shadow, glow } = this;
    const { units, anatomy } = portrait;
    const depth = 0.55 + 0.45 * anatomy.age;
    const line = (strength: number) => Math.max(0, Math.min(0.9, strength * depth));

    const nose = this.place(0, anatomy.noseLength);
    for (const side of [-1, 1] as const) {
      const { x, width } = this.place(side * 0.3, 0.3);
      const smile = units.lipCornerPuller;
      const oneSided = side === portrait.side ? units.oneSidedCorner : 0;
      const from: [number, number] = [nose.x + side * (anatomy.noseWidth + 0.05), nose.y - 0.02];
      const to: [number, number] = [this.place(0, 0).x + side * (0.36 + 0.1 * smile + 0.05 * oneSided) * width, nose.y + 0.3];
      const fold = line(0.25 * anatomy.age + 0.8 * smile + 0.7 * oneSided + 0.8 * units.upperLipRaiser + 0.4 * units.noseWrinkler);
      canvas.fill(capsule(...from, ...to, 0.016), shadow, fold);
      canvas.fill(
        ellipse(x + side * 0.12, 0.2 - 0.06 * units.cheekRaiser, 0.17, 0.12),
        glow,
        0.3 + 0.5 * units.cheekRaiser,
        0.17 * canvas.unit,
      );
      const frown = this.place(side * 0.07, -0.36);
      canvas.fill(capsule(frown.x, frown.y - 0.08, frown.x - side * 0.015, frown.y + 0.1, 0.016), shadow, line(0.9 * units.browLowerer));
    }
    const middle = this.place(0, 0).x;
    for (const row of [0, 1]) {
      const raised = 0.5 * units.innerBrowRaiser + 0.5 * units.outerBrowRaiser;
      canvas.fill(
        stroke(middle, -0.6 - 0.1 * row, 0.38, (t) => 0.03 * t * t, 0.03, 0.7),
        shadow,
        line(raised + 0.3 * anatomy.age),
      );
      canvas.fill(
        stroke(middle, -0.1 + 0.09 * row, 0.12, (t) => -0.04 * (1 - t * t), 0.03, 0.5),
        shadow,
        line(1.1 * units.noseWrinkler),
      );
    }
  }

  drawHair(): void {
    const { canvas, ink, portrait } = this;
    const { anatomy, colors, hair } = portrait;
    const cap = ellipse(0, 0, anatomy.headWidth + 0.07, 1.1);
    const hairline = ellipse(0.25 * portrait.pose.yaw + hair.parting, 0.15, anatomy.headWidth * 0.95, 1.08 - hair.height);
    const above = {
      ...cap,
      bottom: HAIR_END,
      distance: (x: number, y: number) => Math.max(cap.distance(x, y), -hairline.distance(x, y), y - HAIR_END),
    };
    canvas.fill(above, ink(colors.hair));
  }

  drawOcclusion(): void {
    const { canvas, ink, portrait } = this;
    const { colors, occlusion, side } = portrait;
    const color = ink(colors.occluder);
    if (occlusion === 'sunglasses') {
      for (const eye of [-1, 1]) {
        const { x, y, width } = this.place(eye * portrait.anatomy.eyeDistance, -0.12);
        canvas.fill(ellipse(x, y, 0.3 * width, 0.24), ink(DARK));
      }
      canvas.fill(capsule(-portrait.anatomy.headWidth, -0.2, portrait.anatomy.headWidth, -0.2, 0.03), ink(DARK));
    } else if (occlusion === 'fringe') {
      for (const strand of [-0.5, -0.25, 0, 0.25, 0.5])
        canvas.fill(capsule(strand, -0.8, strand + side * 0.15, -0.22, 0.15), ink(colors.hair));
    } else if (occlusion === 'hand') {
      const hand = ink(mix(colors.skin, DARK, 0.12));
      for (const finger of [0, 1, 2, 3]) {
        const y = 0.42 + 0.14 * finger;
        canvas.fill(capsule(side * 0.9, y + 0.2, side * (-0.05 + 0.06 * finger), y, 0.075), this.shadow);
        canvas.fill(capsule(side * 0.9, y + 0.2, side * (-0.05 + 0.06 * finger), y, 0.06), hand);
      }
    } else if (occlusion === 'scarf') {
      const top = (t: number) => 0.4 - 0.1 * (1 - t * t);
      const bottom = () => 1.8;
      const fold = (t: number) => 0.62 + 0.08 * t * side;
      canvas.fill(between(0, 0, 1.1, top, bottom), color);
      canvas.fill(stroke(0, 0, 0.9, fold, 0.04, 0), ink(mix(colors.occluder, DARK, 0.5)));
    }
  }
}

/** `share` of the way from one colour to another. */
function mix(one: Color, other: Color, share: number): Color {
  return one.map((value, channel) => value + share * (other[channel] - value));
}
