import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { InputError } from '../errors.js';
import { readAffectNet2017, readAffectNet2021 } from './affectnet.js';
import type { Dataset, DatasetOptions } from './face-set.js';
import { type Manifest, readManifests } from './manifest.js';
import { readRafDb } from './raf-db.js';

/** The readers of the datasets whose manifests say what they need; `found` is one path for each need. */
const READERS: Record<string, (folder: string, found: readonly string[], options: DatasetOptions) => Promise<Dataset>> = {
  'raf-db': (folder, [, images], options) => readRafDb(folder, path.basename(images) === 'aligned' ? 'aligned' : 'original', options),
  'affectnet-2017': (folder, [training, validation, images], options) =>
    readAffectNet2017(folder, { training, validation, images }, options),
  'affectnet-2021': (folder, _, options) => readAffectNet2021(folder, options),
};

const ARCHIVE = /\.(zip|rar|7z|tar|tgz|gz|z\d\d)$/i;

/**
 * Reads a folder that has the whole layout of a known dataset, or is one of its parts by which it can be told ('Image/original' of RAF-DB).
 * Undefined where there is no such layout.
 */
export function openKnownLayout(folder: string, options: DatasetOptions): Promise<Dataset> | undefined {
  for (const manifest of manifests()) {
    const found = manifest.needs.map((paths) => firstExisting(folder, paths));
    if (found.every((file) => file !== undefined)) return READERS[manifest.name](folder, found, options);
    const root = rootOf(folder, manifest);
    if (root === undefined) continue;
    const needs = manifest.needs.map((paths) => firstExisting(root, paths));
    const part = manifest.needs.findIndex((paths) => paths.some((other) => path.join(root, other) === path.resolve(folder)));
    const isChoice = part >= 0 && manifest.name === 'raf-db';
    if (isChoice && needs.every((file) => file !== undefined)) {
      needs[part] = path.resolve(folder);
      return READERS[manifest.name](root, needs as string[], options);
    }
    throw new InputError(`is a part of ${manifest.title}`, `Give the whole dataset: ${root}.`, { file: folder });
  }
  return undefined;
}

/** The folder of the known dataset in which a file is a list of labels. */
export function folderOfList(file: string): string | undefined {
  const needs = manifests().flatMap((manifest) => manifest.needs.flat());
  const name = needs.find((need) => path.extname(need) !== '' && path.resolve(file).endsWith(path.sep + path.normalize(need)));
  return name && path.resolve(file).slice(0, -path.normalize(name).length - 1);
}

/** Throws what is missing where a folder has a part of a known layout, or where the dataset lies in a folder of it. */
export function refuseHalfUnpacked(folder: string): void {
  for (const { title, needs, source } of manifests()) {
    const missing = needs.filter((paths) => firstExisting(folder, paths) === undefined);
    if (missing.length === needs.length) continue;
    const archives = archivesIn(folder);
    const advice =
      archives.length > 0 ? `Unpack ${archives.slice(0, 3).join(', ')}${archives.length > 3 ? ', …' : ''} there.` : `Copy it there.`;
    throw new InputError(
      `looks like ${title}, but ${missing.map(([first]) => first).join(' and ')} ${missing.length > 1 ? 'are' : 'is'} not there`,
      `${advice} It is to be had from ${source.url}: ${source.how}.`,
      { file: folder },
    );
  }
  const below = subFolders(folder).filter((name) => {
    const inside = path.join(folder, name);
    return manifests().some(({ needs }) => needs.some((paths) => firstExisting(inside, paths) !== undefined));
  });
  if (below.length === 0) return;
  const choices = below.map((name) => path.join(folder, name));
  throw new InputError(`the dataset is in its folder ${below.join(' or ')}`, `Give ${choices.join(' or ')}.`, { file: folder });
}

/** The first of some paths in a folder that exists. */
function firstExisting(folder: string, names: readonly string[]): string | undefined {
  return names.map((name) => path.join(folder, name)).find((file) => existsSync(file));
}

type KnownManifest = Manifest & { needs: readonly (readonly string[])[] };

function manifests(): KnownManifest[] {
  return readManifests().filter((manifest): manifest is KnownManifest => (manifest.needs?.length ?? 0) > 0);
}

/** The dataset's folder where `folder` is, or holds, one of the folders that it needs: 'Image' of RAF-DB holds 'aligned'. */
function rootOf(folder: string, { needs }: KnownManifest): string | undefined {
  const resolved = path.resolve(folder);
  for (const need of needs.flat()) {
    if (path.extname(need) !== '') continue;
    const names = need.split('/');
    for (let end = names.length; end > 0; end--) {
      const [head, tail] = [path.join(...names.slice(0, end)), path.join('.', ...names.slice(end))];
      if (resolved.endsWith(path.sep + head) && existsSync(path.join(resolved, tail))) return resolved.slice(0, -head.length - 1);
    }
  }
  return undefined;
}

/** Archives in a folder and in its folders, relative to it. */
function archivesIn(folder: string): string[] {
  return ['.', ...subFolders(folder)].flatMap((name) =>
    readdirSync(path.join(folder, name))
      .filter((file) => ARCHIVE.test(file))
      .map((file) => path.join(name, file))
      .sort(),
  );
}

function subFolders(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => !name.startsWith('.') && statSync(path.join(folder, name), { throwIfNoEntry: false })?.isDirectory())
    .sort();
}
