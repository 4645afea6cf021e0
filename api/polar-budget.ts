import { DomainError } from '../domain-error.ts';

export interface PolarBudget {
  /**
   * Takes one request to Polar from the budget.
   * @param owner  the team or user of the request; undefined: only the total budget counts
   * @throws DomainError `too_many_requests` if the owner's budget is used up; `overloaded` if the total budget is
   */
  take(owner: string | undefined): void;
}

interface Bucket {
  /** The number of requests allowed at `at`. */
  left: number;
  /** A time of `now`, in milliseconds. */
  at: number;
}

/** Requests per minute. Polar allows 500 a minute in total, and workers need a part of them. */
const requestsPerOwner = 60;
const requestsInAll = 300;
const minuteMs = 60_000;

/**
 * A token bucket for each team, and one for all, so that no team uses up the requests that Polar allows us. One per process.
 * A request takes from both buckets or from none. A team that has used up its bucket waits a second, not until a
 * minute has ended. The fixed windows of `rate-limits.ts` can do neither.
 * @param now  a clock that never goes back, in milliseconds
 */
export function createPolarBudget(now: () => number = () => performance.now()): PolarBudget {
  const owners = new Map<string, Bucket>();
  const all: Bucket = { left: requestsInAll, at: now() };

  return {
    take(owner) {
      const time = now();
      forgetFull(time);
      const own =
        owner === undefined ? undefined : (owners.get(owner) ?? { left: requestsPerOwner, at: time });
      if (own) refill(own, requestsPerOwner, time);
      refill(all, requestsInAll, time);
      if (own && own.left < 1) throw refusal(429, own, requestsPerOwner);
      if (all.left < 1) throw refusal(503, all, requestsInAll);
      all.left -= 1;
      if (owner === undefined || own === undefined) return;
      own.left -= 1;
      // Moved to the end, because the map is in order of last use.
      owners.delete(owner);
      owners.set(owner, own);
    },
  };

  /** A bucket that was unused for a minute is full. */
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
        `At most ${size} requests of a team may call Polar within a minute: send this request again later`,
        { retryAfterSeconds },
      )
    : new DomainError('overloaded', 'Too many requests call Polar now: send this request again later', {
        retryAfterSeconds,
      });
}
