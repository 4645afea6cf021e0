import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
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
  'signingKeys',
  'token',
  'tokenSecret',
  'tokenSecrets',
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
 *
 * With `LOG_COPY_DIRECTORY` every line of every level also goes to a file there: `npm test` searches them for secrets.
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

function makeLog(readable?: DestinationStream) {
  const { LOG_LEVEL, NODE_ENV, LOG_COPY_DIRECTORY } = process.env;
  const level = logLevels.find((level) => level === LOG_LEVEL) ?? (NODE_ENV === 'test' ? 'warn' : 'info');
  const options = {
    level,
    redact: { paths: secretPaths, censor: '[redacted]' },
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
  };
  if (LOG_COPY_DIRECTORY) {
    const copy = pino.destination({ dest: join(LOG_COPY_DIRECTORY, `${randomUUID()}.log`), sync: true });
    const shown = { stream: readable ?? pino.destination(1), level: level === 'silent' ? Infinity : level };
    return pino({ ...options, level: 'trace' }, pino.multistream([shown, { stream: copy, level: 'trace' }]));
  }
  return pino(options, readable ?? linesOfATurn());
}

/**
 * Writes all lines of a turn of the event loop with one system call: the requests of one commit are answered in one turn.
 * A process that exits writes its last lines. One that is killed loses the lines of its last turn.
 */
function linesOfATurn(): DestinationStream {
  const output = pino.destination({ dest: 1, sync: true });
  let lines = '';
  const write = () => {
    if (lines !== '') output.write(lines);
    lines = '';
  };
  process.once('exit', write);
  return {
    write(line) {
      if (lines === '') setImmediate(write);
      lines += line;
    },
  };
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
