import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { priceUsage } from '../../catalog/price-usage.ts';
import { type PublishedCatalog, publishCatalog } from '../../catalog/versions.ts';
import { connectDatabase, type Database } from '../../database/connection.ts';
import { Order } from '../../database/entities/order.ts';
import { lockLivingTeam } from '../../database/lock-living-team.ts';
import { withClient } from '../../dev/postgres.ts';
import { adjustCredits } from '../../ledger/lifecycle/adjust-credits.ts';
import { applyPaidOrder, applyReversal } from '../../ledger/lifecycle/apply-order.ts';
import { applySubscription } from '../../ledger/lifecycle/apply-subscription.ts';
import { grantTrialCredits } from '../../ledger/lifecycle/grant-trial-credits.ts';
import { reviewTeamAlerts } from '../../ledger/lifecycle/review-team-alerts.ts';
import { type CreditOperations, createCreditOperations } from '../../ledger/spend/credit-operations.ts';
import { setLimit } from '../../ledger/spend/set-limit.ts';
import { checks } from '../../ledger/verify/checks.ts';
import { verifyLedger } from '../../ledger/verify/verify-ledger.ts';
import { deleteOldKeys } from '../../teams/delete-old-keys.ts';
import { setMemberRole } from '../../teams/members.ts';
import { signUp } from '../../teams/sign-up.ts';
import { createTestDatabase, type TestDatabase } from '../setup/database.ts';
import { defaultCatalog as catalog } from '../setup/default-catalog.ts';

const credit = 1_000_000n;
const day = 86_400_000;

let sound: TestDatabase;
beforeAll(async () => {
  sound = await createTestDatabase();
  const database = await connectDatabase(sound.url, { pool: 4 });
  await fill(database);
  await database.close();
});
afterAll(() => sound.drop());

