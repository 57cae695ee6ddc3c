import { UsageError } from '../errors.js';
import type { Constants, Paradigm } from './paradigm.js';

/** All of them as `readConstants` reads them. */
export function formatConstants(constants: Constants): string {
  return Object.entries(constants)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
}

/**
 * The constants of a paradigm, with those changed that `settings` name as in 'smoothing=0.2,temperature=2'.
 * @throws UsageError for a name that the paradigm does not have, and a value that is no number or out of range
 */
export function readConstants(name: string, { constants }: Paradigm, settings: string): Constants {
  const values = Object.fromEntries(Object.entries(constants).map(([constant, { value }]) => [constant, value]));
  for (const setting of settings.split(',').filter((part) => part.trim() !== '')) {
    const [constant, text, ...rest] = setting.split('=').map((part) => part.trim());
    const known = Object.hasOwn(constants, constant) ? constants[constant] : undefined;
    if (!known) {
      const names = Object.keys(constants);
      throw new UsageError(
        `${name} has no constant '${constant}'`,
        names.length > 0 ? `It has ${names.join(', ')}: write ${names[0]}=${constants[names[0]].value}.` : 'It has none: leave --set out.',
        { field: '--set' },
      );
    }
    const value = text ? Number(text) : Number.NaN;
    const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY, integer = false } = known;
    if (!Number.isFinite(value) || rest.length > 0 || value < min || value > max || (integer && !Number.isInteger(value))) {
      const range = [known.min !== undefined && `from ${min}`, known.max !== undefined && `to ${max}`].filter(Boolean).join(' ');
      throw new UsageError(
        `'${setting}' sets no constant of ${name}`,
        `Write ${constant}=NUMBER${range && `, a ${integer ? 'whole ' : ''}number ${range}`}.`,
        {
          field: '--set',
        },
      );
    }
    values[constant] = value;
  }
  return values;
}
