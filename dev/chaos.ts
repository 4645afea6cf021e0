import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { check, settle } from './chaos/check.ts';
import { injectFaults } from './chaos/faults.ts';
import { type Observed, startLoad } from './chaos/load.ts';
import { type Platform, startPlatform } from './chaos/platform.ts';
import { seededRandom } from './chaos/random.ts';
import { leash } from './part.ts';
import { showProgress } from './progress.ts';

/**
 * `npm run chaos -- --minutes 10`: kills and freezes processes and cuts and silences connections at random, under
 * mixed load. Afterwards every acknowledged change must exist once, and no refused one. See README.md.
 */
const options = readOptions();
const random = seededRandom(options.seed);
const progress = showProgress();
const cache = resolve(import.meta.dirname, '../.cache');
await mkdir(cache, { recursive: true });
const directory = await mkdtemp(resolve(cache, 'chaos-'));
await chmod(directory, 0o711); // as root, Postgres runs as another user
const again = `npm run chaos -- --minutes ${options.minutes} --seed ${options.seed}`;
let platform: Platform | undefined;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => void interrupt());
leash().onBroken(() => void interrupt());

let failed = true;
try {
  progress.say(`Chaos for ${options.minutes} minutes, seed ${options.seed}`);
  platform = await startPlatform(directory, progress);
  failed = !(await run(platform));
} catch (error) {
  progress.say(error instanceof Error ? (error.stack ?? error.message) : String(error));
}
await platform?.stop();
if (failed) progress.say(`✗ The logs are in ${directory}. The same faults again: ${again}`);
else await rm(directory, { recursive: true, force: true });
process.exit(failed ? 1 : 0);

async function run(platform: Platform): Promise<boolean> {
  const load = await startLoad(platform, random.fork('load'));
  const stop = AbortSignal.timeout(options.minutes * 60_000);
  const started = performance.now();
  const say = (line: string) => {
    const elapsed = Math.round((performance.now() - started) / 1_000);
    progress.say(`${Math.floor(elapsed / 60)}:${String(elapsed % 60).padStart(2, '0')}  ${line}`);
  };
  const tally = setInterval(() => say(describe(load.observed)), 15_000);
  const faults = await injectFaults(platform, random.fork('faults'), say, stop);
  say(`${faults} faults are over: waiting until no work is left`);
  await load.stop(60_000);
  clearInterval(tally);
  say(describe(load.observed));
  await settle(platform, say);
  const wrong = await check(platform, load.observed);
  for (const line of wrong.slice(0, 50)) progress.say(`  ✗ ${line}`);
  if (wrong.length > 0) return false;
  const done = [...load.observed.requests.values()].filter((outcome) => typeof outcome === 'object').length;
  progress.say(
    `✓ ${done} acknowledged changes exist once, ${load.observed.paid.length} payments granted, ${load.observed.teams.length} teams’ workflows run, ` +
      `ledger:verify is clean. ${faults} faults, seed ${options.seed}`,
  );
  return true;
}

function describe({ requests, teams, paid, answers }: Observed): string {
  const counts = [...answers].sort().map(([answer, count]) => `${answer}: ${count}`);
  return `${requests.size} requests with a key, ${teams.length} teams, ${paid.length} payments (${counts.join(', ')})`;
}

function readOptions(): { minutes: number; seed: number } {
  try {
    const { values } = parseArgs({
      options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string' } },
    });
    const minutes = z.coerce.number().positive().parse(values.minutes);
    const seed = values.seed ?? String(Math.floor(Math.random() * 2 ** 32));
    return { minutes, seed: z.coerce.number().int().nonnegative().parse(seed) };
  } catch {
    console.error('Usage: npm run chaos -- [--minutes 10] [--seed NUMBER]');
    process.exit(2);
  }
}

async function interrupt(): Promise<void> {
  progress.say('Stopping');
  await Promise.race([platform?.stop(), sleep(45_000)]);
  await rm(directory, { recursive: true, force: true });
  process.exit(130);
}
