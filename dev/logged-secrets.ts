import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A secret in a log: what it is and where. Never the line itself, because it would be in the next log. */
export interface LoggedSecret {
  kind: string;
  file: string;
  line: number;
}

/** Recognised by their form. The lookbehinds keep longer words from matching. */
const patterns: Readonly<Record<string, RegExp>> = {
  'a service key': /(?<!\w)wl_[\w-]{20,}/,
  'a JWT': /(?<!\w)eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}/,
  'a webhook secret': /(?<!\w)whsec_[\w+/=-]{8,}/,
  'a token of Polar': /(?<!\w)polar_(?:oat|cst|whs|pat)_\w{5,}/,
  'a portal link': /customer_session_token=\w/,
  'a session cookie': /__Host-\w+=[\w-]/,
  'a password in a URL': /:\/\/[^\s/:@"]+:[^\s/:@"]+@/,
  'an e-mail address': /(?<![\w.])[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}(?!\w)/i,
};

/** The file of a run's secrets that have no form of their own, one a line. */
export const secretsFile = 'secrets';

/**
 * Searches the copies of a run's logs (`LOG_COPY_DIRECTORY`) for secrets and personal data.
 * @returns the number of lines, and each secret that was found
 */
export function findLoggedSecrets(directory: string): { lines: number; found: LoggedSecret[] } {
  const secrets = readSecrets(directory);
  const found: LoggedSecret[] = [];
  let lines = 0;
  for (const file of readdirSync(directory).filter((name) => name.endsWith('.log'))) {
    for (const [index, text] of readFileSync(join(directory, file), 'utf8').split('\n').entries()) {
      if (text === '') continue;
      lines += 1;
      const kinds = Object.keys(patterns).filter((kind) => patterns[kind]?.test(text));
      if (secrets.some((secret) => text.includes(secret))) kinds.push('a secret of a test');
      found.push(...kinds.map((kind) => ({ kind, file, line: index + 1 })));
    }
  }
  return { lines, found };
}

function readSecrets(directory: string): string[] {
  if (!readdirSync(directory).includes(secretsFile)) return [];
  const all = readFileSync(join(directory, secretsFile), 'utf8').split('\n').filter(Boolean);
  return [...new Set(all)];
}
