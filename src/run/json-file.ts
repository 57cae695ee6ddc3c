import { readFileSync } from 'node:fs';
import type { RunError, UsageError } from '../errors.js';

/** The JSON object in the file at `path`. @throws `Failure` when there is no such file, or something else in it. */
export function readJsonObject(path: string, Failure: typeof RunError | typeof UsageError): Record<string, unknown> {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    if (cause instanceof SyntaxError)
      throw new Failure(
        `not JSON: ${cause.message}`,
        'Correct the file: names and texts in double quotes, no comma after the last entry.',
        { file: path },
        { cause },
      );
    throw new Failure(
      `cannot be read (${(cause as NodeJS.ErrnoException).code})`,
      'Check the path and the permission to read it.',
      { file: path },
      { cause },
    );
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new Failure('not a JSON object', 'Write one object: {"name": value, …}.', { file: path });
  }
  return content as Record<string, unknown>;
}
