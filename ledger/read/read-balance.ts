import type { Database } from '../../database/connection.ts';
import type { GrantSource } from '../../database/entities/grant.ts';
import { unknownTeam } from '../../database/lock-living-team.ts';
import { DomainError } from '../../domain-error.ts';
import { compareBurnOrder } from '../rules/burn-order.ts';
import { isExpired } from '../rules/grant.ts';
import { sumsOfTransfers } from './closed-months.ts';

/**
 * A team's credits at an instant, in micro-credits. Expired credits count as expired even if their transfer is not
 * written yet.
 */
export interface Balance {
  /** The credits that can be spent. */
  available: bigint;
  held: bigint;
  /** Debts: credits that clawbacks could not take and that are not settled yet. */
  debt: bigint;
  /** The credits that can be spent, by source. */
  bySource: Record<GrantSource, bigint>;
  /** Grants with credits left, in burn order, then used up ones, newest first. */
  grants: BalanceGrant[];
  nextExpiry: { at: Date; credits: bigint } | null;
  asOf: Date;
}

export interface BalanceGrant {
  id: string;
  source: GrantSource;
  granted: bigint;
  available: bigint;
  held: bigint;
  consumed: bigint;
  expired: bigint;
  revoked: bigint;
  settled: bigint;
  effectiveAt: Date;
  expiresAt: Date | null;
}

/** The maximum number of used up grants in the list, so that the current balance does not grow with history. */
const usedUpGrants = 100;

/**
 * A team's balance, now or as it was at a past instant.
 * @throws DomainError `unknown_team`, `at_in_the_future`
 */
export async function readBalance(database: Database, teamId: string, at?: Date): Promise<Balance> {
  const { rows } = at ? await readPast(database, teamId, at) : await readPresent(database, teamId);
  const first = rows[0];
  if (!first) throw unknownTeam(teamId);
  const asOf = new Date(Number(first.as_of));
  if (at && at.getTime() > Number(first.now)) {
    throw new DomainError('at_in_the_future', 'at must not lie in the future');
  }

  const grants = rows.flatMap(({ id, ...row }) => (id === null ? [] : [toGrant(id, row, asOf)]));
  const open = grants.filter((grant) => grant.available + grant.held > 0n).sort(compareBurnOrder);
  const usedUp = grants
    .filter((grant) => grant.available + grant.held === 0n)
    .sort((a, b) => b.effectiveAt.getTime() - a.effectiveAt.getTime());
  const sum = (column: 'available' | 'held', source?: GrantSource) =>
    open.reduce((total, grant) => (source && grant.source !== source ? total : total + grant[column]), 0n);
  return {
    available: sum('available'),
    held: sum('held'),
    debt: BigInt(first.debt),
    bySource: {
      trial: sum('available', 'trial'),
      subscription: sum('available', 'subscription'),
      adjustment: sum('available', 'adjustment'),
      purchase: sum('available', 'purchase'),
    },
    grants: [...open, ...usedUp].map(({ businessKey: _, ...grant }) => grant),
    nextExpiry: nextExpiry(open),
    asOf,
  };
}

interface BalanceRow {
  now: string;
  as_of: string;
  debt: string;
  id: string | null;
  source: GrantSource;
  business_key: string;
  granted: string;
  available: string;
  held: string;
  consumed: string;
  expired: string;
  revoked: string;
  settled: string;
  effective_at: string;
  expires_at: string | null;
}

/** From the grants' own columns: the open ones by their partial index, and the newest of the others. */
function readPresent(database: Database, teamId: string) {
  return database.pool.query<BalanceRow>({
    name: 'read-balance',
    text: `with clock as materialized (select billing_now() as now)
           select extract(epoch from clock.now) * 1000 as now, extract(epoch from clock.now) * 1000 as as_of,
                  (select coalesce(sum(owed - settled), 0) from debts where team_id = t.id and owed > settled) as debt,
                  g.id, g.source, g.business_key, g.granted, g.available, g.held, g.consumed, g.expired, g.revoked, g.settled,
                  extract(epoch from g.effective_at) * 1000 as effective_at,
                  extract(epoch from g.expires_at) * 1000 as expires_at
             from clock
             join teams t on t.id = $1 and t.deleted_at is null
             left join lateral (
               (select * from grants where team_id = t.id and open)
               union all
               (select * from grants where team_id = t.id and not open order by id desc limit ${usedUpGrants})
             ) g on true`,
    values: [teamId],
  });
}

