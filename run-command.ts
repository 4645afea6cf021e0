import { isConnectionError } from './database/errors.ts';
import { DomainError } from './domain-error.ts';
import { EnvironmentError } from './environment.ts';

/**
 * Runs a program. Whatever its operator can mend is told in one clear line, a bug as a whole; either ends the process,
 * also where connections are still open.
 *
 * @param exitCode  of a program that failed
 */
export async function runCommand(work: () => Promise<void>, exitCode = 1): Promise<void> {
  try {
    await work();
  } catch (error) {
    console.error(explain(error));
    process.exit(exitCode);
  }
}

/** Ends the process after this long whatever it still waits for: a supervisor kills a process that is asked to stop and stays. */
export function endWithin(milliseconds: number): void {
  setTimeout(() => {
    console.error(`Not everything could be closed within ${milliseconds} ms: the process ends without it`);
    process.exit(1);
  }, milliseconds).unref();
}

function explain(error: unknown): unknown {
  if (error instanceof EnvironmentError || error instanceof DomainError) return error.message;
  if (isConnectionError(error)) return `Postgres cannot be reached (DATABASE_URL): ${error}`;
  return error;
}
