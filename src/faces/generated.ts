import { drawClass } from '../labels/votes.js';
import { philox } from '../random.js';
import { ACTION_UNITS, blend } from './action-units.js';
import { ANNOTATORS, affinity, perceived, reliability, vote } from './annotators.js';
import type { Color } from './canvas.js';
import { EXPRESSIONS, NO_EXPRESSION } from './expressions.js';
import { type Dataset, type DatasetOptions, type FaceSet, NO_LABEL, type Role } from './face-set.js';
import { drawPortrait, type Occlusion, type Portrait } from './portrait.js';

/** Faces of a generated dataset, all splits together. */
export const GENERATED_FACES = 7500;

/** First face of each split, so far apart that the faces of one split do not depend on how many another has. */
const FIRST_FACE: Record<Role, number> = { train: 0, validation: 2 ** 30, test: 2 ** 31 };

/** Last word of the counter, for generated faces; see src/random.ts. */
const FACES = 3;
/** Streams of one face: its meaning does not depend on how it is drawn. */
const MEANING = 0;
const LOOKS = 1;
const GRAIN = 2;
/** The annotators are the same for all faces of a seed. */
const PEOPLE = 3;

/** How often each expression dominates a face: as unbalanced as FER+. */
const PRIOR = [0.32, 0.25, 0.125, 0.12, 0.1, 0.025, 0.035, 0.025];

/** One generated face: what it shows and what was said about it. */
export interface GeneratedFace {
  /** [size, size, channels]. */
  pixels: Uint8Array;
  /** The shares of EXPRESSIONS from which the geometry was blended. */
  mixture: readonly number[];
  /** From 0 clear to 1 hardly to be told. */
  difficulty: number;
  /** The distribution from which reliable annotators vote, over EXPRESSIONS. */
  truth: readonly number[];
  /** Ten votes over EXPRESSIONS and NO_EXPRESSION. */
  votes: readonly number[];
  /** The expression that one more annotator gave, as a dataset with single labels would have it; undefined where they gave none. */
  label: number | undefined;
}

/** Generates one face: a pure function of its arguments. */
export function generateFace(seed: number, index: number, size: number, channels: 1 | 3): GeneratedFace {
  const meaning = new Draws(seed, index, MEANING);
  const mixture = drawMixture(meaning);
  const hard = meaning.uniform() < 0.2;
  const difficulty = hard ? meaning.uniform(0.5, 1) : meaning.uniform(0, 0.35);
  const truth = perceived(mixture, difficulty);

  const people = new Draws(seed, 0, PEOPLE);
  const votes = new Array<number>(EXPRESSIONS.length + NO_EXPRESSION.length).fill(0);
  const ask = () =>
    vote(
      truth,
      difficulty,
      reliability(people.uniform()),
      [0, 0, 0, 0].map(() => meaning.uniform()),
    );
  for (let annotator = 0; annotator < ANNOTATORS; annotator++) votes[ask()]++;
  const single = ask();

  const portrait = drawLooks(new Draws(seed, index, LOOKS), mixture, difficulty);
  const pixels = drawPortrait(portrait, size, channels, grain(seed, index));
  return { pixels, mixture, difficulty, truth, votes, label: single < EXPRESSIONS.length ? single : undefined };
}

/** Generates the dataset: `validationShare` of the faces each for validation and test. */
export async function generateDataset({ seed, validationShare, size, channels, count, onProgress }: DatasetOptions): Promise<Dataset> {
  const total = count ?? GENERATED_FACES;
  const held = Math.max(1, Math.round(total * validationShare));
  let done = 0;
  const part = async (role: Role, faces: number) => {
    const set = emptySet(`generated ${role}`, faces, size, channels);
    for (let face = 0; face < faces; face++) {
      const index = FIRST_FACE[role] + face;
      fillFace(set, face, generateFace(seed, index, size, channels));
      if (++done % 500 === 0 || done === total) onProgress?.(done, total, 'generating faces');
      if (done % 20 === 0) await new Promise(setImmediate); // shaders are compiled meanwhile
    }
    return set;
  };
  const train = await part('train', total - 2 * held);
  const validation = await part('validation', held);
  const test = await part('test', held);
  return { name: 'generated', classes: EXPRESSIONS, train, validation, test, notes: [] };
}

