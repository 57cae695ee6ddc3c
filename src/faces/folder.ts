import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { InputError } from '../errors.js';
import { expressionName, inExpressionOrder } from './expressions.js';
import type { Dataset, DatasetOptions, FaceSet, Role } from './face-set.js';
import { IMAGE_FILE } from './image.js';
import { packAllFaces } from './packed-faces.js';
import { splitFaces } from './split.js';

/** Names of sub-folders that hold a split. */
const SPLIT_FOLDERS: Record<string, Role> = {
  train: 'train',
  training: 'train',
  validation: 'validation',
  valid: 'validation',
  val: 'validation',
  test: 'test',
};

/** The role that a folder's or a cell's name means, if it means one. */
export function roleNamed(name: string): Role | undefined {
  const key = name.trim().toLowerCase();
  return Object.hasOwn(SPLIT_FOLDERS, key) ? SPLIT_FOLDERS[key] : undefined;
}

/** An image in a class folder, and the split that it lies in, if it lies in one. */
export interface ClassImage {
  file: string;
  className: string;
  role: Role | undefined;
}

/**
 * The PNG and JPEG images of a folder with one sub-folder per class, or with such folders within train / validation / test; empty where
 * there are none. Known expressions get our names ('happy' is 'happiness').
 */
export function findClassImages(folder: string): ClassImage[] {
  const splits = subFolders(folder).filter((name) => roleNamed(name) !== undefined);
  if (splits.length === 0) return imagesByClass(folder, undefined);
  return splits.flatMap((name) => imagesByClass(path.join(folder, name), roleNamed(name)));
}

/** Reads what `findClassImages` found. The class of each face is its one vote. */
export async function readFolder(folder: string, images: readonly ClassImage[], options: DatasetOptions): Promise<Dataset> {
  const classes = inExpressionOrder([...new Set(images.map((image) => image.className))]);
  if (classes.length < 2) {
    throw new InputError(`its images are all of the class ${classes[0]}`, 'Give one sub-folder of images per class, at least two.', {
      file: folder,
    });
  }
  if (images.some((image) => image.role) && !images.some((image) => image.role === 'train')) {
    throw new InputError('there is no train folder with images', 'Beside test or validation, give the faces to learn from in train/.', {
      file: folder,
    });
  }
  const count = images.length;
  const labels = Uint8Array.from(images, (image) => classes.indexOf(image.className));
  const votes = new Float32Array(count * classes.length); // [count, classes]
  labels.forEach((label, face) => {
    votes[face * classes.length + label] = 1;
  });
  const { size, channels } = options;
  const faces: FaceSet = {
    name: path.basename(path.resolve(folder)),
    classes,
    count,
    height: size,
    width: size,
    channels,
    ...(await packAllFaces(images, { dataset: folder, size, channels, onProgress: options.onProgress })),
    voteNames: classes,
    votes,
    ids: images.map((image) => path.relative(folder, image.file).split(path.sep).join('/')),
    labels,
  };
  const roles = images.map((image) => image.role ?? 'train');
  return splitFaces(faces, roles, options, folder);
}

function imagesByClass(folder: string, role: Role | undefined): ClassImage[] {
  const folderOf = new Map<string, string>();
  return subFolders(folder).flatMap((name) => {
    const className = expressionName(name);
    const inClass = path.join(folder, name);
    const files = readdirSync(inClass)
      .filter((file) => IMAGE_FILE.test(file))
      .sort();
    if (files.length > 0) {
      const other = folderOf.get(className);
      if (other) throw new InputError(`is the class ${className}, and so is ${other}`, 'Merge the two folders.', { file: inClass });
      folderOf.set(className, inClass);
    }
    return files.map((file) => ({ file: path.join(inClass, file), className, role }));
  });
}

/** Names of the sub-folders, links to folders included, sorted; hidden ones are left out. */
function subFolders(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => !name.startsWith('.') && statSync(path.join(folder, name), { throwIfNoEntry: false })?.isDirectory())
    .sort();
}
