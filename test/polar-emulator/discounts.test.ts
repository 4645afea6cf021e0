import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { models } from '@polar-sh/sdk/2026-10';
import { type EmulatedShop, openShop } from './emulated-shop.ts';

let shop: EmulatedShop;
beforeEach(async () => {
  shop = await openShop('2026-04-01T00:00:00Z');
});
afterEach(() => shop.stop());

const discounted = async (discount: Partial<models.DiscountCreate>) => {
  const { id } = await shop.polar.discounts.create({
    name: 'Friends',
    duration: 'forever',
    ...discount,
  } as models.DiscountCreate);
  await shop.buy(shop.starter, { discount_id: id });
  return (await shop.subscription()).id;
};

test('with a full discount every line of a change is 0, paid, and still a line', async () => {
  const id = await discounted({ basis_points: 10_000 });
  await shop.moveTo('2026-04-16T00:00:00Z');
  await shop.change(id, shop.pro, 'invoice');
  expect(await shop.newestOrder()).toMatchObject({
    status: 'paid',
    billing_reason: 'subscription_update',
    total_amount: 0,
    discount_amount: 0,
    items: [
      { amount: 0, proration: true },
      { amount: 0, proration: true },
    ],
  });
  await shop.change(id, shop.proYearly, 'prorate');
  expect(await shop.newestOrder()).toMatchObject({ status: 'paid', total_amount: 0, items: [{}, {}] });
  expect((await shop.newestOrder()).items.map(({ amount }) => amount)).toEqual([0, 0]);
});

test('a percentage lowers the credit and the debit of a change', async () => {
  const id = await discounted({ basis_points: 2_000 });
  await shop.moveTo('2026-04-16T00:00:00Z');
  await shop.change(id, shop.pro, 'invoice');
  expect(await shop.newestOrder()).toMatchObject({
    discount_amount: 0,
    net_amount: 1_200,
    items: [{ amount: -760 }, { amount: 1_960 }],
  });
});

test('a fixed discount reduces each plan’s price before its share of the period', async () => {
  const id = await discounted({ type: 'fixed', amount: 900, currency: 'usd' });
  expect(await shop.newestOrder()).toMatchObject({
    subtotal_amount: 1_900,
    discount_amount: 900,
    net_amount: 1_000,
  });
  await shop.moveTo('2026-04-16T00:00:00Z');
  await shop.change(id, shop.pro, 'invoice');
  expect(await shop.newestOrder()).toMatchObject({
    discount: { type: 'fixed', amount: 900 },
    items: [{ amount: -500 }, { amount: 2_000 }],
  });
});

test('pending prorations keep the discount of their period, and the renewal has its own', async () => {
  const id = await discounted({ type: 'fixed', amount: 900, currency: 'usd' });
  await shop.moveTo('2026-04-16T00:00:00Z');
  await shop.change(id, shop.pro, 'prorate');
  await shop.moveTo('2026-05-01T00:00:00Z');
  expect(await shop.newestOrder()).toMatchObject({
    items: [{ amount: 4_900 }, { amount: -500 }, { amount: 2_000 }],
    discount_amount: 900,
    net_amount: 5_500,
  });
});

test('a one-time discount ends with the next period, a repeating one after its months', async () => {
  const id = await discounted({ type: 'fixed', amount: 900, duration: 'once' });
  await shop.moveTo('2026-05-01T00:00:00Z');
  expect(await shop.newestOrder()).toMatchObject({ discount_amount: 0, net_amount: 1_900 });
  await shop.moveTo('2026-05-16T12:00:00Z');
  await shop.change(id, shop.pro, 'invoice');
  expect(await shop.newestOrder()).toMatchObject({
    discount: null,
    items: [{ amount: -950 }, { amount: 2_450 }],
  });
  await shop.polar.subscriptions.revoke(id);

  const repeating = await shop.polar.discounts.create({
    name: 'Two months',
    type: 'percentage',
    basis_points: 5_000,
    duration: 'repeating',
    duration_in_months: 2,
  });
  await shop.buy(shop.pro, { discount_id: repeating.id });
  const paid = [(await shop.newestOrder()).net_amount];
  for (const month of ['06', '07']) {
    await shop.moveTo(`2026-${month}-16T12:00:00Z`);
    paid.push((await shop.newestOrder()).net_amount);
  }
  expect(paid).toEqual([2_450, 2_450, 4_900]);
});

test('a discount for other products is refused at checkout, and a change to one of them pays the full price', async () => {
  const { id: forPro } = await shop.polar.discounts.create({
    name: 'Pro only',
    type: 'percentage',
    basis_points: 5_000,
    duration: 'forever',
    products: [shop.pro.id],
  });
  await expect(shop.buy(shop.starter, { discount_id: forPro })).rejects.toMatchObject({
    statusCode: 422,
    error: { detail: [{ loc: ['body', 'discount_id'] }] },
  });
  const id = await discounted({ basis_points: 5_000, products: [shop.starter.id] });
  await shop.moveTo('2026-04-16T00:00:00Z');
  await shop.change(id, shop.pro, 'invoice');
  expect(await shop.newestOrder()).toMatchObject({ items: [{ amount: -475 }, { amount: 2_450 }] });
});

test('a subscription’s amount is the price minus its discount', async () => {
  const id = await discounted({ basis_points: 2_000, duration: 'once' });
  expect(await shop.polar.subscriptions.get(id)).toMatchObject({ amount: 1_520 });
  await shop.moveTo('2026-05-01T00:00:00Z');
  expect(await shop.polar.subscriptions.get(id)).toMatchObject({ amount: 1_900 });
});