/** Each rule, and errors planted in the database that it must find. */
const corruptions: Record<string, Record<string, string>> = {
  'grant-equals-transfers': {
    'credits that moved from consumed back to available without a transfer': `update grants set available = available + 5, consumed = consumed - 5 where consumed >= 5`,
    'a transfer of a micro-credit more': `update transfers set amount = amount + 1 where kind = 'expire' or kind = 'spend'`,
    'a transfer that is gone': `delete from transfers where kind = 'settle'`,
  },
  'month-equals-transfers': {
    'a month that was closed without its transfers': `insert into closed_months (month) select distinct date_trunc('month', at at time zone 'UTC')::date from transfers`,
    'a closed month with credits that nothing moved': `insert into closed_months (month) values ('2001-02-01');
          insert into grant_months select team_id, '2001-02-01', id, 0, 1, 0, -1, 0, 0, 0 from grants limit 1`,
  },
  'usage-day-equals-events': {
    'a counted day with usage that has no event': `insert into usage_zones select id, 'UTC', '2001-01-01', '2001-01-03', billing_now(), billing_now() from teams limit 1;
          insert into usage_days select team_id, 'UTC', 'member', '2001-01-02', '{null}', '{null}', '{1}', '{1}' from usage_zones`,
  },
  'balance-day-equals-transfers': {
    'a stored day with credits that nothing moved': `insert into balance_days select id, 'UTC', '2001-01-02', 1, 1, 0, 0, 0, 0, 0 from teams limit 1`,
  },
  'grant-is-balanced': {
    'credits out of nothing': `alter table grants drop constraint grant_is_balanced; update grants set available = available + 1000000`,
    'a balance below zero': `alter table grants drop constraint grants_available_check;
          update grants set available = -1, consumed = consumed + available + 1 where source = 'trial'`,
  },
  'grant-is-issued-once': {
    'a grant that was issued twice': `insert into transfers (team_id, at, grant_id, kind, from_account, to_account, amount, reference)
          select team_id, created_at, id, 'grant', 'issued', 'available', granted, business_key from grants where source = 'purchase'`,
    'a transfer from before its grant was issued': `update transfers set at = at - interval '1 hour' where kind = 'spend'`,
  },
  'transfer-has-grant': {
    'a grant that is gone': `delete from grants where source = 'purchase'`,
  },
  'transfer-has-team': {
    'a transfer of a team that does not exist, beyond the last that does': `insert into transfers (team_id, at, grant_id, kind, from_account, to_account, amount, reference)
          select 'ffffffff-ffff-ffff-ffff-ffffffffffff', created_at, id, 'grant', 'issued', 'available', 1, 'order:o' from grants limit 1`,
  },
  'transfer-is-of-its-grants-team': {
    'a transfer that was booked on another team': `update transfers set team_id = (select id from teams where id <> transfers.team_id order by id limit 1) where kind = 'settle'`,
  },
  'transfer-moves-as-its-kind': {
    'a spend that came out of revoked credits': `update transfers set from_account = 'revoked' where kind = 'spend'`,
  },
  'clawback-restores-its-own': {
    'a clawback that gave back what it had not taken': `insert into transfers (team_id, at, grant_id, kind, from_account, to_account, amount, reference)
          select team_id, billing_now(), grant_id, 'clawback', 'revoked', 'available', amount, reference from transfers where kind = 'adjust'`,
  },
  'settlement-has-debt': {
    'a settled debt that is gone': `delete from debt_changes; delete from debts`,
  },
  'event-equals-transfers': {
    'a usage event that costs more than was debited': `update usage_events set credits = credits + 1`,
    'usage that nobody paid for': `delete from transfers where kind = 'spend'`,
  },
  'event-is-paid-when-recorded': {
    'usage that claims to have been recorded at another time': `update usage_events set recorded_at = recorded_at + interval '1 second'`,
  },
  'event-is-paid-as-its-kind': {
    'usage of a hold that was debited as a spend': `update transfers set kind = 'spend' where kind = 'capture' and from_account = 'available'`,
  },
  'transfer-has-event': {
    'a debit whose usage event is gone': `delete from usage_events where hold_id is null`,
  },
  'event-has-team': {
    'usage of a team that does not exist': `insert into usage_events select '00000000-0000-7000-8000-000000000000', occurred_at, id, recorded_at, action, lines, credits,
                                           price_version, balance_after, member_id, api_key_id, hold_id, metadata from usage_events`,
  },
  'event-captures-its-hold': {
    'usage of a hold that is gone': `delete from holds where status = 'captured'`,
  },
  'balance-after-is-possible': {
    'a balance after usage that the team never had': `update usage_events set balance_after = balance_after + 1000000000000000`,
  },
  'receipt-adds-up': {
    'a receipt with another line': `update usage_events set lines = lines || lines`,
    'a receipt that cannot be read': `update usage_events set lines = '[{"meter": "runs", "credits": "a lot"}]'`,
  },
  'line-is-priced': {
    'a line for another quantity': `update usage_events set lines = jsonb_set(lines, '{0,quantity}', '"77"')`,
  },
  'event-has-price-version': {
    'prices that are not known any more': `update usage_events set price_version = 99`,
  },
  'event-has-key': {
    'a key that was deleted too early': `delete from idempotency_keys where usage_event_id is not null`,
    'an event under two keys': `insert into idempotency_keys select scope, key || '-again', body_hash, usage_event_id, occurred_at, status, response, created_at
            from idempotency_keys where usage_event_id is not null`,
  },
  'key-has-event': {
    'a key of usage that is not there': `update idempotency_keys set usage_event_id = gen_random_uuid() where usage_event_id is not null`,
  },
  'debt-equals-settlements': {
    'a debt that says it was settled': `update debts set settled = settled + 1, owed = owed + 1`,
  },
  'debt-equals-last-change': {
    'a debt that was forgiven without a trace': `update debts set owed = settled`,
  },
  'debt-has-grants': {
    'a debt of credits that nobody was granted': `update grants set debt_key = 'order:other' where debt_key in (select key from debts)`,
  },
  'payments-equal-settlements': {
    'a payment of a debt that is gone': `delete from debt_payments`,
  },
  'revoked-says-why': {
    'an adjustment that passes for a clawback': `update grants set adjusted = adjusted - 1 where adjusted > 0`,
  },
  'cycle-equals-entitlement': {
    'a paid line that returns money and took nothing': `insert into order_lines (order_id, line, subscription_id, amount, proration, starts_at, ends_at, in_trial)
          select order_id, 1, subscription_id, -100, true, starts_at + interval '1 day', ends_at, false from order_lines`,
  },
  'entitled-credits-are-granted': {
    'a paid cycle whose grant is another’s': `update grants set business_key = business_key || 'Z' where source = 'subscription'`,
  },
  'pack-equals-reversal': {
    'a refund that took nothing back': `update orders set refunded_amount = paid_amount / 2 where product = 'pack_1000'`,
  },
  'team-knows-its-debts': {
    'a team that forgot its debt': `update teams set has_debts = false`,
  },
  'expiry-equals-last-change': {
    'an expiry that was moved silently': `update grants set expires_at = expires_at + interval '1 year' where source = 'subscription'`,
  },
  'expiry-changes-follow-on': {
    'a change of an expiry that is gone': `delete from grant_expiry_changes where id in (select id from (
            select id, row_number() over (partition by grant_id order by id) as nth, count(*) over (partition by grant_id) as of_grant
              from grant_expiry_changes) c where nth = 2 and of_grant > 2)`,
  },
  'business-key-says-what-paid': {
    'an allotment for another cycle': `update grants set business_key = business_key || 'Z' where source = 'subscription'`,
    'a purchase of no order': `update grants set order_id = null where source = 'purchase'`,
  },
  'business-key-is-unique': {
    'one order that granted twice': `alter table grants drop constraint grants_business_key_key;
          insert into grants (id, team_id, source, business_key, granted, available, effective_at, catalog_version, order_id, created_at)
          select gen_random_uuid(), team_id, source, business_key, granted, granted, effective_at, catalog_version, order_id, created_at
            from grants where source = 'purchase'`,
  },
  'grant-has-order': {
    'a grant of another team’s order': `update orders set team_id = (select id from teams where id <> orders.team_id limit 1)`,
  },
  'subscription-has-one-team': {
    'a subscription of another team than its orders and grants': `update subscriptions set team_id = (select id from teams where id <> subscriptions.team_id limit 1)`,
  },
  'issue-names-business-key': {
    'an issue under another key': `update transfers set reference = 'order:other' where kind = 'grant'`,
  },
  'trial-once': {
    'a second trial': `insert into grants (id, team_id, source, business_key, granted, available, effective_at, catalog_version, created_at)
          select gen_random_uuid(), team_id, source, 'trial:again', granted, granted, effective_at, catalog_version, created_at
            from grants where source = 'trial' limit 1`,
  },
  'threshold-is-reported': {
    'a balance that fell below a threshold without a message': `update teams set alert_base = 1000000000000, alert_watermark = 1000000000000`,
  },
  'alert-state-is-possible': {
    'a watermark above every balance since credits came in': `update teams set alert_watermark = alert_base + 1`,
  },
  'alert-is-sent-once': {
    'a team that was told twice that it has no credits': `insert into outbox (id, team_id, type, at, data)
          select gen_random_uuid(), id, 'credits.exhausted', billing_now(), '{"available": "0"}' from teams cross join generate_series(1, 2)`,
    'a threshold that was crossed twice': `insert into outbox (id, team_id, type, at, data)
          select gen_random_uuid(), id, 'credits.low', billing_now(),
                 '{"available": "90", "thresholds": [{"threshold": "100", "credits": "100"}]}'
            from teams cross join generate_series(1, 2)`,
    'an expiry that was announced twice': `insert into outbox (id, team_id, type, at, data)
          select gen_random_uuid(), id, 'credits.expiring', billing_now(), '{"expiresAt": "2026-01-31T00:00:00.000Z", "daysAhead": 7}'
            from teams cross join generate_series(1, 2)`,
  },
  'exhaustion-has-message': {
    'a team that counts as told, and was not': `update teams set exhaustion_sent = not exhaustion_sent`,
  },
  'trial-is-claimed': {
    'a trial on nobody’s account': `delete from trial_claims`,
    'a claim without a trial': `with claim as (
            insert into trial_claims select 'somebody', 1, id, created_at from teams
             where id not in (select team_id from trial_claims) limit 1 returning team_id)
          insert into inbox (id, team_id, source, type, external_id, payload, occurred_at, status)
          select gen_random_uuid(), team_id, 'sign_up', 'team.created', 'team.created:' || team_id, '{}', now(), 'handled'
            from claim`,
  },
  'hold-equals-draws': {
    'a hold that sets aside less than it says': `update holds set credits = credits + 1`,
    'a hold of a team that there is not': `update holds set team_id = gen_random_uuid()`,
    'a hold that draws on a grant that there is not': `update hold_draws set grant_id = gen_random_uuid()`,
  },
  'draws-equal-transfers': {
    'a draw of which no transfer tells': `delete from transfers where kind = 'hold'`,
  },
  'draw-has-hold': {
    'a hold that is gone': `delete from holds where status = 'open'`,
  },
  'captured-hold-has-event': {
    'a capture of another hold': `update usage_events set hold_id = gen_random_uuid() where hold_id is not null`,
  },
  'held-equals-open-holds': {
    'a hold that ended and kept its credits': `update holds set status = 'lapsed' where status = 'open'`,
    'an ended hold that is open again': `update holds set status = 'open' where status = 'released'`,
  },
  'limit-counts-its-window': {
    'a limit that counts less than was consumed': `update limits set consumed = consumed - 1 where per = 'month'`,
    'a limit per cycle that counts more than was consumed': `update limits set consumed = consumed + 1 where per = 'cycle'`,
  },
  'limit-counts-open-holds': {
    'a limit that forgot an open hold': `update limits set held = 0`,
  },
  'limit-equals-last-mark': {
    'a limit that counted more in all than its marks say': `update limits set total = total + 1 where total > 0`,
    'a limit whose marks are gone': `delete from limit_marks`,
  },
  'team-knows-its-limits': {
    'a team that forgot its limits': `update teams set has_limits = false`,
  },
  'adjustment-is-applied': {
    'an adjustment of another size': `update adjustments set credits = credits - 1`,
  },
};

