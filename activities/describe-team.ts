import type { EntityManager } from '@mikro-orm/postgresql';
import { formatCredits } from '../catalog/credits.ts';
import { Grant, type GrantSource } from '../database/entities/grant.ts';
import { InboxEvent } from '../database/entities/inbox-event.ts';
import { Subscription } from '../database/entities/subscription.ts';
import type { Team } from '../database/entities/team.ts';
import { nextDripAt } from '../ledger/grant-due-drips.ts';
import { nextCreditExpiry } from '../ledger/next-credit-expiry.ts';

/**
 * How a team stands, as its workflow carries it: plain JSON, small, no personal data. Times in ISO 8601, credits as
 * decimal strings.
 */
export interface TeamStanding {
  asOf: string;
  deleted: boolean;
  /** The plan's catalog key, or null without a subscription. */
  plan: string | null;
  subscriptionStatus: string | null;
  balance: Record<GrantSource, string>;
  nextCreditExpiry: string | null;
  /** When the workflow must act next: an expiry to book, a drip to grant. */
  nextDueAt: string | null;
  /** Events of this team that cannot be applied now. */
  parked: number;
  /** What the last step did, in plain words; null where it changed nothing. */
  lastDid: string | null;
}

/** Reads how the team stands, at `now` or a moment later. */
export async function describeTeam(
  em: EntityManager,
  team: Team,
  now: Date,
  lastDid: string | null,
): Promise<TeamStanding> {
  const subscription = await em.findOne(
    Subscription,
    { teamId: team.id },
    { orderBy: { endedAt: 'desc nulls first', stateAt: 'desc' } },
  );
  const open = await em.find(Grant, { teamId: team.id, available: { $gt: 0n } });
  const spendable = open.filter(({ expiresAt }) => !expiresAt || expiresAt > now);
  const balance = (source: GrantSource) =>
    formatCredits(
      spendable.reduce((sum, grant) => (grant.source === source ? sum + grant.available : sum), 0n),
    );
  const expiry = await nextCreditExpiry(em, team.id);
  const due = team.deletedAt
    ? []
    : [expiry, await nextDripAt(em, team.id)].flatMap((at) => (at ? [at.getTime()] : []));
  return {
    asOf: now.toISOString(),
    deleted: team.deletedAt !== null,
    plan: subscription?.plan ?? null,
    subscriptionStatus: subscription?.status ?? null,
    balance: {
      trial: balance('trial'),
      subscription: balance('subscription'),
      adjustment: balance('adjustment'),
      purchase: balance('purchase'),
    },
    nextCreditExpiry: expiry?.toISOString() ?? null,
    nextDueAt: due.length > 0 ? new Date(Math.min(...due)).toISOString() : null,
    parked: await em.count(InboxEvent, { teamId: team.id, status: 'parked' }),
    lastDid,
  };
}
