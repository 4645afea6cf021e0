import { DomainError } from '../domain-error.ts';

export interface PolarBudget {
  /**
   * Takes one request that asks Polar out of the budget.
   * @param owner  the team or user that asks; undefined: only the budget of all counts
   * @throws DomainError 429 `too_many_requests` if the owner's budget is used up; 503 `overloaded` if that of all is
   */
  take(owner: string | undefined): void;
}

interface Bucket {
  /** Requests that may be made at `at`. */
  left: number;
  /** In milliseconds of `now`. */
  at: number;
}

/** Requests at once, and what comes back every minute. Polar allows 500 a minute in all, of which workers need a part. */
const perOwner = 60;
const inAll = 300;
const minuteMs = 60_000;

/**
 * A token bucket for each team, and one for all: nobody uses up the requests that Polar allows us. One for each process.
 * @param now  a clock that never goes back, in milliseconds
 */
export function createPolarBudget(now: () => number = () => performance.now()): PolarBudget {
  const owners = new Map<string, Bucket>();
  const all: Bucket = { left: inAll, at: now() };

  return {
    take(owner) {
      const time = now();
      forgetFull(time);
      const own = owner === undefined ? undefined : (owners.get(owner) ?? { left: perOwner, at: time });
      if (own) refill(own, perOwner, time);
      refill(all, inAll, time);
      if (own && own.left < 1) throw refusal(429, own, perOwner);
      if (all.left < 1) throw refusal(503, all, inAll);
      all.left -= 1;
      if (owner === undefined || own === undefined) return;
      own.left -= 1;
      // Moved to the end: the map is in order of last use.
      owners.delete(owner);
      owners.set(owner, own);
    },
  };

  /** A bucket that was not used for a minute is full again. */
  function forgetFull(time: number): void {
    for (const [owner, { at }] of owners) {
      if (time - at < minuteMs) return;
      owners.delete(owner);
    }
  }
}

function refill(bucket: Bucket, size: number, time: number): void {
  bucket.left = Math.min(size, bucket.left + ((time - bucket.at) / minuteMs) * size);
  bucket.at = time;
}

function refusal(status: 429 | 503, { left }: Bucket, size: number): DomainError {
  const retryAfterSeconds = Math.ceil(((1 - left) * minuteMs) / size / 1_000);
  return status === 429
    ? new DomainError(
        'too_many_requests',
        `At most ${size} requests of a team ask Polar within a minute: send this again later`,
        { retryAfterSeconds },
      )
    : new DomainError('overloaded', 'Too many requests ask Polar at the moment: send this again later', {
        retryAfterSeconds,
      });
}
