import { expect } from '@jest/globals';
import type { Pool } from 'pg';
import { checkEntitlement } from '../../ledger/verify/check-entitlement.ts';
import type { Listener } from './play-story.ts';
import type { LedgerGrant, TeamLedger } from './read-ledger.ts';

export interface Heard {
  listener: Listener;
  ledger: TeamLedger;
  names: ReadonlyMap<string, string>;
}

/**
 * Expects that a team with disturbed webhooks ends in the same state as the undisturbed team.
 *
 * @param spent  whether credits were spent: then the rest of each grant depends on what was available at each time,
 *   and only the grants themselves, the orders' money and the subscriptions are equal
 */
export function expectSame(undisturbed: Heard, disturbed: Heard, { spent }: { spent: boolean }): void {
  const [a, b] = [undisturbed.ledger, disturbed.ledger];
  expect({ subscriptions: b.subscriptions }).toEqual({ subscriptions: a.subscriptions });
  expect({ orders: moneyOf(b) }).toEqual({ orders: moneyOf(a) });

  const heard = [undisturbed, disturbed];
  const keys = [...new Set([...a.grants.keys(), ...b.grants.keys()])].sort();
  for (const key of keys) {
    const [one, other] = [a.grants.get(key), b.grants.get(key)];
    const only = one ?? other;
    if (one && other) {
      expect({ key, ...identityOf(other) }).toEqual({ key, ...identityOf(one) });
      expectSameExpiry(key, one, other, heard, endOf(other, b));
      if (!spent && one.subscription === null)
        expect({ key, ...leftOf(other, one, heard) }).toEqual({ key, ...leftOf(one, other, heard) });
    } else if (only) {
      throw new Error(`only one of the two teams was granted ${key}`);
    }
  }
  if (!spent) expect({ cycles: cyclesOf(b) }).toEqual({ cycles: cyclesOf(a) });
}

/**
 * The rest of each cycle. Which of its grants a plan change took from depends on the state at the time when it became
 * known, and expired credits count first. The cycle's total does not depend on it.
 */
function cyclesOf({ grants }: TeamLedger) {
  const cycles = new Map<string, { available: bigint; held: bigint; consumed: bigint; settled: bigint }>();
  for (const { subscription, debtKey, available, held, consumed, settled } of grants.values()) {
    if (subscription === null || debtKey === null) continue;
    const sum = cycles.get(debtKey) ?? { available: 0n, held: 0n, consumed: 0n, settled: 0n };
    sum.available += available;
    sum.held += held;
    sum.consumed += consumed;
    sum.settled += settled;
    cycles.set(debtKey, sum);
  }
  return [...cycles].sort(([one], [other]) => (one < other ? -1 : 1));
}

/** Every cycle and every pack is at the target of its paid lines and reversals. */
export async function expectEntitled(pool: Pool, teamId: string): Promise<void> {
  const { find } = checkEntitlement;
  if (typeof find !== 'function') throw new Error('the check is a function');
  const client = await pool.connect();
  try {
    expect(await find(client, [before(teamId), teamId])).toEqual([]);
  } finally {
    client.release();
  }
}

/** The previous id, because ranges exclude their lower bound. */
function before(id: string): string {
  const hex = (BigInt(`0x${id.replaceAll('-', '')}`) - 1n).toString(16).padStart(32, '0');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function moneyOf({ orders }: TeamLedger) {
  return [...orders]
    .map(([order, money]) => ({ order, ...money }))
    .sort((one, other) => (one.order < other.order ? -1 : 1));
}

function identityOf({ source, order, subscription, product, granted, effectiveAt, ...grant }: LedgerGrant) {
  const { periodStart, periodEnd, allotment } = grant;
  return {
    ...{ source, order, subscription, product, granted, effectiveAt },
    ...{ periodStart, periodEnd, allotment },
  };
}

/** When the subscription of a grant ended. */
function endOf({ subscription }: LedgerGrant, { subscriptions }: TeamLedger): Date | null {
  return (subscription === null ? null : subscriptions.get(subscription)?.endedAt) ?? null;
}

/**
 * Credits that a cycle got after its end because of our delay can be spent for seven days from then, unless the
 * subscription ended before the cycle did. If the order was refunded meanwhile, Polar no longer reports that it was
 * paid in time.
 */
function expectSameExpiry(
  key: string,
  one: LedgerGrant,
  other: LedgerGrant,
  heard: readonly Heard[],
  endedAt: Date | null,
): void {
  const { livesUntil, createdAt, periodStart, periodEnd, effectiveAt, expiresAt, order } = other;
  const came = periodEnd !== null && createdAt >= periodEnd;
  const isDrip = periodStart !== null && effectiveAt > periodStart && key.startsWith('allotment');
  const late = came && !isDrip && one.createdAt < periodEnd;
  const untold = heard.every(({ listener, names }) =>
    [...listener.moneyBack.keys()].every((id) => names.get(id) !== order),
  );
  const endedEarly = endedAt !== null && periodEnd !== null && endedAt < periodEnd;
  if (late && endedEarly && livesUntil?.getTime() === createdAt.getTime() + 7 * 86_400_000) {
    expect({ key, expiresAt }).toEqual({ key, expiresAt: one.expiresAt });
  } else if (late && (untold || livesUntil)) {
    const until = new Date(createdAt.getTime() + 7 * 86_400_000);
    expect({ key, livesUntil, expiresAt }).toEqual({ key, livesUntil: until, expiresAt: until });
  } else if (livesUntil?.getTime() !== one.livesUntil?.getTime() && crossesExpiry(other, one, heard)) {
    expectCameBackLate(key, one, other);
    expectCameBackLate(key, other, one);
  } else
    expect({ key, livesUntil, expiresAt }).toEqual({
      key,
      livesUntil: one.livesUntil,
      expiresAt: one.expiresAt,
    });
}

/** Credits that a reversal or a won dispute gave back after their expiry can be spent for seven days from then. */
function expectCameBackLate(key: string, { livesUntil, expiresAt }: LedgerGrant, twin: LedgerGrant): void {
  if (livesUntil === null) return;
  const cameBackAt = livesUntil.getTime() - 7 * 86_400_000;
  const regularEnd = twin.livesUntil === null ? (twin.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY) : 0;
  expect({ key, expiresAt, late: cameBackAt >= regularEnd }).toEqual({
    key,
    expiresAt: livesUntil,
    late: true,
  });
}

/**
 * The state of a grant. How a refund takes expiring credits depends on what comes first, because expired credits count
 * first. If it became known before the expiry for one team and after it for the other, only the sum of both is equal.
 */
function leftOf(grant: LedgerGrant, twin: LedgerGrant, listeners: readonly Heard[]) {
  const { available, held, consumed, expired, revoked, settled } = grant;
  const gone = crossesExpiry(grant, twin, listeners) ? { gone: expired + revoked } : { expired, revoked };
  return { available, held, consumed, settled, ...gone };
}

/** Whether an order's refund or dispute became known before the end of a grant to one team, and after it to the other. */
function crossesExpiry(grant: LedgerGrant, twin: LedgerGrant, listeners: readonly Heard[]): boolean {
  const ends = [grant, twin].flatMap(({ expiresAt, overAt }) =>
    [expiresAt, overAt].map((at) => at?.getTime() ?? Number.POSITIVE_INFINITY),
  );
  return listeners.some(({ listener, names }) =>
    [...listener.moneyBack].some(
      ([id, { from, heard }]) =>
        names.get(id) === grant.order && from <= Math.max(...ends) && Math.min(...ends) <= heard,
    ),
  );
}
