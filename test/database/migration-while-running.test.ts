import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Activities, createActivities } from '../../activities/create-activities.ts';
import { storeWebhook } from '../../api/routes/polar-webhook.ts';
import { publishCatalog } from '../../catalog/versions.ts';
import { connectDatabase, type Database } from '../../database/connection.ts';
import { withClient } from '../../dev/postgres.ts';
import { readBalance } from '../../ledger/read/read-balance.ts';
import { type CreditOperations, createCreditOperations } from '../../ledger/spend/credit-operations.ts';
import { createPolarClient } from '../../polar/client.ts';
import { paidCycle, paidOrder } from '../polar/payloads.ts';
import { createTestDatabase, type TestDatabase } from '../setup/database.ts';
import { defaultCatalog } from '../setup/default-catalog.ts';
import { insertBuyer } from '../setup/insert-team.ts';

let testDatabase: TestDatabase;
let database: Database;
let activities: Activities;
let creditOperations: CreditOperations;
beforeAll(async () => {
  testDatabase = await createTestDatabase();
  database = await connectDatabase(testDatabase.applicationUrl, { pool: 1 }); // so every statement is prepared once
  await publishCatalog(database, defaultCatalog);
  creditOperations = createCreditOperations(database);
  activities = createActivities({
    database,
    polar: createPolarClient({ accessToken: 'polar_oat_nobody', server: 'http://127.0.0.1:1' }),
  });
});
afterAll(async () => {
  await creditOperations.close();
  await database.close();
  await testDatabase.drop();
});

type OrderOrSubscriptionStep = 'fulfillPurchase' | 'startCycle' | 'followOrder' | 'followSubscription';

async function take(step: OrderOrSubscriptionStep, type: string, data: object): Promise<unknown> {
  const webhook = { webhookId: randomUUID(), type, occurredAt: new Date(), payload: { type, data } };
  const { teamId, id } = await storeWebhook(database, webhook);
  if (teamId === null) throw new Error('the webhook must name its team');
  return activities[step](teamId, id, 'inbox');
}

/** Steps of a new team, a parked event, a spend, a hold and a balance. */
async function workForNewTeam(): Promise<void> {
  const buyer = await insertBuyer(database.pool);
  const { teamId } = buyer;
  const pack = paidOrder(buyer, 'pack_1000');
  await take('fulfillPurchase', 'order.paid', pack);
  const cycle = paidCycle(buyer, { begun: Date.now() - 60_000 });
  await take('startCycle', 'order.paid', cycle);
  await take('followSubscription', 'subscription.updated', {
    ...cycle.subscription,
    customer: cycle.customer,
  });
  const refunded = { ...pack, modified_at: new Date().toISOString(), refunded_amount: 600 };
  await take('followOrder', 'order.updated', refunded);
  const parked = paidOrder(buyer, 'no_such_product');
  await expect(take('fulfillPurchase', 'order.paid', parked)).rejects.toMatchObject({
    type: 'unknown_product',
  });
  await activities.grantDrips(teamId);
  await activities.expireCredits(teamId);
  await activities.reviewTeam(teamId);

  const operation = () => ({
    ...{ teamId, idempotencyKey: randomUUID(), bodyHash: Buffer.alloc(32) },
    ...{ action: 'workflow.run', priceVersion: 1 },
  });
  const priced = { credits: 1_000_000n, lines: [] };
  await creditOperations.spend({ ...operation(), priced });
  const { id: holdId } = await creditOperations.hold({
    ...operation(),
    ...{ credits: 1_000_000n, ttlMs: 60_000, maxTtlMs: 60_000, maxOpenHolds: 10 },
  });
  await creditOperations.release({ ...operation(), holdId });
  expect((await readBalance(database, teamId)).available).toBeGreaterThan(0n);
}

test('API and worker keep working on their open connections while a migration adds a column to every table', async () => {
  await workForNewTeam();
  await withClient(testDatabase.url, (owner) =>
    owner.query(
      `do $$ declare each text; begin
         for each in select c.oid::regclass from pg_class c
                      where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition loop
           execute format('alter table %s add column added_later text', each);
         end loop;
       end $$`,
    ),
  );
  await workForNewTeam();
});
