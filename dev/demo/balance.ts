import { parseSignedDecimal } from '../../catalog/credits.ts';
import type { Demo } from './connect.ts';

export const sources = ['trial', 'subscription', 'purchase', 'adjustment'] as const;
export type Source = (typeof sources)[number];

/** The credits that a team can spend, by source, and its debt. Micro-credits. */
export type Standing = Record<Source | 'debt', bigint>;

export const nothing: Standing = { trial: 0n, subscription: 0n, purchase: 0n, adjustment: 0n, debt: 0n };

export type Balance = Awaited<ReturnType<typeof readBalance>>;

/** The team's balance, now or at a past instant, in micro-credits. */
export async function readBalance({ billing }: Demo, teamId: string, at?: string) {
  const { available, held, debt, bySource, grants, nextExpiry, asOf } = await billing.GET(
    '/v1/teams/{teamId}/balance',
    { params: { path: { teamId }, query: at === undefined ? {} : { at } } },
  );
  return {
    available: parseSignedDecimal(available),
    held: parseSignedDecimal(held),
    debt: parseSignedDecimal(debt),
    bySource: {
      trial: parseSignedDecimal(bySource.trial),
      subscription: parseSignedDecimal(bySource.subscription),
      purchase: parseSignedDecimal(bySource.purchase),
      adjustment: parseSignedDecimal(bySource.adjustment),
    },
    grants: grants.map(({ source, consumed, expired, revoked, settled, effectiveAt, expiresAt }) => ({
      source,
      consumed: parseSignedDecimal(consumed),
      expired: parseSignedDecimal(expired),
      revoked: parseSignedDecimal(revoked),
      settled: parseSignedDecimal(settled),
      effectiveAt,
      expiresAt,
    })),
    nextExpiry,
    asOf,
  };
}

export function standingOf({ bySource, debt }: Balance): Standing {
  return { ...bySource, debt };
}

/** The total that can be spent. */
export function availableIn(standing: Standing): bigint {
  return sources.reduce((sum, source) => sum + standing[source], 0n);
}

/** The computed result of a spend: what each source pays, in order, and what is left. */
export function spendFrom(standing: Standing, amount: bigint, order: readonly Source[]) {
  const left = { ...standing };
  const paid: { source: Source; credits: bigint }[] = [];
  let open = amount;
  for (const source of order) {
    const part = left[source] < open ? left[source] : open;
    if (part === 0n) continue;
    left[source] -= part;
    open -= part;
    paid.push({ source, credits: part });
  }
  return { left, paid, short: open };
}
