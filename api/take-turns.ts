import { DomainError } from '../domain-error.ts';

export interface TurnLimits {
  /** The maximum amount of concurrent work of one owner. */
  maxPerOwner: number;
  /** The maximum amount of concurrent work in total. */
  maxInAll: number;
}

export interface Turns {
  /**
   * Runs `work` at once, or in order of arrival within five seconds.
   * @param owners  the team and the user of the work. It counts for each of them; without one, only the total is limited
   * @throws DomainError `too_many_requests` if an owner has too much work in flight; `overloaded` if all owners
   *   together have
   */
  take<T>(owners: readonly string[], work: () => Promise<T>): Promise<T>;
}

const longestWaitMs = 5_000;
const mostWaitingPerOwner = 100;
const mostWaitingInAll = 1_000;

/** Limits how much work of one kind runs at once, so that one owner cannot use the capacity of the others. */
export function createTurns({ maxPerOwner, maxInAll }: TurnLimits): Turns {
  const running = new Map<string, number>();
  const waiting = new Set<{ owners: readonly string[]; begin: () => void }>();
  let total = 0;

  return {
    async take(owners, work) {
      if (!mayBegin(owners)) await waitForTurn(owners);
      else count(owners, 1);
      try {
        return await work();
      } finally {
        count(owners, -1);
        next();
      }
    },
  };

  function mayBegin(owners: readonly string[]): boolean {
    return total < maxInAll && !owners.some(isBusy);
  }

  function isBusy(owner: string): boolean {
    return (running.get(owner) ?? 0) >= maxPerOwner;
  }

  function count(owners: readonly string[], change: 1 | -1): void {
    total += change;
    for (const owner of owners) {
      const left = (running.get(owner) ?? 0) + change;
      if (left > 0) running.set(owner, left);
      else running.delete(owner);
    }
  }

  async function waitForTurn(owners: readonly string[]): Promise<void> {
    const waitingOf = (owner: string) => [...waiting].filter((other) => other.owners.includes(owner)).length;
    const isFull =
      waiting.size >= mostWaitingInAll || owners.some((owner) => waitingOf(owner) >= mostWaitingPerOwner);
    if (isFull) throw refusal(owners);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const place = { owners, begin: resolve };
    waiting.add(place);
    const timer = setTimeout(() => {
      if (waiting.delete(place)) reject(refusal(owners));
    }, longestWaitMs);
    await promise.finally(() => clearTimeout(timer));
  }

  /** The next in line gets the capacity at once, before anyone who arrives later. */
  function next(): void {
    for (const place of waiting) {
      if (total >= maxInAll) return;
      if (!mayBegin(place.owners)) continue;
      waiting.delete(place);
      count(place.owners, 1);
      place.begin();
    }
  }

  function refusal(owners: readonly string[]): DomainError {
    const details = { retryAfterSeconds: 2 };
    if (owners.some(isBusy)) {
      const why = `At most ${maxPerOwner} such requests of a team or user run at once: wait for their answers, then send this request again`;
      return new DomainError('too_many_requests', why, details);
    }
    return new DomainError(
      'overloaded',
      'Too many such requests run at once: send this request again later',
      details,
    );
  }
}