test('a correct ledger keeps every rule, in any number of ranges', async () => {
  await onDatabase(async (database) => {
    const progress: string[] = [];
    const { findings, found, teams, transfers, holds } = await verifyLedger(database, {
      onProgress: ({ walk, done, total }) => progress.push(`${walk} ${done}/${total}`),
    });
    expect(findings).toEqual([]);
    expect(found).toBe(0);
    const { rows } = await database.pool.query(
      `select (select count(*) from teams)::int as teams, (select count(*) from transfers)::int as transfers,
              (select count(*) from holds)::int as holds`,
    );
    expect({ teams, transfers, holds }).toEqual(rows[0]);
    expect(progress.length).toBeGreaterThan(2);
    expect(progress.at(-1)).toBe(`holds ${holds}/${holds}`);
  });
});

test('every rule has a planted error that it finds', () => {
  expect([...allRules].filter((rule) => !Object.hasOwn(corruptions, rule))).toEqual([]);
});

const planted = Object.entries(corruptions).flatMap(([rule, errors]) =>
  Object.entries(errors).map(([what, sql]) => ({ rule, what, sql })),
);

test.each(planted)('$rule finds $what', async ({ rule, sql }) => {
  await onDatabase(async (database, url) => {
    await plant(url, sql);
    const { findings, found } = await verifyLedger(database);
    expect(found).toBeGreaterThan(0);
    expect(findings.map((finding) => finding.rule)).toContain(rule);
    for (const { teamId, ...texts } of findings) {
      expect(teamId).toMatch(/^[0-9a-f-]{36}$/);
      expect(Object.values(texts)).not.toContain('');
    }
  });
});

