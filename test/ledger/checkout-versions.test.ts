import { beforeAll, beforeEach, expect, test } from '@jest/globals';
import { catalogDocument, parseCatalog } from '../../catalog/load-catalog.ts';
import { publishCatalog } from '../../catalog/versions.ts';
import { Order } from '../../database/entities/order.ts';
import { lockLivingTeam } from '../../database/lock-living-team.ts';
import { applyPaidOrder } from '../../ledger/lifecycle/apply-order.ts';
import { applySubscription } from '../../ledger/lifecycle/apply-subscription.ts';
import { readBalance } from '../../ledger/read/read-balance.ts';
import { settableClock } from '../setup/clock.ts';
import { defaultCatalog } from '../setup/default-catalog.ts';
import { insertTeam } from '../setup/insert-team.ts';
import { useTestDatabase } from '../setup/use-test-database.ts';

const day = 86_400_000;
const start = new Date('2026-03-10T12:00:00Z');
const later = (days: number) => new Date(start.getTime() + days * day);
const { policies } = defaultCatalog;
const million = 1_000_000n;

const { testDatabase, database } = useTestDatabase({ pool: 2 });
let teamId: string;
/** Version 1 has `pack_1000`. Version 2 gives more for it, adds `pack_new`, and drips the yearly plan. Version 3 gives more for `pack_new`. */
beforeAll(async () => {
  const clock = await settableClock(testDatabase.url, start);
  const { packs, plans, ...rest } = catalogDocument(defaultCatalog);
  const [first, ...others] = packs;
  if (!first) throw new Error('the default catalog has no pack');
  const publish = async (at: Date, changed: object) => {
    await clock.set(at);
    await publishCatalog(database, parseCatalog({ packs, plans, ...rest, ...changed }, 'a catalog'));
  };
  const yearly = (rhythm: 'cycle' | 'monthly') =>
    plans.map((plan) => (plan.key === 'pro_yearly' ? { ...plan, rhythm } : plan));
  const raised = { ...first, credits: '1100' };
  const added = { ...first, key: 'pack_new', credits: '70' };
  await publish(start, { plans: yearly('cycle') });
  await publish(later(10), { packs: [raised, added, ...others], plans: yearly('monthly') });
  await publish(later(20), {
    packs: [raised, { ...added, credits: '80' }, ...others],
    plans: yearly('monthly'),
  });
  await clock.set(later(30));
});
beforeEach(async () => {
  teamId = await insertTeam(database.pool);
});

interface Bought {
  product: string;
  createdAt: Date;
  checkoutCatalogVersion: number | null;
}

function pay({ product, createdAt, checkoutCatalogVersion }: Bought) {
  return database.transaction(async (em) => {
    const { now } = await lockLivingTeam(em, teamId);
    const money = { currency: 'usd', paidAmount: 1_200n, refundedAmount: 0n };
    const facts = { id: `order-of-${teamId}`, teamId, product, subscriptionId: null, units: 1, ...money };
    const payment = { paidAt: createdAt, lines: [], billsUsage: false, checkoutCatalogVersion };
    return applyPaidOrder(em, { ...facts, createdAt, stateAt: createdAt, ...payment }, policies, now);
  });
}

const purchased = async () => (await readBalance(database, teamId)).bySource.purchase;

test('a pack grants what the catalog version of its checkout says, however late it is paid', async () => {
  await pay({ product: 'pack_1000', createdAt: later(15), checkoutCatalogVersion: 1 });
  expect(await purchased()).toBe(1_000n * million);
});

test('a pack without a version of its checkout grants what the catalog said when the order was created', async () => {
  await pay({ product: 'pack_1000', createdAt: later(9), checkoutCatalogVersion: null });
  expect(await purchased()).toBe(1_000n * million);
});

test('a pack that was added after its order grants what the first version with it says, not the newest', async () => {
  await pay({ product: 'pack_new', createdAt: later(9), checkoutCatalogVersion: null });
  expect(await purchased()).toBe(70n * million);
});

test.each([
  ['does not exist', 'pack_1000', 99, /names catalog version 99, which does not exist/],
  ['has no such pack', 'pack_new', 1, /names catalog version 1, which has no pack_new/],
])(
  'an order of a pack whose checkout names a version that %s grants nothing',
  async (_, product, version, message) => {
    const bought = { product, createdAt: later(15), checkoutCatalogVersion: version };
    await expect(pay(bought)).rejects.toMatchObject({
      code: 'unknown_product',
      message: expect.stringMatching(message),
    });
    expect(await purchased()).toBe(0n);
    expect(await database.fork().count(Order, { teamId })).toBe(0);
  },
);

test.each([1, 99])(
  'a plan has the terms of its cycle, although its checkout names version %i',
  async (checkoutCatalogVersion) => {
    const period = { start: later(12), end: new Date('2027-03-22T12:00:00Z') };
    const id = `order-of-${teamId}`;
    await database.transaction(async (em) => {
      const { now } = await lockLivingTeam(em, teamId);
      const subscription = {
        ...{ id: `subscription-of-${teamId}`, teamId, plan: 'pro_yearly', status: 'active' },
        ...{ startedAt: period.start, endedAt: null, cancelAtPeriodEnd: false, stateAt: now },
        ...{ currentPeriodStart: period.start, currentPeriodEnd: period.end },
      };
      await applySubscription(em, subscription, { policies, fetched: true }, now);
      const line = { amount: 49_000n, proration: false, priceId: null, inTrial: false, ...period };
      const facts = {
        ...{ id, teamId, product: 'pro_yearly', subscriptionId: subscription.id, units: 1 },
        ...{ currency: 'usd', paidAmount: 49_000n, refundedAmount: 0n },
        ...{ createdAt: period.start, stateAt: now, paidAt: period.start },
        ...{ lines: [line], billsUsage: false, checkoutCatalogVersion },
      };
      await applyPaidOrder(em, facts, policies, now);
    });
    expect(await database.fork().findOneOrFail(Order, { id })).toMatchObject({ dripsMonthly: true });
    expect((await readBalance(database, teamId)).grants).toHaveLength(1);
  },
);
