import { expect } from '@jest/globals';
import type { Pool } from 'pg';
import { verifyLedger } from '../../ledger/verify/verify-ledger.ts';

/**
 * Checks the ledger in a test's database: with the tests' own sums, in case the verification itself is wrong, and with
 * every rule of `npm run ledger:verify`.
 */
export async function expectSoundLedger(pool: Pool): Promise<void> {
  await expectFiguresAddUp(pool);
  expect((await verifyLedger({ pool })).findings).toEqual([]);
}

/**
 * A grant's columns are the sums of its transfers, a usage event's credits are those of its transfers, a key belongs
 * to the event that it made, a debt is what was settled. For tests that insert grants and debts without their orders.
 */
export async function expectFiguresAddUp(pool: Pool): Promise<void> {
  for (const [rule, faults] of Object.entries(rules)) {
    const { rows } = await pool.query(faults);
    expect({ rule, faults: rows }).toEqual({ rule, faults: [] });
  }
}

const accounts = ['available', 'held', 'consumed', 'expired', 'revoked', 'settled'];

const rules = {
  'a grant’s columns are the sums of its transfers': `
    select g.id, g.business_key
      from grants g
      left join lateral (
        select ${accounts
          .map(
            (account) =>
              `coalesce(sum(case when t.to_account = '${account}' then t.amount when t.from_account = '${account}' then -t.amount end), 0) as ${account}`,
          )
          .join(', ')},
               coalesce(sum(t.amount) filter (where t.from_account = 'issued'), 0) as granted
          from transfers t where t.grant_id = g.id and t.team_id = g.team_id
      ) moved on true
     where (${['granted', ...accounts].map((account) => `g.${account}`).join(', ')})
        is distinct from (${['granted', ...accounts].map((account) => `moved.${account}`).join(', ')})`,
  'a usage event’s credits are what its transfers moved': `
    select e.id
      from usage_events e
     where e.credits is distinct from (select coalesce(sum(t.amount), 0) from transfers t
                                        where t.usage_event_id = e.id and t.team_id = e.team_id and t.to_account = 'consumed')`,
  'no transfer is of an event that is not there': `
    select t.id from transfers t
     where t.usage_event_id is not null and not exists (select from usage_events e where e.id = t.usage_event_id)`,
  'each usage event has one key': `
    select e.id from usage_events e
     where (select count(*) from idempotency_keys k where k.usage_event_id = e.id) <> 1`,
  'a debt’s settled credits are what was moved for it': `
    select d.key from debts d
     where d.settled <> (select coalesce(sum(case when t.to_account = 'settled' then t.amount else -t.amount end), 0)
                           from transfers t where t.team_id = d.team_id and t.reference = 'debt:' || d.key)`,
};
