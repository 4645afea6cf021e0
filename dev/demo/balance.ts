import { z } from 'zod';
import { credits, type Demo } from './connect.ts';

export const sources = ['trial', 'subscription', 'purchase', 'adjustment'] as const;
export type Source = (typeof sources)[number];

/** The credits that a team can spend, by source, and its debt. Micro-credits. */
export type Standing = Record<Source | 'debt', bigint>;

export const nothing: Standing = { trial: 0n, subscription: 0n, purchase: 0n, adjustment: 0n, debt: 0n };

const balanceAnswer = z.object({
  available: credits,
  held: credits,
  debt: credits,
  bySource: z.object({ trial: credits, subscription: credits, purchase: credits, adjustment: credits }),
  grants: z.array(
    z.object({
      source: z.enum(sources),
      granted: credits,
      consumed: credits,
      expired: credits,
      revoked: credits,
      settled: credits,
      effectiveAt: z.string(),
      expiresAt: z.string().nullable(),
    }),
  ),
  nextExpiry: z.object({ at: z.string(), credits }).nullable(),
  asOf: z.string(),
});
export type Balance = z.output<typeof balanceAnswer>;

/** The team's balance, now or at a past instant. */
export function readBalance({ call }: Demo, teamId: string, at?: string): Promise<Balance> {
  const query = at === undefined ? '' : `?at=${encodeURIComponent(at)}`;
  return call('GET', `/v1/teams/${teamId}/balance${query}`, balanceAnswer);
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
