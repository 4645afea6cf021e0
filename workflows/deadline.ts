import { CancellationScope, isCancellation, sleep } from '@temporalio/workflow';

/** A timer with an absolute deadline that can be moved. */
export interface Deadline {
  /**
   * Sets the timer to this instant (ISO 8601), or to none. An unchanged deadline costs nothing.
   * @param summary  the purpose of the timer, shown in the Temporal UI
   */
  moveTo(at: string | null, summary: string): void;
  at(): string | null;
  hasPassed(): boolean;
}

/**
 * The ledger's clock decides what is due, and it may be behind the clock of timers. A timer that fired too early is
 * set again after this pause, which doubles.
 */
const shortestPauseMs = 1_000;
const longestPauseMs = 5 * 60_000;

export function createDeadline(): Deadline {
  let current: string | null = null;
  let passed = false;
  let early = 0;
  let timer: CancellationScope | null = null;

  return {
    at: () => current,
    hasPassed: () => passed,
    moveTo(at, summary) {
      if (at === current && !passed) return;
      early = at !== null && at === current ? early + 1 : 0;
      timer?.cancel();
      timer = null;
      current = at;
      passed = false;
      if (at !== null) start(Math.max(Date.parse(at) - Date.now(), pauseMs(early)), summary);
    },
  };

  function start(milliseconds: number, summary: string): void {
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

function pauseMs(early: number): number {
  return early === 0 ? 0 : Math.min(shortestPauseMs * 2 ** (early - 1), longestPauseMs);
}