test('the command ends with 0 if every rule holds, and with 1 and the wrong rows if one does not', async () => {
  await onCopy(async (url) => {
    const verify = () =>
      promisify(execFile)(process.execPath, ['ledger/verify/verify-command.ts'], {
        cwd: join(import.meta.dirname, '../..'),
        env: { DATABASE_URL: url },
      }).catch((error: { code: number; stdout: string; stderr: string }) => error);
    const clean = await verify();
    expect(clean).not.toHaveProperty('code');
    expect(clean.stdout).toMatch(/^Every rule holds: 116 teams, \d+ transfers and 4 holds/);
    expect(clean.stderr).toMatch(/teams 116\/116/);

    await plant(url, `update usage_events set credits = credits + 1`);
    const broken = await verify();
    expect(broken).toHaveProperty('code', 1);
    expect(broken.stdout).toMatch(
      /✗ event-equals-transfers: usage event \S+ of team \S+\n +rule .+\n +expected +\d+\n +found +\d+\n +look at /,
    );
  });
});

test('a key older than the policy may be missing', async () => {
  await onDatabase(async (database, url) => {
    await plant(
      url,
      `create or replace function billing_now() returns timestamptz(3) language sql return clock_timestamp()::timestamptz(3) + interval '91 days'`,
    );
    expect(await deleteOldKeys(database.pool, 90 * day)).toBeGreaterThan(0);
    expect((await verifyLedger(database)).findings).toEqual([]);
  });
});

