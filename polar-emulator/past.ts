import type { Emulator, WebhookType } from './emulator.ts';

/** The emulator returns to the present this long after the last call, in case the caller has died. */
const returnAfterMs = 60_000;

/**
 * Sets the emulator to a time in the past, so that a program can create data of months at once. Events at a set time are
 * not sent as webhooks, because a receiver would handle them as if they had happened now. `set` returns them.
 */
export interface Past {
  /** The set time; undefined in the present. */
  now(): Date | undefined;
  /**
   * Sets the time; null returns to the present.
   * @returns the events since the last call, which were not sent, as webhooks contain them
   */
  set(at: Date | null): unknown[];
  /** Keeps an event instead of sending it. */
  keep(emulator: Pick<Emulator, 'stamp'>, type: WebhookType, data: unknown): void;
}

export function createPast(): Past {
  let time: Date | undefined;
  let kept: string[] = [];
  let returning: NodeJS.Timeout | undefined;
  return {
    now: () => time,
    set(at) {
      clearTimeout(returning);
      time = at ?? undefined;
      if (at) {
        returning = setTimeout(() => {
          time = undefined;
          kept = [];
        }, returnAfterMs).unref();
      }
      const events = kept.map((event): unknown => JSON.parse(event));
      kept = [];
      return events;
    },
    keep(emulator, type, data) {
      kept.push(JSON.stringify({ type, timestamp: emulator.stamp(), data })); // now, because the data changes later
    },
  };
}
