import { MoueError } from '../errors.js';

/** Thrown when the user asked for `text` (--help, --version) instead of a run. */
export class Announcement {
  constructor(readonly text: string) {}
}

/**
 * Runs a command on the arguments of this process and ends the process, because an open GPU device would keep it alive. Exit status:
 * 0 done; 1 a failure that the user can mend, printed as two lines; 2 a defect of the program, printed with its stack.
 */
export async function runCommand(main: (args: string[]) => Promise<void>): Promise<never> {
  process.on('uncaughtException', (failure) => end(failure)); // rejections that nobody awaits arrive here too
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => process.exit(1)); // the reader (`| head`) has gone
  try {
    await main(process.argv.slice(2));
    return await flushAndExit(0);
  } catch (failure) {
    return await end(failure);
  }
}

async function end(failure: unknown): Promise<never> {
  if (failure instanceof Announcement) {
    process.stdout.write(`${failure.text}\n`);
    return flushAndExit(0);
  }
  process.stderr.write(`${describeFailure(failure)}\n`);
  return flushAndExit(failure instanceof MoueError ? 1 : 2);
}

/** What a user reads about a failure. */
export function describeFailure(failure: unknown): string {
  if (failure instanceof MoueError) return `error: ${failure.message}\n  → ${failure.remedy}`;
  return `error: this is a defect of moue, please report it\n${failure instanceof Error ? failure.stack : String(failure)}`;
}

/** process.exit() would drop what a pipe has not taken yet. */
async function flushAndExit(status: number): Promise<never> {
  for (const stream of [process.stdout, process.stderr]) await new Promise<void>((resolve) => stream.write('', () => resolve()));
  process.exit(status);
}
