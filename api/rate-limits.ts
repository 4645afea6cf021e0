import type { ServerResponse } from 'node:http';
import { isIPv6 } from 'node:net';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { DomainError } from '../domain-error.ts';
import type { RatePolicy } from '../environment.ts';
import { rateLimitedRequests } from '../metrics.ts';
import type { Caller } from './authenticate.ts';

/** Requests per minute of each policy. */
export type Rates = Readonly<Record<RatePolicy, number>>;

/**
 * A user's page needs about ten requests. A service key is for a whole platform: its limit only stops a loop. Spends
 * do not count for a team, because the group commit already treats teams equally. `RATE_LIMITS` changes them.
 */
export const defaultRates: Rates = {
  person: 1_200,
  'service-key': 1_200_000,
  team: 6_000,
  unauthenticated: 300,
};

const windowSeconds = 60;

/** Counts requests in fixed windows of a minute, in the memory of this process. */
export interface RateLimits {
  /**
   * Counts a request of this caller. Sets `RateLimit` and `RateLimit-Policy`.
   * @throws DomainError `rate_limited`
   */
  countCaller(response: ServerResponse, caller: Caller): Promise<void>;
  /**
   * Counts a request about this team, whoever sends it. Call it after the caller's rights are checked, so that a
   * stranger cannot use up the team's requests. Adds to both headers.
   * @throws DomainError `rate_limited`
   */
  countTeam(response: ServerResponse, teamId: string): Promise<void>;
  /** Counts a request that could not be authenticated. @throws DomainError `rate_limited` instead of a 401 */
  countUnauthenticated(address: string): Promise<void>;
  /** Whether this address has sent too many requests that could not be authenticated. */
  isAddressLimited(address: string): Promise<boolean>;
}

export function createRateLimits(limits: Rates = defaultRates): RateLimits {
  const limiterOf = (policy: RatePolicy) =>
    new RateLimiterMemory({ points: limits[policy], duration: windowSeconds });
  const limiters = {
    person: limiterOf('person'),
    'service-key': limiterOf('service-key'),
    team: limiterOf('team'),
    unauthenticated: limiterOf('unauthenticated'),
  } as const satisfies Record<RatePolicy, RateLimiterMemory>;

  return {
    countCaller: (response, caller) =>
      caller.kind === 'person'
        ? count(response, 'person', caller.userId)
        : count(response, 'service-key', caller.keyId),
    countTeam: (response, teamId) => count(response, 'team', teamId.toLowerCase()),
    async countUnauthenticated(address) {
      const { refused, state } = await consume('unauthenticated', address);
      if (refused) throw refusal('unauthenticated', state);
    },
    async isAddressLimited(address) {
      const state = await limiters.unauthenticated.get(address);
      return state !== null && state.remainingPoints <= 0;
    },
  };

  async function count(response: ServerResponse, policy: RatePolicy, owner: string): Promise<void> {
    const { refused, state } = await consume(policy, owner);
    describe(response, policy, state);
    if (refused) throw refusal(policy, state);
  }

  /** The limiter rejects with its state when the limit is reached. */
  async function consume(
    policy: RatePolicy,
    owner: string,
  ): Promise<{ refused: boolean; state: RateLimiterRes }> {
    try {
      return { refused: false, state: await limiters[policy].consume(owner) };
    } catch (error) {
      if (error instanceof RateLimiterRes) {
        rateLimitedRequests.inc({ policy });
        return { refused: true, state: error };
      }
      throw error;
    }
  }

  /** Draft-ietf-httpapi-ratelimit-headers-10: one item for each policy, `r` requests left, `t` seconds to the reset. */
  function describe(response: ServerResponse, policy: RatePolicy, state: RateLimiterRes): void {
    response.appendHeader('RateLimit-Policy', `"${policy}";q=${limits[policy]};w=${windowSeconds}`);
    response.appendHeader('RateLimit', `"${policy}";r=${state.remainingPoints};t=${secondsLeft(state)}`);
  }

  function refusal(policy: RatePolicy, state: RateLimiterRes): DomainError {
    return new DomainError(
      'rate_limited',
      `At most ${limits[policy]} requests ${descriptions[policy]} within a minute: send this request again after Retry-After`,
      { retryAfterSeconds: secondsLeft(state), policy, limit: limits[policy] },
    );
  }
}

const descriptions: Readonly<Record<RatePolicy, string>> = {
  person: 'of a user',
  'service-key': 'with a service key',
  team: 'about a team, spends not counted,',
  unauthenticated: 'from an address may fail to authenticate',
};

/**
 * What is counted for an address: itself, or of IPv6 the network of 64 bits, because a single customer of a provider has
 * at least that many addresses (RFC 6177).
 */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const canonical = new URL(`http://[${address.replace(/%.*/, '')}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical);
  if (mapped) {
    const [high, low] = mapped.slice(1).map((group) => Number.parseInt(group, 16)) as [number, number];
    return [high >> 8, high & 255, low >> 8, low & 255].join('.');
  }
  const [left = '', right] = canonical.split('::');
  const head = left === '' ? [] : left.split(':');
  const tail = right === undefined || right === '' ? [] : right.split(':');
  const zeros = right === undefined ? 0 : 8 - head.length - tail.length;
  return `${[...head, ...Array<string>(zeros).fill('0'), ...tail].slice(0, 4).join(':')}::/64`;
}

/** At least 1, so that a caller who obeys does not come too early. */
function secondsLeft({ msBeforeNext }: RateLimiterRes): number {
  return Math.max(1, Math.ceil(msBeforeNext / 1_000));
}
