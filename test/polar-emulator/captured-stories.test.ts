import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { models } from '@polar-sh/sdk/2026-10';
import { differences, readCaptured, readStory, type Shape, shapeOf } from './captured-story.ts';
import { type EmulatedShop, openShop } from './emulated-shop.ts';
import { knownDifferences, knownElsewhere } from './known-differences.ts';

/** Every story captured from Polar's own server is replayed on the emulator, and compared. */

const START = '2026-11-25T04:00:00Z';
const EVENTS: models.WebhookEventType[] = [
  ...(['checkout.created', 'checkout.updated', 'checkout.expired'] as const),
  ...(['customer.created', 'customer.updated', 'customer.deleted'] as const),
  ...(['member.created', 'member.updated', 'member.deleted'] as const),
  ...(['order.created', 'order.updated', 'order.paid', 'order.refunded'] as const),
  ...(['subscription.created', 'subscription.updated', 'subscription.active'] as const),
  ...(['subscription.canceled', 'subscription.uncanceled', 'subscription.cycled'] as const),
  ...(['subscription.revoked', 'subscription.past_due', 'subscription.paused'] as const),
  ...(['subscription.resumed', 'refund.created', 'refund.updated'] as const),
];
const ADA = { email: 'ada@example.com', name: 'Ada Lovelace', external_id: 'ada' };
const GERMANY = { country: 'DE', line1: 'Hauptstr. 1', postal_code: '10115', city: 'Berlin' };

interface Scene {
  shop: EmulatedShop;
  team: models.Customer;
  product(name: string, cents: number, interval?: 'month' | 'year', trialDays?: number): Promise<string>;
  checkout(productId: string, more?: object): Promise<string>;
  pay(checkoutId: string, more?: object): Promise<unknown>;
  subscribe(productId: string, more?: object): Promise<string>;
  order(): Promise<string>;
  change(id: string, update: models.SubscriptionUpdate): Promise<models.Subscription>;
  moveEnd(id: string): Promise<void>;
  endPeriod(): Promise<unknown>;
  /** Events from here on belong to the story. */
  begin(): Promise<void>;
}
const END = '2026-11-25T04:00:40Z';

