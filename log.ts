import { type DestinationStream, pino } from 'pino';
import { logLevels } from './environment.ts';

const secretNames = [
  'accessToken',
  'access_token',
  'apiKey',
  'authorization',
  'cookie',
  'databaseUrl',
  'email',
  'jwtSecret',
  'password',
  'secret',
  'secrets',
  'serviceApiKey',
  'token',
  'webhookSecrets',
  '["set-cookie"]',
  '["webhook-signature"]',
];

/** pino's `*` stands for one level: up to `err.request.headers.authorization`. */
const secretPaths = secretNames.flatMap((name) =>
  ['', '*', '*.*', '*.*.*'].map((above) =>
    name.startsWith('[') || !above ? `${above}${name}` : `${above}.${name}`,
  ),
);

/**
 * The log of this process: one JSON object a line in production, else one readable line, at `LOG_LEVEL`. An unknown
 * level is ignored here: `readEnvironment` refuses it.
 * Secrets and personal data are removed at every level. Log ids, not names.
 */
export const log = makeLog(await readableLines());

const minuteMs = 60_000;

/**
 * Returns a function that says whether a line about a subject may be logged: at most one per minute and subject, so
 * that a repeated failure does not fill the disk.
 */
export function oncePerMinute(): (subject: string) => boolean {
  const loggedAt = new Map<string, number>(); // in order of time
  return (subject) => {
    const now = performance.now();
    for (const [oldest, at] of loggedAt) {
      if (now - at < minuteMs) break;
      loggedAt.delete(oldest);
    }
    if (loggedAt.has(subject)) return false;
    loggedAt.set(subject, now);
    return true;
  };
}

function makeLog(destination?: DestinationStream) {
  const { LOG_LEVEL, NODE_ENV } = process.env;
  const options = {
    level: logLevels.find((level) => level === LOG_LEVEL) ?? (NODE_ENV === 'test' ? 'warn' : 'info'),
    redact: { paths: secretPaths, censor: '[redacted]' },
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
  };
  return destination ? pino(options, destination) : pino(options);
}

/** In production nothing is formatted, and `pino-pretty` need not be installed. */
async function readableLines(): Promise<DestinationStream | undefined> {
  if (process.env.NODE_ENV === 'production') return undefined;
  const { default: pretty } = await import('pino-pretty');
  return pretty({
    colorize: process.stdout.isTTY === true,
    singleLine: true,
    translateTime: 'HH:MM:ss.l',
    sync: true,
  });
}
