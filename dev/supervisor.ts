import { setTimeout as sleep } from 'node:timers/promises';
import { leash, type Part } from './part.ts';

export type Supervisor = {
  /** Aborted when everything must stop. */
  stopping: AbortSignal;
  /** Starts a part and keeps it running: if it ends without being stopped, it is started again. */
  keep<T extends { part: Part }>(name: string, start: () => Promise<T>): Promise<T>;
  askToStop(): void;
  /** Stops all parts in reverse order, each with its own time limit. */
  stop(): Promise<void>;
  /** Kills the parts that are still running. */
  hurry(): void;
};

const firstDelayMs = 1_000;
const longestDelayMs = 30_000;

export function supervise(say: (line: string) => void): Supervisor {
  const stopping = new AbortController();
  const kept: { part: Part; watched: Promise<void> }[] = [];

  const stop = async () => {
    stopping.abort();
    for (const entry of kept.toReversed()) {
      await entry.part.stop();
      await entry.watched;
    }
  };

  leash().onBroken(() => {
    if (stopping.signal.aborted) return;
    say('The process that ends all parts (dev/leash.mjs) has ended: stopping.');
    process.kill(process.pid, 'SIGTERM');
  });

  return {
    stopping: stopping.signal,
    askToStop: () => stopping.abort(),
    stop,
    hurry: () => {
      for (const { part } of kept) void part.stop(0);
    },
    keep: async (name, start) => {
      const started = await start();
      const entry = { part: started.part, watched: Promise.resolve() };
      kept.push(entry);
      entry.watched = watch(name, entry, async () => (await start()).part, stopping.signal, say);
      return started;
    },
  };
}

async function watch(
  name: string,
  entry: { part: Part },
  start: () => Promise<Part>,
  stopping: AbortSignal,
  say: (line: string) => void,
): Promise<void> {
  let delay = firstDelayMs;
  while (!stopping.aborted) {
    const startedAt = performance.now();
    let how = await entry.part.exited;
    if (performance.now() - startedAt > longestDelayMs) delay = firstDelayMs;
    while (!stopping.aborted) {
      say(`${name} has ended (${how}); starting it again in ${delay / 1000} s`);
      await sleep(delay, undefined, { signal: stopping }).catch(() => {});
      delay = Math.min(delay * 2, longestDelayMs);
      if (stopping.aborted) return;
      try {
        entry.part = await start();
        say(`${name} runs again`);
        break;
      } catch (error) {
        how = error instanceof Error ? error.message : String(error);
      }
    }
  }
}
