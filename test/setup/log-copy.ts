import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { secretsFile } from '../../dev/logged-secrets.ts';

const { LOG_COPY_DIRECTORY } = process.env;

/** For the environment of a process that a test starts: its log is searched for secrets too. */
export const logCopy: Readonly<Record<string, string>> =
  LOG_COPY_DIRECTORY === undefined ? {} : { LOG_COPY_DIRECTORY };

/** A secret of this test file that no log of the run may contain. */
export function rememberSecret(secret: string): void {
  if (LOG_COPY_DIRECTORY !== undefined) appendFileSync(join(LOG_COPY_DIRECTORY, secretsFile), `${secret}\n`);
}
