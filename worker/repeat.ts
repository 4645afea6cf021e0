import { setTimeout } from 'node:timers/promises';

export interface Repeated {
  /** Starts no further round, and waits until the current one ends. */
  stop(): Promise<void>;
}

/**
 * Repeats `round` until it is stopped, with a pause after each. If a round fails, the next one runs nevertheless.
 *
 * @param round  its signal is aborted by `stop`
 * @param onError  called if a round fails, except after `stop`
 */
export function repeat(
  pauseMs: number,
  round: (signal: AbortSignal) => Promise<void>,
  onError: (error: unknown) => void,
): Repeated {
  const stopping = new AbortController();
  const { signal } = stopping;
  const running = (async () => {
    while (!signal.aborted) {
      try {
        await round(signal);
      } catch (error) {
        if (!signal.aborted) onError(error);
      }
      await setTimeout(pauseMs, undefined, { signal }).catch(() => {});
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
