import type { PoolClient } from 'pg';
import { parseCatalog } from '../../catalog/load-catalog.ts';
import { reversedSql } from '../../database/entities/order.ts';
import { type BillingRow, billingSql, type CatalogAt, toBilling } from '../lifecycle/read-billing.ts';
import { cycleTarget, dueGrants, entitlementOf } from '../rules/entitlement.ts';
import { clawbackTarget } from '../rules/plan-clawback.ts';
import { type Check, type FindingRow, within } from './check.ts';

/** A drip that became due less than this long ago may not be granted yet. In milliseconds. */
const timerDelayMs = 600_000;
const everDue = new Date(8_640_000_000_000_000);

/** Credits follow money: compares granted and taken credits with the paid lines. */
export const checkEntitlement: Check = {
  over: 'teams',
  rules: {
    'cycle-equals-entitlement': {
      holds:
        'The credits of a cycle, net of clawback and debt, equal the entitlement of its subscription’s paid lines',
      lookNext:
        'select * from order_lines where subscription_id = …, its orders, and the grants with this debt_key',
    },
    'entitled-credits-are-granted': {
      holds: 'Each credit of a paid line is granted when it is due',
      lookNext: 'the order at Polar and its inbox rows: an event that waits or has failed',
    },
    'pack-equals-reversal': {
      holds:
        'The credits taken back from a pack, with its debt, are the share of its money that was refunded or is disputed',
      lookNext: 'the order at Polar, and the grants with this debt_key',
    },
  },
  async find(client, range) {
    return [...(await findInCycles(client, range)), ...(await findInPacks(client, range))];
  },
};

interface GrantRow {
  key: string;
  debtKey: string | null;
  granted: string;
  clawedBack: string;
  gone: string;
}

interface SubscriptionRow extends BillingRow {
  id: string;
  team_id: string;
  started_at: string | null;
  ended_at: string | null;
  now: string;
  grants: GrantRow[] | null;
  debts: Record<string, string> | null;
}

async function findInCycles(
  client: PoolClient,
  range: [string | null, string | null],
): Promise<FindingRow[]> {
  const { rows } = await client.query<SubscriptionRow>(
    `select s.id, s.team_id, s.started_at, s.ended_at, billing_now() as now, b.*,
            (select jsonb_agg(jsonb_build_object('key', g.business_key, 'debtKey', g.debt_key, 'granted', g.granted::text,
                      'clawedBack', (g.revoked - g.adjusted - g.written_off)::text, 'gone', (g.expired + g.written_off)::text))
               from grants g where g.subscription_id = s.id) as grants,
            (select jsonb_object_agg(d.key, d.owed::text) from debts d where d.team_id = s.team_id) as debts
       from subscriptions s
       join teams t on t.id = s.team_id and t.deleted_at is null
      cross join lateral (${billingSql('s.id')}) b
      where ${within('s.team_id')}`,
    range,
  );
  if (rows.length === 0) return [];
  const catalogs = await readCatalogs(client);
  return rows.flatMap((row) => findInSubscription(row, catalogs));
}

function findInSubscription(row: SubscriptionRow, catalogs: readonly CatalogAt[]): FindingRow[] {
  const now = new Date(row.now);
  const state = { startedAt: toDate(row.started_at), endedAt: toDate(row.ended_at) };
  const { billing, orders } = toBilling(row.id, state, row, catalogs);
  const { cycles } = entitlementOf(billing);
  const grants = row.grants ?? [];
  const known = new Set(grants.map(({ key }) => key));
  const findings: FindingRow[] = [];
  const find = (rule: string, subject: string, expected: string, found: string) =>
    findings.push({ rule, team_id: row.team_id, subject, expected, found });

  for (const cycle of cycles) {
    const late = new Date(now.getTime() - timerDelayMs);
    for (const { businessKey, credits } of dueGrants(cycle, orders, late)) {
      if (!known.has(businessKey)) {
        find('entitled-credits-are-granted', `key ${businessKey}`, `a grant of ${credits}`, 'none');
      }
    }
    cycle.grants = cycle.grants.filter(({ kind, businessKey }) => kind !== 'drip' || known.has(businessKey));
  }
  for (const [debtKey, ofCycle] of Map.groupBy(grants, (grant) => grant.debtKey)) {
    if (debtKey === null) {
      const expected = 'a debt_key of its cycle on every grant';
      find(
        'cycle-equals-entitlement',
        `subscription ${row.id}`,
        expected,
        `${ofCycle.length} grants without one`,
      );
      continue;
    }
    const cycle = cycles.find(({ start }) => debtKey === `cycle:${row.id}:${start.toISOString()}`);
    // All granted credits were due: the drips that are not due were filtered out above.
    const kept = cycle ? cycleTarget(cycle, orders, everDue) : 0n;
    const granted = sum(ofCycle, 'granted');
    const target = granted > kept ? granted - kept : 0n;
    const owed = row.debts?.[debtKey];
    const taken = sum(ofCycle, 'clawedBack') + (owed === undefined ? 0n : BigInt(owed));
    if (taken <= target && target <= taken + sum(ofCycle, 'gone')) continue;
    find(
      'cycle-equals-entitlement',
      debtKey,
      `${kept} of ${granted} kept: ${target} taken back, owed or expired`,
      `${taken} taken back or owed, ${sum(ofCycle, 'gone')} expired`,
    );
  }
  return findings;
}

async function findInPacks(client: PoolClient, range: [string | null, string | null]): Promise<FindingRow[]> {
  const { rows } = await client.query<{
    id: string;
    team_id: string;
    granted: string;
    paid: string;
    reversed: string;
    taken: string;
    gone: string;
  }>(
    `select o.id, o.team_id, sum(g.granted) as granted, o.paid_amount as paid, ${reversedSql('o')} as reversed,
            sum(g.revoked - g.adjusted - g.written_off) + coalesce(min(d.owed), 0) as taken, sum(g.expired + g.written_off) as gone
       from orders o
       join grants g on g.order_id = o.id and g.subscription_id is null
       left join debts d on d.key = 'order:' || o.id
      where ${within('o.team_id')}
      group by o.id`,
    range,
  );
  return rows.flatMap((row) => {
    const target = clawbackTarget(BigInt(row.granted), BigInt(row.paid), BigInt(row.reversed));
    const [taken, gone] = [BigInt(row.taken), BigInt(row.gone)];
    if (taken <= target && target <= taken + gone) return [];
    const subject = `order ${row.id}`;
    const expected = `${target} of ${row.granted} taken back or owed`;
    return [{ rule: 'pack-equals-reversal', team_id: row.team_id, subject, expected, found: String(taken) }];
  });
}

async function readCatalogs(client: PoolClient): Promise<CatalogAt[]> {
  const { rows } = await client.query<{ version: number; document: unknown; published_at: string }>(
    'select version, document, published_at from catalog_versions order by version',
  );
  return rows.map(({ version, document, published_at }) => ({
    catalogVersion: version,
    publishedAt: new Date(published_at),
    catalog: parseCatalog(document, `catalog version ${version}`),
  }));
}

function sum(grants: readonly GrantRow[], column: 'granted' | 'clawedBack' | 'gone'): bigint {
  return grants.reduce((total, grant) => total + BigInt(grant[column]), 0n);
}

function toDate(text: string | null): Date | null {
  return text === null ? null : new Date(text);
}