const stories: Record<string, (scene: Scene) => Promise<unknown>> = {
  'plan-checkout': async (s) => {
    await s.pay(await s.checkout(await s.product('1,000 credits', 1_200)));
    const starter = await s.product('Starter', 1_900, 'month');
    await s.begin();
    await s.pay(await s.checkout(starter));
  },
  'pack-checkout': async (s) => {
    const pack = await s.product('1,000 credits', 1_200);
    await s.begin();
    const { id } = await newTeam(s.shop, 'team-2', 'bob@example.com');
    await s.pay(await s.checkout(pack, { customer_id: id }));
  },
  'upgrade-invoice': async (s) => {
    const pro = await s.product('Pro', 4_900, 'month');
    const id = await s.subscribe(await s.product('Starter', 1_900, 'month'));
    await s.begin();
    await s.change(id, { product_id: pro, proration_behavior: 'invoice' });
  },
  'downgrade-next-period-and-back': async (s) => {
    const { id, starter } = await upgraded(s);
    await s.begin();
    await s.change(id, { product_id: starter, proration_behavior: 'next_period' });
    await s.change(id, { pending_update: null });
  },
  'cancel-with-pending-then-resume': async (s) => {
    const { id, starter } = await upgraded(s);
    await s.change(id, { product_id: starter, proration_behavior: 'next_period' });
    await s.begin();
    await s.change(id, { cancel_at_period_end: true });
    await s.change(id, { pending_update: null });
    await s.change(id, { cancel_at_period_end: false });
  },
  'renewal-paid': async (s) => {
    const { id } = await upgraded(s);
    await s.begin();
    await s.moveEnd(id);
    await s.endPeriod();
  },
  'renewal-declined': async (s) => {
    const id = await s.subscribe(await s.product('Starter', 1_900, 'month'));
    await s.shop.control(`/customers/${s.team.id}/card`, { declines: true });
    await s.begin();
    await s.moveEnd(id);
    await s.endPeriod();
  },
  'refund-partial-then-full': async (s) => {
    await s.pay(await s.checkout(await s.product('1,000 credits', 1_200)));
    const order = await s.order();
    await s.begin();
    await refund(s.shop, order, 300);
    await refund(s.shop, order, 900);
  },
  'tax-inclusive-order-and-refunds': async (s) => {
    await s.shop.settings({ tax_basis_points: 1_900, tax_inclusive: true });
    const pack = await s.product('5,000 credits', 5_500);
    await s.begin();
    const { id } = await newTeam(s.shop, 'team-2', 'carl@example.com');
    await s.pay(await s.checkout(pack, { customer_id: id }), { billing_address: GERMANY });
    const order = await s.order();
    await refund(s.shop, order, 1_000);
    await refund(s.shop, order, 3_622);
  },
  'prorated-downgrade-negative-renewal': async (s) => {
    const starter = await s.product('Starter', 1_900, 'month');
    const id = await s.subscribe(await s.product('Pro', 4_900, 'month'));
    await s.begin();
    await s.shop.control(`/subscriptions/${id}/change-plan`, { product_id: starter });
    await s.moveEnd(id);
    await s.endPeriod();
  },
  'interval-change-invoice': async (s) => {
    const yearly = await s.product('Pro, yearly', 49_000, 'year');
    const id = await s.subscribe(await s.product('Starter', 1_900, 'month'));
    await s.begin();
    await s.change(id, { product_id: yearly, proration_behavior: 'invoice' });
  },
  'interval-change-next-period': async (s) => {
    const starter = await s.product('Starter', 1_900, 'month');
    const id = await s.subscribe(await s.product('Pro, yearly', 49_000, 'year'));
    await s.begin();
    await s.moveEnd(id);
    await s.change(id, { product_id: starter, proration_behavior: 'next_period' });
    await s.endPeriod();
  },
  'cancel-then-period-ends': async (s) => {
    const id = await s.subscribe(await s.product('Starter', 1_900, 'month'));
    await s.begin();
    await s.moveEnd(id);
    await s.change(id, { cancel_at_period_end: true });
    await s.endPeriod();
  },
  'free-plan-by-discount': async (s) => {
    const { id } = await s.shop.polar.discounts.create({
      ...{ name: 'Free', code: 'FREE100', type: 'percentage', basis_points: 10_000, duration: 'once' },
    });
    const checkout = await s.checkout(await s.product('Starter', 1_900, 'month'), { discount_id: id });
    await s.begin();
    await s.pay(checkout, { name: 'Rita', billing_address: { country: 'FR' } });
  },
  'trial-start-and-conversion': async (s) => {
    const checkout = await s.checkout(await s.product('Pro', 4_900, 'month', 7));
    await s.begin();
    await s.pay(checkout);
    const { items } = await s.shop.polar.subscriptions.list();
    await s.change(items[0]?.id ?? '', { trial_end: 'now' });
  },
  'pause-and-resume': async (s) => {
    const pro = await s.product('Pro', 4_900, 'month');
    const id = await s.subscribe(await s.product('Starter', 1_900, 'month'));
    await s.begin();
    await s.moveEnd(id);
    await s.change(id, { pause_at_period_end: true });
    await s.endPeriod();
    await s.checkout(pro);
    await s.change(id, { resume: true });
  },
  revoke: async (s) => {
    const id = await s.subscribe(await s.product('Starter', 1_900, 'month'));
    await s.begin();
    await s.shop.polar.subscriptions.revoke(id);
  },
  'customer-deleted-with-subscription': async (s) => {
    await s.subscribe(await s.product('Starter', 1_900, 'month'));
    await s.begin();
    await s.shop.polar.customers.delete(s.team.id);
  },
  members: async ({ shop, team, begin }) => {
    const { members } = shop.polar.customers;
    await begin();
    const made = [];
    for (const name of ['Dave', 'Erin', 'Frank']) {
      const external_id = name.toLowerCase();
      const email = `${external_id}@example.com`;
      made.push(await members.create(team.id, { email, name, external_id, role: 'billing_manager' }));
    }
    await members.update(team.id, made[2]?.id ?? '', { role: 'owner' });
    const ada = (await members.list(team.id)).items.find(({ external_id }) => external_id === 'ada');
    await members.delete(team.id, ada?.id ?? '');
    await members.delete(team.id, made[1]?.id ?? '');
  },
};

const told: Record<string, [type: string, data: Shape][]> = {};
const found = new Set<string>();
const differing: Record<string, string[]> = {};
let answers: { organization: Shape; disputes: Shape[] };
const shops: EmulatedShop[] = [];

beforeAll(async () => {
  for (const [name, play] of Object.entries(stories)) {
    const scene = await openScene();
    await play(scene);
    await scene.shop.emulator.idle();
    told[name] = scene.shop.receiver.received
      .slice(scene.from())
      .map(({ event }): [string, Shape] => [event.type, shapeOf(event.data)]);
    await scene.shop.stop();
  }
  answers = await readAnswers();
});
afterAll(async () => {
  for (const shop of shops) await shop.stop().catch(() => {});
});

test.each(Object.keys(stories))('%s: the same events in the same order', (name) => {
  const captured = readStory(name).events.map(([type]) => type);
  const { captured: elsewhere = [], emulator: own = [] } = knownElsewhere[name] ?? {};
  expect(without(told[name]?.map(([type]) => type) ?? [], own)).toEqual(without(captured, elsewhere));
});

test.each(Object.keys(stories))(
  '%s: the same fields, null where they were null, with the same words',
  (name) => {
    const { captured: elsewhere = [], emulator: own = [] } = knownElsewhere[name] ?? {};
    const captured = withoutEvents(readStory(name).events, elsewhere);
    const here = withoutEvents(told[name] ?? [], own);
    differing[name] = captured.flatMap(([type, shape], index) =>
      differences(shape, here[index]?.[1] ?? null, type.split('.')[0] ?? '').map((each) => each),
    );
    expect(unknown(differing[name])).toEqual([]);
  },
);

