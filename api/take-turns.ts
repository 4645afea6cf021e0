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
   * @param owner  the team or caller of the work; undefined: only the total is limited
   * @throws DomainError `too_many_requests` if the owner has too much work in flight; `overloaded` if all owners
   *   together have
   */
  take<T>(owner: string | undefined, work: () => Promise<T>): Promise<T>;
}

const longestWaitMs = 5_000;
const mostWaitingPerOwner = 100;
const mostWaitingInAll = 1_000;

/** Limits how much work of one kind runs at once, so that one owner cannot use the capacity of the others. */
export function createTurns({ maxPerOwner, maxInAll }: TurnLimits): Turns {
  const running = new Map<string, number>();
  const waiting = new Set<{ owner: string | undefined; begin: () => void }>();
  let total = 0;

  return {
    async take(owner, work) {
      if (!mayBegin(owner)) await waitForTurn(owner);
      else count(owner, 1);
      try {
        return await work();
      } finally {
        count(owner, -1);
        next();
      }
    },
  };

  function mayBegin(owner: string | undefined): boolean {
    return total < maxInAll && (owner === undefined || (running.get(owner) ?? 0) < maxPerOwner);
  }

  function count(owner: string | undefined, change: 1 | -1): void {
    total += change;
    if (owner === undefined) return;
    const left = (running.get(owner) ?? 0) + change;
    if (left > 0) running.set(owner, left);
    else running.delete(owner);
  }

  async function waitForTurn(owner: string | undefined): Promise<void> {
    const ofOwner = owner === undefined ? 0 : [...waiting].filter((other) => other.owner === owner).length;
    if (ofOwner >= mostWaitingPerOwner || waiting.size >= mostWaitingInAll) throw refusal(owner);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const place = { owner, begin: resolve };
    waiting.add(place);
    const timer = setTimeout(() => {
      if (waiting.delete(place)) reject(refusal(owner));
    }, longestWaitMs);
    await promise.finally(() => clearTimeout(timer));
  }

  /** The next in line gets the capacity at once, before anyone who arrives later. */
  function next(): void {
    for (const place of waiting) {
      if (total >= maxInAll) return;
      if (!mayBegin(place.owner)) continue;
      waiting.delete(place);
      count(place.owner, 1);
      place.begin();
    }
  }

  function refusal(owner: string | undefined): DomainError {
    const details = { retryAfterSeconds: 2 };
    if (owner !== undefined && (running.get(owner) ?? 0) >= maxPerOwner) {
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