type GeneratedSet = FaceSet & { pixels: Uint8Array; labels: Uint8Array; truth: Float32Array; ids: string[] };

function emptySet(name: string, count: number, size: number, channels: 1 | 3): GeneratedSet {
  const voteNames = [...EXPRESSIONS, ...NO_EXPRESSION];
  return {
    name,
    classes: EXPRESSIONS,
    count,
    height: size,
    width: size,
    channels,
    pixels: new Uint8Array(count * size * size * channels),
    voteNames,
    votes: new Float32Array(count * voteNames.length),
    ids: Array.from({ length: count }, (_, face) => `${name} face ${face}`),
    labels: new Uint8Array(count),
    truth: new Float32Array(count * EXPRESSIONS.length),
  };
}

function fillFace(set: GeneratedSet, face: number, generated: GeneratedFace): void {
  set.pixels.set(generated.pixels, face * generated.pixels.length);
  set.votes.set(generated.votes, face * generated.votes.length);
  set.truth.set(generated.truth, face * generated.truth.length);
  set.labels[face] = generated.label ?? NO_LABEL;
}

/**
 * A mixture `(1−ρ)·e_k + ρ·d`: the dominant expression k by PRIOR, d over the expressions that k is confused with. Two thirds of the faces
 * are nearly pure, the others really mixed.
 */
function drawMixture(draws: Draws): number[] {
  const dominant = drawClass(PRIOR, draws.uniform());
  const share = draws.uniform() < 0.65 ? draws.uniform(0, 0.25) : draws.uniform(0.25, 0.6);
  const others = EXPRESSIONS.map((_, other) => (other === dominant ? 0 : (0.01 + affinity(dominant, other)) * draws.exponential() ** 2));
  const sum = others.reduce((left, right) => left + right, 0);
  return others.map((weight, index) => (share * weight) / sum + (index === dominant ? 1 - share : 0));
}

const SKINS: readonly Color[] = [
  [0.88, 0.75, 0.67],
  [0.84, 0.67, 0.56],
  [0.77, 0.57, 0.44],
  [0.66, 0.46, 0.35],
  [0.52, 0.36, 0.27],
  [0.42, 0.29, 0.23],
];
const HAIRS: readonly Color[] = [
  [0.08, 0.07, 0.07],
  [0.1, 0.08, 0.08],
  [0.16, 0.11, 0.09],
  [0.22, 0.14, 0.1],
  [0.4, 0.26, 0.15],
  [0.72, 0.56, 0.32],
  [0.45, 0.24, 0.15],
  [0.72, 0.72, 0.72],
];
const IRISES: readonly Color[] = [
  [0.24, 0.15, 0.09],
  [0.3, 0.38, 0.24],
  [0.28, 0.4, 0.52],
];
const OCCLUSIONS: readonly Occlusion[] = ['hand', 'sunglasses', 'fringe', 'scarf'];

