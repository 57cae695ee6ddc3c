/** A colour with one number per channel, 0 black to 1. */
export type Color = readonly number[];

/** A plane figure: its signed distance at a point, negative inside, and a box that holds it. */
export interface Figure {
  distance(x: number, y: number): number;
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Where the plane of a drawing lies in the picture. */
export interface View {
  /** The plane's origin, in pixels from the picture's upper left corner. */
  x: number;
  y: number;
  /** Pixels per unit of the plane. */
  scale: number;
  /** Clockwise, in radians. */
  rotation: number;
}

/** A picture onto which figures are painted one over another, with edges as soft as asked for. */
export class Canvas {
  /** [size, size, channels]. */
  readonly data: Float32Array;
  private readonly cos: number;
  private readonly sin: number;

  /** @param softness width of an edge in pixels: 1 is an anti-aliased sharp edge, more a blurred one */
  constructor(
    readonly size: number,
    readonly channels: 1 | 3,
    private readonly view: View,
    private readonly softness: number,
    background: Color,
  ) {
    this.data = new Float32Array(size * size * channels);
    for (let index = 0; index < this.data.length; index++) this.data[index] = background[index % channels];
    this.cos = Math.cos(view.rotation) / view.scale;
    this.sin = Math.sin(view.rotation) / view.scale;
  }

  /** Pixels per unit of the plane. */
  get unit(): number {
    return this.view.scale;
  }

  /** Paints the inside of a figure. */
  fill(figure: Figure, color: Color, opacity = 1, softness = this.softness): void {
    if (opacity <= 0.01) return;
    const { data, size, channels, view, cos, sin } = this;
    const { distance } = figure;
    const edge = softness / view.scale;
    const { left, right, top, bottom } = this.pixelBox(figure, edge);
    for (let py = top; py < bottom; py++) {
      const dy = py + 0.5 - view.y;
      for (let px = left; px < right; px++) {
        const dx = px + 0.5 - view.x;
        const coverage = 0.5 - distance(dx * cos + dy * sin, dy * cos - dx * sin) / edge;
        if (coverage <= 0) continue;
        const alpha = opacity * Math.min(1, coverage);
        const at = (py * size + px) * channels;
        data[at] += alpha * (color[0] - data[at]);
        for (let channel = 1; channel < channels; channel++) data[at + channel] += alpha * (color[channel] - data[at + channel]);
      }
    }
  }

  /** Multiplies every pixel by a factor that depends on its place in the plane. */
  shade(factor: (x: number, y: number) => number): void {
    const { data, size, channels, view, cos, sin } = this;
    for (let py = 0; py < size; py++) {
      for (let px = 0; px < size; px++) {
        const dx = px + 0.5 - view.x;
        const dy = py + 0.5 - view.y;
        const times = factor(dx * cos + dy * sin, dy * cos - dx * sin);
        const at = (py * size + px) * channels;
        for (let channel = 0; channel < channels; channel++) data[at + channel] *= times;
      }
    }
  }

