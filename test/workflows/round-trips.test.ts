import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Activities, createActivities } from '../../activities/create-activities.ts';
import { storeWebhook } from '../../api/routes/polar-webhook.ts';
import { MICRO } from '../../catalog/credits.ts';
import { publishCatalog, readCatalog } from '../../catalog/versions.ts';
import { connectDatabase, type Database } from '../../database/connection.ts';
import { readBalance } from '../../ledger/read/read-balance.ts';
import { createPolarClient } from '../../polar/client.ts';
import { paidCycle, paidOrder } from '../polar/payloads.ts';
import { createTestDatabase, type TestDatabase } from '../setup/database.ts';
import { defaultCatalog } from '../setup/default-catalog.ts';
import { insertBuyer } from '../setup/insert-team.ts';
import { countRoundTrips } from '../setup/round-trips.ts';

let testDatabase: TestDatabase;
let database: Database;
let activities: Activities;
beforeAll(async () => {
  testDatabase = await createTestDatabase();
  database = await connectDatabase(testDatabase.applicationUrl, { pool: 4 });
  await publishCatalog(database, defaultCatalog);
  await readCatalog(database); // each process reads a version once
  activities = createActivities({
    database,
    polar: createPolarClient({ accessToken: 'polar_oat_nobody', server: 'http://127.0.0.1:1' }),
  });
});
afterAll(async () => {
  await database.close();
  await testDatabase.drop();
});

const begun = Date.now() - 60_000;

type Step = 'fulfillPurchase' | 'startCycle' | 'followOrder';

/**
 * How often the step of a webhook waits for Postgres, up to the answer to its commit. The catalog is cached for a second, so a
 * wait for its newest version alone is not counted.
 */
async function waitsOf(step: Step, type: string, data: unknown): Promise<number> {
  const webhook = { webhookId: randomUUID(), type, occurredAt: new Date(), payload: { type, data } };
  const { teamId, id } = await storeWebhook(database, webhook);
  if (teamId === null) throw new Error('the webhook must name its team');
  const { result, waits } = await countRoundTrips(database.pool, () => activities[step](teamId, id, 'inbox'));
  expect(result).toMatchObject({ lastDid: expect.stringContaining('Order') });
  const untilCommit = waits.slice(0, waits.findIndex((statements) => statements.includes('commit')) + 1);
  return untilCommit.filter((statements) => !statements.every(isCatalogRead)).length;
}

function isCatalogRead(statement: string): boolean {
  return statement.includes('max(version) as version from catalog_versions');
}

test('the step of a paid pack waits twice for Postgres: for its lock and for its commit', async () => {
  const team = await insertBuyer(database.pool);
  expect(await waitsOf('fulfillPurchase', 'order.paid', paidOrder(team, 'pack_1000'))).toBe(2);
  expect((await readBalance(database, team.teamId)).bySource.purchase).toBe(1_000n * MICRO);
});

test('the step of a paid cycle waits four times for Postgres, also if it closes an earlier cycle', async () => {
  const team = await insertBuyer(database.pool);
  const subscriptionId = randomUUID();
  expect(await waitsOf('startCycle', 'order.paid', paidCycle(team, { subscriptionId, begun }))).toBe(4);
  expect(
    await waitsOf('startCycle', 'order.paid', paidCycle(team, { subscriptionId, begun, days: 30 })),
  ).toBe(4);
});

test('the step of a half refunded pack waits six times for Postgres', async () => {
  const team = await insertBuyer(database.pool);
  const order = paidOrder(team, 'pack_1000');
  await waitsOf('fulfillPurchase', 'order.paid', order);
  const refunded = { ...order, modified_at: new Date().toISOString(), refunded_amount: 600 };
  expect(await waitsOf('followOrder', 'order.updated', refunded)).toBe(6);
});