/**
 * From the months that were closed before that instant and the transfers since, with the expiry that each grant had
 * then. It reads one row per month and grant, and the transfers of one month, however long the history is.
 */
function readPast(database: Database, teamId: string, at: Date) {
  return database.pool.query<BalanceRow>({
    text: `with clock as materialized (select billing_now() as now),
           closed as materialized (
             select coalesce(max((month + interval '1 month') at time zone 'UTC'), '-infinity') as up_to
               from closed_months
              where (month + interval '1 month') at time zone 'UTC' <= $2
           ),
           moved as (
             select grant_id, ${['granted', 'available', 'held', 'consumed', 'expired', 'revoked', 'settled']
               .map((column) => `sum(${column}) as ${column}`)
               .join(', ')}
               from (select grant_id, granted, available, held, consumed, expired, revoked, settled
                       from grant_months
                      where team_id = $1 and month < (select up_to from closed) at time zone 'UTC'
                     union all
                     select grant_id, ${sumsOfTransfers}
                       from transfers
                      where team_id = $1 and at >= (select up_to from closed) and at <= $2
                      group by grant_id) as parts
              group by grant_id
           )
           select extract(epoch from clock.now) * 1000 as now, extract(epoch from $2::timestamptz) * 1000 as as_of,
                  (select coalesce(sum(owed - settled), 0)
                     from (select distinct on (key) owed, settled from debt_changes
                            where team_id = t.id and at <= $2 order by key, id desc) as stood) as debt,
                  g.id, g.source, g.business_key, m.granted, m.available, m.held, m.consumed, m.expired, m.revoked, m.settled,
                  extract(epoch from g.effective_at) * 1000 as effective_at,
                  extract(epoch from coalesce(c.from_expires_at, g.expires_at)) * 1000 as expires_at
             from clock
             join teams t on t.id = $1 and t.deleted_at is null
             left join moved m on true
             left join grants g on g.id = m.grant_id
             left join lateral (
               select from_expires_at from grant_expiry_changes where grant_id = g.id and at > $2 order by id limit 1
             ) c on true`,
    values: [teamId, at],
  });
}

function toGrant(
  id: string,
  row: Omit<BalanceRow, 'id'>,
  asOf: Date,
): BalanceGrant & { businessKey: string } {
  const expiresAt = row.expires_at === null ? null : new Date(Number(row.expires_at));
  const unbooked = isExpired({ expiresAt }, asOf) ? BigInt(row.available) : 0n;
  return {
    id,
    source: row.source,
    businessKey: row.business_key,
    granted: BigInt(row.granted),
    available: BigInt(row.available) - unbooked,
    held: BigInt(row.held),
    consumed: BigInt(row.consumed),
    expired: BigInt(row.expired) + unbooked,
    revoked: BigInt(row.revoked),
    settled: BigInt(row.settled),
    effectiveAt: new Date(Number(row.effective_at)),
    expiresAt,
  };
}

/** All credits that expire at the next expiry. */
function nextExpiry(open: readonly BalanceGrant[]): Balance['nextExpiry'] {
  const times = open.flatMap((grant) =>
    grant.expiresAt && grant.available > 0n ? [grant.expiresAt.getTime()] : [],
  );
  if (times.length === 0) return null;
  const at = new Date(Math.min(...times));
  const credits = open.reduce(
    (total, grant) => (grant.expiresAt?.getTime() === at.getTime() ? total + grant.available : total),
    0n,
  );
  return { at, credits };
}
