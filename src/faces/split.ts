import { InputError } from '../errors.js';
import { plurality } from '../labels/votes.js';
import { uniform } from '../random.js';
import { pixelDigests } from './duplicates.js';
import { type Dataset, type DatasetOptions, type FaceSet, pixelsOf, type Role, selectFaces, votesOf } from './face-set.js';
import { resize, withChannels } from './image.js';

/** First of the random streams that carve splits. */
const CARVING = 0x5b11;

/**
 * Deals faces out to their roles. Without a test split the validation faces become it, for what is reported must not have been chosen on;
 * a split that is still missing is carved out of training: seeded, with the same share of every plurality, and exact copies together.
 * @param roles the role of each face as the dataset has it; undefined where it has none
 * @param file named in errors
 */
export function splitFaces(faces: FaceSet, roles: readonly Role[] | undefined, options: DatasetOptions, file: string): Dataset {
  const { seed, validationShare, size, channels } = options;
  const notes: string[] = [];
  const rows: Record<Role, number[]> = { train: [], validation: [], test: [] };
  for (let face = 0; face < faces.count; face++) rows[roles ? roles[face] : 'train'].push(face);
  if (rows.test.length === 0 && rows.validation.length > 0) {
    rows.test = rows.validation;
    rows.validation = [];
    notes.push(`there is one held-out split of ${rows.test.length} faces: it is the test split`);
  }

  const digests = pixelDigests(faces);
  const strata = Array.from({ length: faces.count }, (_, face) => plurality(votesOf(faces, face)));
  (['test', 'validation'] as const).forEach((role, stream) => {
    if (rows[role].length > 0) return;
    const carved = stratifiedSample(rows.train, strata, digests, validationShare, seed, stream);
    notes.push(`${role}: ${carved.size} of ${rows.train.length} training faces, carved out by seed ${seed}`);
    rows[role] = rows.train.filter((face) => carved.has(face));
    rows.train = rows.train.filter((face) => !carved.has(face));
  });

  const trained = new Set(rows.train.map((face) => digests[face]));
  for (const role of ['validation', 'test'] as const) {
    const copies = rows[role].filter((face) => trained.has(digests[face])).length;
    if (copies > 0) notes.push(`${copies} of ${rows[role].length} ${role} faces have an exact copy among the training faces`);
  }
  const part = (role: Role) => {
    if (rows[role].length === 0) {
      throw new InputError(`no faces for ${role} (${faces.count} faces in all)`, 'Give more faces, or a larger share for validation.', {
        file,
      });
    }
    return resizeFaces(selectFaces(faces, rows[role], `${faces.name} ${role}`), size, channels);
  };
  return { name: faces.name, classes: faces.classes, train: part('train'), validation: part('validation'), test: part('test'), notes };
}

/**
 * About `share` of the faces of every stratum, in whole groups: faces of one group are all in the sample or all out of it.
 * @param strata, groups of every face, by its index
 * @param stream tells apart samples of one seed
 */
export function stratifiedSample(
  faces: readonly number[],
  strata: readonly number[],
  groups: readonly string[],
  share: number,
  seed: number,
  stream: number,
): Set<number> {
  const members = new Map<string, number[]>();
  const wanted = new Map<number, number>();
  for (const face of faces) {
    const group = members.get(groups[face]);
    if (group) group.push(face);
    else members.set(groups[face], [face]);
    wanted.set(strata[face], (wanted.get(strata[face]) ?? 0) + 1);
  }
  for (const [stratum, count] of wanted) wanted.set(stratum, Math.round(count * share));
  const sample = new Set<number>();
  const rank = new Map(faces.map((face) => [face, uniform(seed, CARVING + stream, face)]));
  for (const face of [...faces].sort((left, right) => rank.get(left)! - rank.get(right)!)) {
    if (sample.has(face) || wanted.get(strata[face])! <= 0) continue;
    for (const member of members.get(groups[face])!) {
      sample.add(member);
      wanted.set(strata[member], wanted.get(strata[member])! - 1);
    }
  }
  return sample;
}

/** The faces as squares of `size` pixels, grey or RGB. */
export function resizeFaces(faces: FaceSet, size: number, channels: 1 | 3): FaceSet {
  if (faces.height === size && faces.width === size && faces.channels === channels) return faces;
  const stride = size * size * channels;
  const pixels = new Uint8Array(faces.count * stride);
  for (let index = 0; index < faces.count; index++) {
    const { height, width } = faces;
    const image = { height, width, channels: faces.channels, pixels: pixelsOf(faces, index) };
    pixels.set(resize(withChannels(image, channels), size).pixels, index * stride);
  }
  const { digests: _, ...rest } = faces; // those of other pixels
  return { ...rest, height: size, width: size, channels, pixels };
}