test('concurrent debits cause no false findings', async () => {
  await onDatabase(async (database) => {
    const { rows } = await database.pool.query<{ team_id: string }>(
      'select distinct team_id from grants where open',
    );
    const teams = rows.map(({ team_id }) => team_id);
    const commit = creditOperations(database);
    let verified = 0;
    let debits = 0;
    const callers = Array.from({ length: 16 }, async (_, caller) => {
      while (verified < 5) {
        const teamId = teams[(caller + debits) % teams.length] ?? '';
        await spend(commit, teamId, 1n).catch(() => null);
        const held = await hold(commit, teamId, credit / 2n).catch(() => null);
        if (held) await commit.capture({ ...keyed(teamId), holdId: held.id, priced: priced(1n) });
        debits += 1;
      }
    });
    for (; verified < 5; verified += 1) expect((await verifyLedger(database)).findings).toEqual([]);
    await Promise.all(callers);
    await commit.close();
    expect(debits).toBeGreaterThan(16);
    expect((await verifyLedger(database)).findings).toEqual([]);
  });
});

test('every finding of a completely broken ledger is passed on, and only some are kept', async () => {
  await onDatabase(async (database, url) => {
    await plant(
      url,
      `insert into grants (id, team_id, source, business_key, granted, available, effective_at, catalog_version, created_at, actor, reason)
       select gen_random_uuid(), t.id, 'adjustment', 'adjustment:' || gen_random_uuid(), 1, 1, billing_now(), 1, billing_now(), 'nobody', 'none'
         from teams t, generate_series(1, 20)`,
    );
    let told = 0;
    const { found, findings } = await verifyLedger(database, {
      onFinding: () => {
        told += 1;
      },
    });
    expect(told).toBe(found);
    expect(found).toBeGreaterThan(3_000);
    expect(findings).toHaveLength(1_000);
  });
});

test('verifying can be stopped, and leaves the connection as it was', async () => {
  await onDatabase(async (database) => {
    const abort = new AbortController();
    const verification = verifyLedger(database, {
      signal: abort.signal,
      onProgress: () => abort.abort(new Error('enough')),
    });
    await expect(verification).rejects.toThrow('enough');
    expect((await verifyLedger(database)).findings).toEqual([]);
  });
});

const allRules = new Set(checks.flatMap(({ rules }) => Object.keys(rules)));

