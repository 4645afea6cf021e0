import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { type Platform, startPlatform } from './chaos/platform.ts';
import { leash, runTask } from './part.ts';
import { showProgress } from './progress.ts';
import { installSchemathesis } from './schemathesis/install.ts';
import { type Caller, seedCallers } from './schemathesis/seed.ts';
import { writeConfig } from './schemathesis/write-config.ts';

/**
 * `npm run schemathesis`: sends generated requests, valid and invalid, to every operation of the OpenAPI document, with a
 * service key and with a user's token. Every answer must be one that the document describes, and none may be a 5xx. See
 * README.md.
 */
const options = readOptions();
const progress = showProgress();
const cache = resolve(import.meta.dirname, '../.cache');
await mkdir(cache, { recursive: true });
if (options.installOnly) {
  await progress.step('Schemathesis', () => installSchemathesis(cache));
  process.exit();
}
const directory = await mkdtemp(join(cache, 'schemathesis-'));
await chmod(directory, 0o711); // as root, Postgres runs as another user
let platform: Platform | undefined;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => void interrupt());
leash().onBroken(() => void interrupt());

let failed = true;
try {
  progress.say(`Schemathesis, ${options.examples} examples of each operation, seed ${options.seed}`);
  const program = await progress.step('Schemathesis', () => installSchemathesis(cache));
  platform = await startPlatform(directory, progress, { variables: await variables(), worker: false });
  const callers = await progress.step('teams, users, holds', async () => {
    if (!platform) throw new Error('the platform must be started');
    return await seedCallers(platform);
  });
  const passed = await Promise.all(callers.map((caller) => test(program, caller)));
  failed = passed.includes(false);
} catch (error) {
  progress.say(error instanceof Error ? (error.stack ?? error.message) : String(error));
}
await platform?.stop();
if (failed) progress.say(`✗ The logs are in ${directory}. The same requests again: --seed ${options.seed}`);
else await rm(directory, { recursive: true, force: true });
process.exit(failed ? 1 : 0);

/** Limits that the requests of one user from one address would reach. */
async function variables(): Promise<Record<string, string>> {
  const catalog = await readFile(resolve(import.meta.dirname, '../catalog/catalog.yaml'), 'utf8');
  const catalogFile = join(directory, 'catalog.yaml');
  await writeFile(catalogFile, catalog.replace(/^( *teamsPerUser:).*$/m, '$1 10000'));
  return {
    CATALOG_FILE: catalogFile,
    WEBHOOK_SIGNING_KEY: randomBytes(32).toString('base64'),
    RATE_LIMITS: 'person=100000000,service-key=100000000,team=100000000,unauthenticated=100000000',
  };
}

/** @returns whether all checks passed */
async function test(program: string, caller: Caller): Promise<boolean> {
  const name = caller.name.replaceAll(' ', '-');
  const config = join(directory, `${name}.toml`);
  await writeFile(config, writeConfig(caller, options.seed, options.examples), { mode: 0o600 });
  const started = performance.now();
  const lines: string[] = [];
  const passed = await runTask({
    name: `Schemathesis with a ${caller.name}`,
    command: program,
    args: [
      ...['--config-file', config, '--no-color', 'run', `${caller.url}/openapi.json`, '--url', caller.url],
      ...['--workers', '1', '--checks', 'all', '--phases', options.phases, ...options.more],
    ],
    env: { PATH: process.env.PATH ?? '', HOME: directory, COLUMNS: '120' },
    cwd: directory,
    logFile: join(directory, `${name}.log`),
    onLine: (line) => void lines.push(line),
  }).then(
    () => true,
    () => false,
  );
  const seconds = Math.round((performance.now() - started) / 1_000);
  const summary = lines.findLastIndex((line) => /=+ (FAILURES|ERRORS|SUMMARY) =+/.test(line));
  const first = passed ? summary : lines.findIndex((line) => /=+ (FAILURES|ERRORS) =+/.test(line));
  for (const line of lines.slice(Math.max(0, first))) progress.say(`  ${line}`);
  progress.say(`${passed ? '✓' : '✗'} with a ${caller.name} (${seconds} s)`);
  return passed;
}

function readOptions() {
  const { values, positionals } = parseArgs({
    options: {
      examples: { type: 'string', default: '200' },
      seed: { type: 'string', default: '1' },
      phases: { type: 'string', default: 'examples,coverage,fuzzing,stateful' },
      'install-only': { type: 'boolean', default: false },
    },
    allowPositionals: true,
  });
  const whole = z.coerce.number().int().positive();
  return {
    examples: whole.parse(values.examples),
    seed: whole.parse(values.seed),
    phases: values.phases,
    installOnly: values['install-only'],
    more: positionals,
  };
}

async function interrupt(): Promise<void> {
  progress.say('Stopping');
  await platform?.stop();
  await rm(directory, { recursive: true, force: true });
  process.exit(130);
}