test('the organization and the disputes have the same fields', () => {
  const organization = readCaptured('organization') as { answers: Shape[] };
  const disputes = readCaptured('disputes-open-then-won') as { answers: Shape[] };
  differing.answers = [
    ...differences(itemOf(organization.answers[0]), answers.organization, 'organization'),
    ...disputes.answers.flatMap((each, index) =>
      differences(itemOf(each), answers.disputes[index] ?? null, 'dispute'),
    ),
  ];
  expect(unknown(differing.answers)).toEqual([]);
});

test('every listed difference still exists', () => {
  for (const each of Object.values(differing).flat()) found.add(each);
  expect(Object.keys(knownDifferences).filter((each) => !found.has(each))).toEqual([]);
});

const unknown = (all: string[]) => [...new Set(all)].filter((each) => !(each in knownDifferences));
const itemOf = (list: Shape | undefined): Shape => {
  const items = list && typeof list === 'object' && 'items' in list ? list.items : null;
  return Array.isArray(items) ? (items[0] ?? null) : null;
};

/** `all` without the first of each of `types`. All of them must be present. */
function without(all: string[], types: string[]): string[] {
  return withoutEvents(
    all.map((type): [string, Shape] => [type, null]),
    types,
  ).map(([type]) => type);
}

function withoutEvents(all: [string, Shape][], types: string[]): [string, Shape][] {
  const rest = [...all];
  for (const type of types) {
    const index = rest.findIndex((event) => event[0] === type);
    if (index < 0) throw new Error(`${type} is listed as told elsewhere and is not there`);
    rest.splice(index, 1);
  }
  return rest;
}

async function openScene(): Promise<Scene & { from(): number }> {
  const shop = await openShop(START, { events: EVENTS });
  shops.push(shop);
  const { polar } = shop;
  await polar.customers.delete(shop.team.id);
  const team = await newTeam(shop, 'team-1', 'ada@example.com');
  let from = 0;
  const scene: Scene = {
    shop,
    team,
    async product(name, cents, interval, trialDays) {
      const { id } = await polar.products.create({
        name,
        description: `What ${name} is.`,
        metadata: { catalog_key: 'a_key' },
        prices: [{ amount_type: 'fixed', price_amount: cents }],
        ...(interval === undefined ? {} : { recurring_interval: interval }),
        ...(trialDays === undefined ? {} : { trial_interval: 'day', trial_interval_count: trialDays }),
      } as models.ProductCreate);
      return id;
    },
    async checkout(productId, more = {}) {
      const { id } = await polar.checkouts.create({
        products: [productId],
        customer_id: team.id,
        metadata: { team_id: 'team-1' },
        success_url: 'https://shop.example.com/?checkout={CHECKOUT_ID}',
        return_url: 'https://shop.example.com/',
        ...more,
      });
      return id;
    },
    pay: (checkoutId, more = {}) => shop.control(`/checkouts/${checkoutId}/pay`, more),
    async subscribe(productId, more) {
      await scene.pay(await scene.checkout(productId, more));
      const { items } = await polar.subscriptions.list();
      return items[0]?.id ?? '';
    },
    order: async () => (await polar.orders.list({ limit: 1 })).items[0]?.id ?? '',
    change: (id, update) => polar.subscriptions.update(id, update),
    async moveEnd(id) {
      await polar.subscriptions.update(id, { current_billing_period_end: END });
    },
    endPeriod: () => shop.moveTo(END),
    async begin() {
      await shop.emulator.idle();
      from = shop.receiver.received.length;
    },
  };
  return { ...scene, from: () => from };
}

function newTeam(shop: EmulatedShop, external_id: string, email: string) {
  const owner = email === ADA.email ? ADA : { email, name: 'An Owner', external_id: email };
  return shop.polar.customers.create({ type: 'team', external_id, name: 'Personal Team', owner });
}

async function upgraded(scene: Scene): Promise<{ id: string; starter: string }> {
  const starter = await scene.product('Starter', 1_900, 'month');
  const pro = await scene.product('Pro', 4_900, 'month');
  const id = await scene.subscribe(starter);
  await scene.change(id, { product_id: pro, proration_behavior: 'invoice' });
  return { id, starter };
}

function refund(shop: EmulatedShop, order_id: string, amount: number) {
  return shop.polar.refunds.create({ order_id, reason: 'customer_request', amount });
}

async function readAnswers(): Promise<typeof answers> {
  const scene = await openScene();
  const { polar } = scene.shop;
  await scene.pay(await scene.checkout(await scene.product('1,000 credits', 1_200)));
  await scene.shop.control(`/orders/${await scene.order()}/dispute`);
  const [open] = (await polar.disputes.list()).items;
  await scene.shop.control(`/disputes/${open?.id}/win`);
  const [won] = (await polar.disputes.list()).items;
  const [organization] = (await polar.organizations.list()).items;
  await scene.shop.stop();
  return { organization: shapeOf(organization), disputes: [shapeOf(open), shapeOf(won)] };
}
