import { InputError } from '../errors.js';
import type { Dataset, DatasetOptions, FaceSet, Problem, Role } from './face-set.js';
import { type ImageJob, packFaces } from './packed-faces.js';
import { splitFaces } from './split.js';

/** A row of a dataset's list of faces. */
export interface ListedFace extends ImageJob {
  /** The image's name in the dataset. */
  id: string;
  /** File and line of the list. */
  place: string;
  role: Role;
  /** An index into the classes. */
  label: number;
  /** Votes for the classes, where there are any beside the label. */
  votes?: ArrayLike<number> | undefined;
}

export interface ListedDataset {
  name: string;
  folder: string;
  classes: readonly string[];
  faces: readonly ListedFace[];
  /** Faces in the lists with a label that is no class, by its name. */
  leftOut?: Record<string, number>;
  /** Found missing before any image was opened. */
  problems?: readonly Problem[];
}

/**
 * Reads the images that a dataset lists. The label is a face's one vote where the list has no votes. What is missing or unreadable is
 * counted and told, not passed over in silence.
 * @throws InputError where no image can be read
 */
export async function readListedFaces(listed: ListedDataset, options: DatasetOptions): Promise<Dataset> {
  const { name, folder, classes, leftOut = {} } = listed;
  const { size, channels, onProgress } = options;
  const found = await packFaces(listed.faces, { dataset: folder, size, channels, onProgress });
  const faces = found.readable.map((index) => listed.faces[index]);
  const votes = new Float32Array(faces.length * classes.length); // [count, classes]
  faces.forEach((face, row) => {
    if (face.votes) votes.set(face.votes, row * classes.length);
    else votes[row * classes.length + face.label] = 1;
  });
  const set: FaceSet = {
    name,
    classes,
    count: faces.length,
    height: size,
    width: size,
    channels,
    pixels: found.pixels,
    digests: found.digests,
    voteNames: classes,
    votes,
    ids: faces.map(({ id }) => id),
    places: faces.map(({ place }) => place),
    labels: Uint8Array.from(faces, ({ label }) => label),
  };
  const problems: Problem[] = [
    ...(listed.problems ?? []),
    ...found.failures.map(({ index, missing, message }): Problem => {
      const { id, place } = listed.faces[index];
      return { kind: missing ? 'missing' : 'unreadable', id, place, message };
    }),
  ];
  requireRoles(listed, faces);
  const roles = faces.map(({ role }) => role);
  const dataset = splitFaces(set, roles, options, folder);
  dataset.notes.unshift(...problemNotes(problems), ...leftOutNotes(leftOut));
  return { ...dataset, problems, leftOut };
}

/** Without its training or its held-out faces a dataset is half unpacked: nothing is carved out in their stead. */
function requireRoles({ folder, faces: all }: ListedDataset, readable: readonly ListedFace[]): void {
  if (!all.some((face) => face.role === 'train')) {
    throw new InputError('its lists hold no face to train on', 'Copy the official lists anew.', { file: folder });
  }
  for (const role of new Set(all.map((face) => face.role))) {
    if (readable.some((face) => face.role === role)) continue;
    const { place } = all.find((face) => face.role === role)!;
    throw new InputError(
      `none of the ${all.filter((face) => face.role === role).length} images for ${role} can be read (the first is listed in ${place})`,
      'Check that all parts of the dataset are unpacked.',
      { file: folder },
    );
  }
}

export function problemNotes(problems: readonly Problem[]): string[] {
  return (['missing', 'unreadable'] as const).flatMap((kind) => {
    const those = problems.filter((problem) => problem.kind === kind);
    if (those.length === 0) return [];
    const [first] = those;
    const all = those.length > 1 ? '; node dist/faces.js inspect lists them all' : '';
    return [`${kind} images: ${those.length} (${first.place}: ${first.id}${all})`];
  });
}

export function leftOutNotes(leftOut: Readonly<Record<string, number>>): string[] {
  const counts = Object.entries(leftOut).filter(([, count]) => count > 0);
  return counts.length === 0 ? [] : [`left out for their label: ${counts.map(([name, count]) => `${count} ${name}`).join(', ')}`];
}
