import { readdirSync, readFileSync } from 'node:fs';

/** What is known of a dataset before it is there: `datasets/<name>.json`. */
export interface Manifest {
  name: string;
  title: string;
  /** Where to ask for it, and how. */
  source: { url: string; how: string };
  paper: string;
  classes: readonly string[];
  /** Files and folders by what they hold, relative to the dataset's folder. */
  layout: Record<string, string>;
  /** Faces per split, as published. */
  splits: Record<string, number>;
  /** Faces per split that each FER+ mode keeps, where there are votes. */
  kept?: Record<string, Record<string, number>>;
  facts: readonly string[];
  /** What has to be there: of each group one path, which may lie elsewhere in some copies. FER+ is told by its own reader. */
  needs?: readonly (readonly string[])[];
}

const FOLDER = new URL('../../datasets/', import.meta.url);

/** Every manifest, by name. */
export function readManifests(): Manifest[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => JSON.parse(readFileSync(new URL(file, FOLDER), 'utf8')) as Manifest);
}
