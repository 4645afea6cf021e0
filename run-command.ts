import { isConnectionError } from './database/errors.ts';
import { DomainError } from './domain-error.ts';
import { EnvironmentError } from './environment.ts';

/**
 * Runs a program. An error that an operator can fix is printed as one line, a bug in full. Either ends the process,
 * even if connections are still open.
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

/** Ends the process after this time, whatever it still waits for: a supervisor kills a process that does not stop. */
export function endWithin(milliseconds: number): void {
  setTimeout(() => {
    console.error(`The process did not close everything within ${milliseconds} ms, and ends now`);
    process.exit(1);
  }, milliseconds).unref();
}

function explain(error: unknown): unknown {
  if (error instanceof EnvironmentError || error instanceof DomainError) return error.message;
  if (isConnectionError(error)) return `Postgres cannot be reached (DATABASE_URL): ${error}`;
  return error;
}
