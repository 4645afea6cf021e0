import { CancellationScope, isCancellation, sleep } from '@temporalio/workflow';

/** A timer with an absolute deadline that can be moved. */
export interface Deadline {
  /** Sets the timer to this instant (ISO 8601), or to none. A deadline that stays where it is costs nothing. */
  moveTo(at: string | null): void;
  hasPassed(): boolean;
}

/**
 * The ledger's clock decides what is due, and it may be behind the one that fires timers. A timer that fired too early
 * is set again after so long, in milliseconds, doubling.
 */
const shortestWait = 1_000;
const longestWait = 5 * 60_000;

/** @param summary  what the timer is for, as operators read it in the Temporal UI */
export function createDeadline(summary: string): Deadline {
  let current: string | null = null;
  let passed = false;
  let early = 0;
  let timer: CancellationScope | null = null;

  return {
    hasPassed: () => passed,
    moveTo(at) {
      if (at === current && !passed) return;
      early = at !== null && at === current ? early + 1 : 0;
      timer?.cancel();
      timer = null;
      current = at;
      passed = false;
      if (at !== null) start(Math.max(Date.parse(at) - Date.now(), pause(early)));
    },
  };

  function start(milliseconds: number): void {
    const scope = new CancellationScope();
    timer = scope;
    scope
      .run(() => sleep(Math.max(milliseconds, 1), { summary }))
      .then(
        () => {
          passed = true;
        },
        (error: unknown) => {
          if (!isCancellation(error)) throw error;
        },
      );
  }
}

function pause(early: number): number {
  return early === 0 ? 0 : Math.min(shortestWait * 2 ** (early - 1), longestWait);
}