/** A small ledger in which every kind of event has happened once: 6 active teams and 110 teams without activity. */
async function fill(database: Database): Promise<void> {
  const published = { catalog, catalogVersion: (await publishCatalog(database, catalog)).catalogVersion };
  const commit = creditOperations(database);
  const [spending, buying, indebted, subscribed, holding, limited] = await Promise.all(
    ['spending', 'buying', 'indebted', 'subscribed', 'holding', 'limited'].map((id) =>
      withTrial(database, id, published),
    ),
  );
  if (!spending || !buying || !indebted || !subscribed || !holding || !limited)
    throw new Error('teams are missing');

  for (const runs of [1n, 5n, 30n]) await spend(commit, spending, runs);
  await buyPack(database, published, buying);
  await spend(commit, buying, 1_200n); // more than the trial, so two grants pay

  // The pack is spent and then refunded: a debt, settled by the team's next purchase.
  await buyPack(database, published, indebted);
  await spend(commit, indebted, 2_800n);
  await refund(database, `pack-of-${indebted}`);
  await buyPack(database, published, indebted, 'another-pack');
  await spend(commit, indebted, 1n);
  await refund(database, 'another-pack');

  await subscribe(database, published, subscribed);

  const captured = await hold(commit, holding, 2n * credit);
  await commit.capture({ ...keyed(holding), holdId: captured.id, priced: priced(7n) });
  const released = await hold(commit, holding, 3n * credit);
  await commit.release({ ...keyed(holding), holdId: released.id });
  await hold(commit, holding, 4n * credit);

  await locked(database, limited, (em) =>
    setMemberRole(em, {
      teamId: limited,
      userId: 'buying',
      role: 'member',
      actor: { kind: 'service', keyId: 'environment' },
    }),
  );
  await spend(commit, limited, 2n, 'limited'); // counts although there was no limit yet
  for (const [subjectId, per] of [
    ['limited', 'month'],
    ['buying', 'cycle'],
  ] as const) {
    const limit = { teamId: limited, subject: 'member', subjectId, credits: 100n * credit, per } as const;
    await setLimit(database, limit);
    await spend(commit, limited, 3n, subjectId);
  }
  await hold(commit, limited, 5n * credit, 'limited');

  const adjustment = { teamId: spending, reason: 'an apology', actor: 'service', expiresAt: null };
  await database.transaction((em) => adjustCredits(em, { ...adjustment, credits: 50n * credit }));
  await database.transaction((em) => adjustCredits(em, { ...adjustment, credits: -490n * credit }));

  await database.pool.query(
    `insert into teams (id, name, personal) select uuidv7(), 'idle', false from generate_series(1, 110)`,
  );
  await commit.close();
}

async function withTrial(database: Database, id: string, published: PublishedCatalog): Promise<string> {
  const user = { id, email: `${id}@example.com`, name: id };
  const { team } = await signUp(database, user, { kind: 'service', keyId: 'test' });
  await locked(database, team.id, (em, now) => grantTrialCredits(em, team.id, published, now));
  return team.id;
}

const { policies } = catalog;

async function buyPack(
  database: Database,
  _: PublishedCatalog,
  teamId: string,
  id = `pack-of-${teamId}`,
): Promise<void> {
  await locked(database, teamId, (em, now) =>
    applyPaidOrder(em, { ...orderFacts(id, teamId, now), ...payment(now) }, policies, now),
  );
}

function orderFacts(id: string, teamId: string, now: Date) {
  return {
    id,
    teamId,
    product: 'pack_1000',
    subscriptionId: null,
    units: 1,
    currency: 'usd',
    paidAmount: 1_200n,
    refundedAmount: 0n,
    createdAt: now,
    stateAt: now,
  };
}

function payment(now: Date) {
  return { paidAt: now, lines: [], billsUsage: false, checkoutCatalogVersion: null };
}

async function refund(database: Database, id: string): Promise<void> {
  const { teamId } = await database.fork().findOneOrFail(Order, { id });
  const outcome = await locked(database, teamId, (em, now) =>
    applyReversal(em, { ...orderFacts(id, teamId, now), refundedAmount: 1_200n }, policies, now),
  );
  if (!outcome.includes('are owed')) throw new Error('the refund was to leave a debt');
}

