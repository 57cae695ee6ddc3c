import { UsageError } from '../errors.js';
import type { Dataset, DatasetOptions } from './face-set.js';
import { keptDataset } from './kept.js';
import { withoutClasses } from './leave-out.js';

export type { Dataset, DatasetOptions } from './face-set.js';

/** The dataset that needs no files. */
export const GENERATED = 'generated';

/**
 * Opens the faces that `data` names: 'generated', a folder, or a CSV file; what it holds decides how it is read.
 * Throws InputError with file, line and remedy for what cannot be read, UsageError for options that make no sense.
 */
export async function openDataset(data: string, options: DatasetOptions): Promise<Dataset> {
  checkOptions(options);
  const dataset = await readDataset(data, options);
  return options.leaveOut && options.leaveOut.length > 0 ? withoutClasses(dataset, options.leaveOut) : dataset;
}

/** Readers are loaded when they are wanted: all of them would make every start 40 ms longer. */
async function readDataset(data: string, options: DatasetOptions): Promise<Dataset> {
  if (data !== GENERATED) return (await import('./from-path.js')).readPath(data, options);
  return keptDataset([], options, async () => (await import('./generated.js')).generateDataset(options));
}

function checkOptions({ seed, validationShare, size, channels, count }: DatasetOptions): void {
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) {
    throw new UsageError(`${seed} is no seed`, 'Give a whole number from 0 to 4294967295.', { field: 'seed' });
  }
  if (!(validationShare > 0 && validationShare < 1)) {
    throw new UsageError(`${validationShare} is no share`, 'Give a number between 0 and 1, such as 0.1.', { field: 'validation share' });
  }
  if (!Number.isInteger(size) || size < 8 || size > 1024) {
    throw new UsageError(`faces cannot be ${size} pixels wide`, 'Give a whole number from 8 to 1024, such as 48.', { field: 'size' });
  }
  if (channels !== 1 && channels !== 3)
    throw new UsageError(`faces cannot have ${channels} channels`, 'Give 1 (grey) or 3 (RGB).', { field: 'channels' });
  if (count !== undefined && (!Number.isInteger(count) || count < 30)) {
    throw new UsageError(`cannot generate ${count} faces`, 'Give a whole number from 30.', { field: 'count' });
  }
}
