import { formatCredits } from '../catalog/credits.ts';
import type { Database } from '../database/connection.ts';
import type { GrantSource } from '../database/entities/grant.ts';
import { standingOrderSql, standingSql } from '../database/entities/subscription.ts';
import { nextDripAt } from '../ledger/lifecycle/grant-due-drips.ts';

/**
 * The team after a step, as its workflow carries it: plain JSON, small, no personal data. Times in ISO 8601, credits as
 * decimal strings.
 */
export interface TeamOverview {
  asOf: string;
  deleted: boolean;
  /** The plan's catalog key, or null without a subscription. */
  plan: string | null;
  subscriptionStatus: string | null;
  balance: Record<GrantSource, string>;
  nextCreditExpiry: string | null;
  /** When the next part of a yearly allotment is due; null if the team is deleted. */
  nextDripAt: string | null;
  /** The next drip or expiry, whichever is sooner; null if the team is deleted. */
  nextDueAt: string | null;
  /** Events of this team that cannot be applied now. */
  parked: number;
  /** What the last step did, as a sentence; null if it changed nothing. */
  lastDid: string | null;
}

/**
 * Reads the current state of the team.
 *
 * @param lastDid  what the step did that has just been committed
 */
export async function describeTeam(
  database: Database,
  teamId: string,
  lastDid: string | null,
): Promise<TeamOverview> {
  const row = await readRow(database, teamId);
  if (!row) throw new Error(`there is no team ${teamId}: no workflow is started for one`);
  const { deleted, drips, plan, status, parked } = row;
  const expiry = row.expiry === null ? null : new Date(row.expiry);
  const balance = (source: GrantSource) => formatCredits(BigInt(row.balance?.[source] ?? 0));
  const drip = drips && !deleted ? await nextDripAt(database.fork(), teamId) : null;
  const due = deleted ? [] : [expiry, drip].filter((at) => at !== null);
  return {
    asOf: new Date(row.now).toISOString(),
    deleted,
    plan,
    subscriptionStatus: status,
    balance: {
      trial: balance('trial'),
      subscription: balance('subscription'),
      adjustment: balance('adjustment'),
      purchase: balance('purchase'),
    },
    nextCreditExpiry: expiry?.toISOString() ?? null,
    nextDripAt: drip?.toISOString() ?? null,
    nextDueAt: due.length > 0 ? new Date(Math.min(...due.map(Number))).toISOString() : null,
    parked,
    lastDid,
  };
}

async function readRow(database: Database, teamId: string): Promise<Row | undefined> {
  const [row] = await database.execute<Row[]>(
    `select billing_now() as now, t.deleted_at is not null as deleted, s.plan, s.status,
            (select jsonb_object_agg(b.source, b.credits::text)
               from (select g.source, sum(g.available) as credits from grants g
                      where g.team_id = t.id and g.open and g.available > 0 and (g.expires_at > billing_now()) is not false
                      group by g.source) b) as balance,
            (select min(g.expires_at) from grants g where g.team_id = t.id and g.open and (g.available > 0 or g.held > 0 and g.expires_at > billing_now())) as expiry,
            exists (select from orders o where o.team_id = t.id and o.drips_monthly) as drips,
            (select count(*) from inbox i where i.team_id = t.id and i.status = 'parked')::int as parked
       from teams t
       left join lateral (select * from subscriptions where team_id = t.id
                           order by (${standingSql('subscriptions')}) desc, ended_at desc, ${standingOrderSql('subscriptions')} limit 1) s on true
      where t.id = ?`,
    [teamId],
  );
  return row;
}

interface Row {
  now: string;
  deleted: boolean;
  /** Whether it has paid for a yearly allotment that is granted monthly. */
  drips: boolean;
  plan: string | null;
  status: string | null;
  balance: Partial<Record<GrantSource, string>> | null;
  /**
   * The soonest expiry of the team's remaining credits. If it is in the past, its transfer is not written yet. Held
   * credits may be released before they expire. If they are released later, they expire at once.
   */
  expiry: string | null;
  parked: number;
}