/** Two cycles, of which the second closes the first. Then the subscription is canceled, resumed, and canceled again. */
async function subscribe(database: Database, _: PublishedCatalog, teamId: string): Promise<void> {
  const began = Date.now() - 32 * day;
  const state = {
    id: 'subscription',
    teamId,
    plan: 'pro_monthly',
    status: 'active',
    startedAt: new Date(began),
    endedAt: null,
  };
  const mirror = (start: number, cancelAtPeriodEnd: boolean) =>
    locked(database, teamId, (em, now) => {
      const period = { currentPeriodStart: new Date(start), currentPeriodEnd: new Date(start + 31 * day) };
      const facts = { ...state, ...period, cancelAtPeriodEnd, stateAt: now };
      return applySubscription(em, facts, { policies, fetched: true }, now);
    });
  for (const [cycle, start] of [began, began + 31 * day].entries()) {
    await mirror(start, false);
    await locked(database, teamId, (em, now) => {
      const line = { amount: 4_900n, proration: false, priceId: null, inTrial: false };
      const lines = [{ ...line, start: new Date(start), end: new Date(start + 31 * day) }];
      const facts = { ...orderFacts(`cycle-${cycle}`, teamId, new Date(start)), ...payment(now), lines };
      const ofPlan = { product: 'pro_monthly', subscriptionId: 'subscription', paidAmount: 4_900n };
      return applyPaidOrder(em, { ...facts, ...ofPlan }, policies, now);
    });
  }
  for (const cancelled of [true, false, true]) await mirror(began + 31 * day, cancelled);
}

function locked<T>(
  database: Database,
  teamId: string,
  work: (em: Parameters<Parameters<Database['transaction']>[0]>[0], now: Date) => Promise<T>,
): Promise<T> {
  return database.transaction(async (em) => {
    const { now } = await lockLivingTeam(em, teamId);
    const result = await work(em, now);
    await reviewTeamAlerts(em, teamId, now); // as each step does
    return result;
  });
}

function creditOperations(database: Database): CreditOperations {
  return createCreditOperations(database);
}

function keyed(teamId: string) {
  return { teamId, idempotencyKey: randomUUID(), bodyHash: randomBytes(32) };
}

function priced(runs: bigint) {
  return priceUsage(catalog, 'workflow.run', { runs: runs * credit });
}

function spend(commit: CreditOperations, teamId: string, runs: bigint, memberId?: string) {
  const action = { action: 'workflow.run', priced: priced(runs), priceVersion: 1 };
  return commit.spend({ ...keyed(teamId), ...action, memberId });
}

function hold(commit: CreditOperations, teamId: string, credits: bigint, memberId?: string) {
  const ttl = { ttlMs: day / 24, maxTtlMs: day, maxOpenHolds: 100 };
  return commit.hold({
    ...keyed(teamId),
    action: 'workflow.run',
    credits,
    priceVersion: 1,
    ...ttl,
    memberId,
  });
}

/** Runs `work` on a temporary copy of the correct ledger. */
async function onCopy(work: (url: string) => Promise<void>): Promise<void> {
  const name = `copy_${randomBytes(6).toString('hex')}`;
  const source = new URL(sound.url).pathname.slice(1);
  const admin = (sql: string) =>
    withClient(process.env.TEST_POSTGRES_URL ?? '', (client) => client.query(sql));
  await admin(`create database ${pg.escapeIdentifier(name)} template ${pg.escapeIdentifier(source)}`);
  const url = new URL(sound.url);
  url.pathname = `/${name}`;
  try {
    await work(url.href);
  } finally {
    await admin(`drop database ${pg.escapeIdentifier(name)} with (force)`);
  }
}

async function onDatabase(work: (database: Database, url: string) => Promise<void>): Promise<void> {
  await onCopy(async (url) => {
    const database = await connectDatabase(url, { pool: 6 });
    try {
      await work(database, url);
    } finally {
      await database.close();
    }
  });
}

/** Only a superuser can do this: triggers and foreign keys are off. */
async function plant(url: string, ...statements: string[]): Promise<void> {
  await withClient(url, async (client) => {
    await client.query(`set session_replication_role = replica`);
    for (const sql of statements) await client.query(sql);
  });
}