/** How one person shows a mixture of expressions, and how they were photographed: worse the harder the face. */
function drawLooks(draws: Draws, mixture: readonly number[], difficulty: number): Portrait {
  const units = blend(mixture);
  for (const unit of ACTION_UNITS) units[unit] = Math.max(0, units[unit] * draws.uniform(0.65, 1.2) + 0.07 * draws.normal());
  const flaw = Math.max(0, 2 * difficulty - 1); // 0 for clear faces, up to 1
  const spread = 0.4 + difficulty;
  const chance = (probability: number) => draws.uniform() < probability;
  return {
    units,
    side: chance(0.5) ? 1 : -1,
    anatomy: {
      headWidth: draws.normal(0.76, 0.03),
      jawTaper: draws.uniform(0.12, 0.32),
      eyeDistance: draws.normal(0.34, 0.015),
      eyeWidth: draws.normal(0.165, 0.01),
      eyeHeight: draws.normal(0.085, 0.007),
      browHeight: draws.normal(0.24, 0.02),
      browThickness: draws.uniform(0.05, 0.11),
      browTilt: draws.normal(0, 0.015),
      noseLength: draws.normal(0.24, 0.025),
      noseWidth: draws.normal(0.13, 0.015),
      mouthHeight: draws.normal(0.58, 0.02),
      mouthWidth: draws.normal(0.28, 0.02),
      mouthCurve: draws.normal(0, 0.018),
      lipThickness: draws.uniform(0.035, 0.075),
      age: draws.uniform(),
    },
    colors: {
      skin: draws.varied(draws.pick(SKINS), 0.03),
      hair: draws.varied(draws.pick(HAIRS), 0.04),
      iris: draws.pick(IRISES),
      background: draws.varied([0.5, 0.5, 0.5], 0.25),
      clothes: draws.varied([0.4, 0.4, 0.45], 0.25),
      occluder: draws.varied([0.5, 0.45, 0.45], 0.2),
    },
    hair: {
      height: draws.uniform(0.2, 0.42),
      length: chance(0.5) ? draws.uniform(0.2, 0.5) : 0,
      parting: draws.normal(0, 0.09),
      beard: chance(0.15) ? draws.uniform(0.2, 0.7) : 0,
    },
    glasses: chance(0.12),
    gaze: [draws.normal(0, 0.35), draws.normal(0, 0.3)],
    pose: {
      yaw: draws.normal(0, 0.16 * spread),
      pitch: draws.normal(0, 0.18 * spread),
      roll: draws.normal(0, 0.13 * spread),
      scale: draws.normal(1, 0.05),
      x: draws.normal(0, 0.025 * spread),
      y: draws.normal(0, 0.025 * spread),
    },
    light: [draws.normal(0, 0.18 + 0.15 * flaw), draws.normal(-0.05, 0.1)],
    brightness: draws.normal(0, 0.05 + 0.07 * flaw),
    contrast: draws.uniform(0.75, 1.05) * (1 - 0.35 * flaw),
    softness: draws.uniform(1, 1.8) + 1.5 * flaw * draws.uniform(),
    noise: draws.uniform(0.008, 0.03) + 0.08 * flaw * draws.uniform(),
    occlusion: difficulty >= 0.5 && chance(0.6) ? draws.pick(OCCLUSIONS) : 'none',
  };
}

/** Film grain of mean 0 and deviation 1, one number per pixel: the sum of two bytes, of variance 2·(256² − 1)/12. */
function grain(seed: number, index: number): (pixel: number) => number {
  let block = -1;
  let words: readonly number[] = [];
  return (pixel) => {
    if (pixel >> 3 !== block) {
      block = pixel >> 3;
      words = philox([block, GRAIN, index, FACES], [seed, 0]);
    }
    const bytes = words[(pixel >> 1) & 3] >>> (16 * (pixel & 1));
    return ((bytes & 255) + ((bytes >>> 8) & 255) - 255) / 104.5;
  };
}

/** Random numbers of one stream of one face, one after another. */
class Draws {
  private words: readonly number[] = [];
  private used = 0;

  constructor(
    private readonly seed: number,
    private readonly face: number,
    private readonly stream: number,
  ) {}

  /** In [low, high). */
  uniform(low = 0, high = 1): number {
    if (this.used % 4 === 0) this.words = philox([this.used / 4, this.stream, this.face, FACES], [this.seed, 0]);
    return low + ((high - low) * this.words[this.used++ % 4]) / 2 ** 32;
  }

  /** Box & Muller 1958. */
  normal(mean = 0, deviation = 1): number {
    const radius = Math.sqrt(2 * this.exponential());
    return mean + deviation * radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Of mean 1. */
  exponential(): number {
    return -Math.log(1 - this.uniform());
  }

  pick<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.uniform() * choices.length)];
  }

  /** A colour near another: its brightness varies, its channels a little. */
  varied(color: Color, deviation: number): Color {
    const shift = this.normal(0, deviation);
    return color.map((value) => Math.max(0, Math.min(1, value + shift + this.normal(0, deviation / 4))));
  }
}
