import { DomainError } from '../domain-error.ts';

export interface TurnLimits {
  /** Most pieces of work of one owner under way at once. */
  perOwner: number;
  /** Most under way at once, whoever owns them. */
  inAll: number;
}

export interface Turns {
  /**
   * Runs `work` when it is its turn: at once, or within five seconds, in order of arrival.
   * @param owner  the team or caller that the work is for; undefined: only the total counts
   * @throws DomainError 429 `too_many_requests` where the owner has too much under way; 503 `overloaded` where all have
   */
  take<T>(owner: string | undefined, work: () => Promise<T>): Promise<T>;
}

const longestWaitMs = 5_000;
const mostWaitingPerOwner = 100;
const mostWaiting = 1_000;

/** Limits how much of one kind of work is under way at once, so that one owner cannot take the place of the others. */
export function createTurns({ perOwner, inAll }: TurnLimits): Turns {
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
    return total < inAll && (owner === undefined || (running.get(owner) ?? 0) < perOwner);
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
    if (ofOwner >= mostWaitingPerOwner || waiting.size >= mostWaiting) throw refusal(owner);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const place = { owner, begin: resolve };
    waiting.add(place);
    const timer = setTimeout(() => {
      if (waiting.delete(place)) reject(refusal(owner));
    }, longestWaitMs);
    await promise.finally(() => clearTimeout(timer));
  }

  /** Whose turn it is takes the place at once, before anybody who arrives later. */
  function next(): void {
    for (const place of waiting) {
      if (total >= inAll) return;
      if (!mayBegin(place.owner)) continue;
      waiting.delete(place);
      count(place.owner, 1);
      place.begin();
    }
  }

  function refusal(owner: string | undefined): DomainError {
    const details = { retryAfterSeconds: 2 };
    if (owner !== undefined && (running.get(owner) ?? 0) >= perOwner) {
      const why = `At most ${perOwner} such requests of a team run at once: wait for their answers, then send this again`;
      return new DomainError('too_many_requests', why, details);
    }
    return new DomainError(
      'overloaded',
      'Too many such requests run at once: send this again later',
      details,
    );
  }
}
