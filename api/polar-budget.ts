import { DomainError } from '../domain-error.ts';

export interface PolarBudget {
  /**
   * Takes one request to Polar from the budget.
   * @param owners  the team and the user of the request. It counts for each of them; without one, only the total counts
   * @throws DomainError `too_many_requests` if an owner's budget is used up; `overloaded` if the total budget is
   */
  take(owners: readonly string[]): void;
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
 * A token bucket for each team and user, and one for all, so that none of them uses up the requests that Polar allows us.
 * One per process. A request takes from all its buckets or from none. Whoever has used up a bucket waits a second, not until a
 * minute has ended. The fixed windows of `rate-limits.ts` can do neither.
 * @param now  a clock that never goes back, in milliseconds
 */
export function createPolarBudget(now: () => number = () => performance.now()): PolarBudget {
  const buckets = new Map<string, Bucket>();
  const all: Bucket = { left: requestsInAll, at: now() };

  return {
    take(owners) {
      const time = now();
      forgetFull(time);
      const own = new Map(
        owners.map((owner) => [owner, buckets.get(owner) ?? { left: requestsPerOwner, at: time }]),
      );
      for (const bucket of own.values()) refill(bucket, requestsPerOwner, time);
      refill(all, requestsInAll, time);
      const empty = own.values().find(({ left }) => left < 1);
      if (empty) throw refusal(429, empty, requestsPerOwner);
      if (all.left < 1) throw refusal(503, all, requestsInAll);
      all.left -= 1;
      for (const [owner, bucket] of own) {
        bucket.left -= 1;
        // Moved to the end, because the map is in order of last use.
        buckets.delete(owner);
        buckets.set(owner, bucket);
      }
    },
  };

  /** A bucket that was unused for a minute is full. */
  function forgetFull(time: number): void {
    for (const [owner, { at }] of buckets) {
      if (time - at < minuteMs) return;
      buckets.delete(owner);
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
        `At most ${size} requests of a team or user may call Polar within a minute: send this request again later`,
        { retryAfterSeconds },
      )
    : new DomainError('overloaded', 'Too many requests call Polar now: send this request again later', {
        retryAfterSeconds,
      });
}