  /** The pixels that the figure's box and half an edge around it may touch. */
  private pixelBox(figure: Figure, edge: number) {
    const { size, view } = this;
    const cos = this.cos * view.scale ** 2; // pixels per unit along the rotated axes
    const sin = this.sin * view.scale ** 2;
    const x = (figure.left + figure.right) / 2;
    const y = (figure.top + figure.bottom) / 2;
    const halfWidth = (figure.right - figure.left + edge) / 2;
    const halfHeight = (figure.bottom - figure.top + edge) / 2;
    const px = view.x + x * cos - y * sin;
    const py = view.y + x * sin + y * cos;
    const reachX = Math.abs(cos) * halfWidth + Math.abs(sin) * halfHeight;
    const reachY = Math.abs(sin) * halfWidth + Math.abs(cos) * halfHeight;
    return {
      left: Math.max(0, Math.floor(px - reachX)),
      right: Math.min(size, Math.ceil(px + reachX)),
      top: Math.max(0, Math.floor(py - reachY)),
      bottom: Math.min(size, Math.ceil(py + reachY)),
    };
  }
}

/** An ellipse; near its edge the distance is that of the first-order expansion of its equation. */
export function ellipse(x: number, y: number, radiusX: number, radiusY: number): Figure {
  const curvatureX = 1 / radiusX;
  const curvatureY = 1 / radiusY;
  const smaller = Math.min(radiusX, radiusY);
  return {
    distance(px, py) {
      const u = (px - x) * curvatureX;
      const v = (py - y) * curvatureY;
      const square = u * u + v * v;
      if (square < 1e-6) return -smaller;
      const u2 = u * curvatureX;
      const v2 = v * curvatureY;
      return (square - Math.sqrt(square)) / Math.sqrt(u2 * u2 + v2 * v2);
    },
    left: x - radiusX,
    right: x + radiusX,
    top: y - radiusY,
    bottom: y + radiusY,
  };
}

/** A figure made smaller by `margin` on all sides. */
export function inset(figure: Figure, margin: number): Figure {
  const { left, right, top, bottom, distance } = figure;
  return {
    distance: (x, y) => distance(x, y) + margin,
    left: left + margin,
    right: right - margin,
    top: top + margin,
    bottom: bottom - margin,
  };
}

/** The points within `radius` of a straight line. */
export function capsule(x0: number, y0: number, x1: number, y1: number, radius: number): Figure {
  const dx = x1 - x0;
  const dy = y1 - y0;
  const square = dx * dx + dy * dy;
  return {
    distance(px, py) {
      const along = Math.max(0, Math.min(1, ((px - x0) * dx + (py - y0) * dy) / square));
      return Math.sqrt((px - x0 - along * dx) ** 2 + (py - y0 - along * dy) ** 2) - radius;
    },
    left: Math.min(x0, x1) - radius,
    right: Math.max(x0, x1) + radius,
    top: Math.min(y0, y1) - radius,
    bottom: Math.max(y0, y1) + radius,
  };
}

/** A curve over [−1, 1]: heights in the plane (downwards) by the place along a feature. */
export type Curve = (t: number) => number;

/** Points at which a curve is taken; between them it is straight. */
const CURVE_POINTS = 17;

/**
 * The region between two curves that span `halfWidth` on both sides of `x`, about the height `y`; where they cross there is nothing.
 * `side` −1 runs the curves from right to left.
 */
export function between(x: number, y: number, halfWidth: number, upper: Curve, lower: Curve, side: 1 | -1 = 1): Figure {
  const last = CURVE_POINTS - 1;
  const middles = new Float64Array(CURVE_POINTS);
  const halves = new Float64Array(CURVE_POINTS);
  let top = y;
  let bottom = y;
  for (let point = 0; point < CURVE_POINTS; point++) {
    const t = (2 * point) / last - 1;
    const above = y + upper(t);
    const below = y + lower(t);
    middles[point] = (above + below) / 2;
    halves[point] = (below - above) / 2;
    top = Math.min(top, above);
    bottom = Math.max(bottom, below);
  }
  const spacing = (2 * halfWidth) / last;
  return {
    distance(px, py) {
      const t = (side * (px - x)) / halfWidth;
      const at = ((Math.max(-1, Math.min(1, t)) + 1) / 2) * last;
      const point = Math.min(last - 1, Math.floor(at));
      const share = at - point;
      const rise = middles[point + 1] - middles[point];
      const half = halves[point] + share * (halves[point + 1] - halves[point]);
      const slope = rise / spacing;
      const across = (Math.abs(py - middles[point] - share * rise) - half) / Math.sqrt(1 + slope * slope);
      return Math.max(across, (Math.abs(t) - 1) * halfWidth);
    },
    left: x - halfWidth,
    right: x + halfWidth,
    top,
    bottom,
  };
}

/** A line along a curve, thick in the middle and thinner towards `t` = ±1 by `taper` (0 even, 1 pointed). */
export function stroke(x: number, y: number, halfWidth: number, curve: Curve, thickness: number, taper: number, side: 1 | -1 = 1): Figure {
  const half = (t: number) => (thickness / 2) * (1 - taper * t * t);
  return between(
    x,
    y,
    halfWidth,
    (t) => curve(t) - half(t),
    (t) => curve(t) + half(t),
    side,
  );
}

/** What two figures share. */
export function intersection(one: Figure, other: Figure): Figure {
  return {
    distance: (px, py) => Math.max(one.distance(px, py), other.distance(px, py)),
    left: Math.max(one.left, other.left),
    right: Math.min(one.right, other.right),
    top: Math.max(one.top, other.top),
    bottom: Math.min(one.bottom, other.bottom),
  };
}
