import type { Emulator, WebhookType } from './emulator.ts';

/** The emulator returns to the present this long after the last call, in case the caller has died. */
const returnAfterMs = 60_000;

/**
 * The emulator at a time in the past. For data of the past, which somebody writes at once: what happens then sends no
 * webhook, because its receivers would handle it as if it had happened now.
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
