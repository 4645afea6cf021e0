import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Link } from '../link.ts';
import type { Part } from '../part.ts';
import { withDescendants } from '../process-command.ts';
import type { Platform } from './platform.ts';
import type { Random } from './random.ts';

const pauseMs = [1_000, 4_000] as const;
/** Longer than every timeout of a caller, a pool or Temporal for one attempt. */
const seconds = [1, 12] as const;
const mostAtOnce = 3;

interface Fault {
  /** Two faults of one target never overlap. */
  target: string;
  what: string;
  run(seconds: number): Promise<void>;
}

/**
 * Until `stop` is aborted: runs each fault once in random order, then all of them again, up to three at the same time.
 * @returns the number of faults, after the last one is over
 */
export async function injectFaults(
  { parts, links }: Platform,
  random: Random,
  say: (line: string) => void,
  stop: AbortSignal,
): Promise<number> {
  const faults = [...faultsOfParts(parts), ...faultsOfLinks(links)];
  const underWay = new Map<string, Promise<void>>();
  let deck: Fault[] = [];
  let injected = 0;
  while (!stop.aborted) {
    await sleep(random.between(...pauseMs), undefined, { signal: stop }).catch(() => {});
    if (stop.aborted || underWay.size >= mostAtOnce) continue;
    if (deck.length === 0) deck = random.shuffle(faults);
    const fault = deck.find(({ target }) => !underWay.has(target));
    if (!fault) continue;
    deck = deck.filter((other) => other !== fault);
    const duration = random.between(...seconds);
    say(fault.what.replace('%', String(duration)));
    injected += 1;
    const run = fault.run(duration).finally(() => underWay.delete(fault.target));
    underWay.set(fault.target, run);
  }
  await Promise.all(underWay.values());
  return injected;
}

function faultsOfParts(parts: Platform['parts']): Fault[] {
  return [...parts.keys()].flatMap((target) => [
    { target, what: `${target} is killed`, run: async () => kill(parts.get(target)) },
    { target, what: `${target} is frozen for % s`, run: (seconds) => freeze(parts.get(target), seconds) },
  ]);
}

function faultsOfLinks(links: Platform['links']): Fault[] {
  return [...links].flatMap(([target, link]) => [
    { target, what: `${target} is cut for % s`, run: (seconds) => interrupt(link, 'cut', seconds) },
    { target, what: `${target} is silent for % s`, run: (seconds) => interrupt(link, 'silence', seconds) },
  ]);
}

async function interrupt(link: Link, how: 'cut' | 'silence', seconds: number): Promise<void> {
  link[how]();
  await sleep(seconds * 1_000);
  link.heal();
}

/** Postgres' processes outlive a killed postmaster, so they are killed too. */
function kill(part: Part | undefined): void {
  for (const pid of stopAll(part)) signal(pid, 'SIGKILL');
}

/** Another process continues them, so that none stays frozen if this one is killed. */
async function freeze(part: Part | undefined, seconds: number): Promise<void> {
  const pids = stopAll(part).map(String);
  const waiter = spawn('sh', ['-c', 'sleep "$0"; kill -CONT "$@"', String(seconds), ...pids], {
    detached: true,
    stdio: 'ignore',
  });
  await once(waiter, 'exit');
}

/** The parent is stopped first, so that it cannot start others. */
function stopAll(part: Part | undefined): number[] {
  if (!part?.running()) return [];
  signal(part.pid, 'SIGSTOP');
  const pids = withDescendants(part.pid);
  for (const each of pids) signal(each, 'SIGSTOP');
  return pids;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has just ended.
  }
}
