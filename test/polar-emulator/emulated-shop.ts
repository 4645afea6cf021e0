import { createPolar, type models, type Polar } from '@polar-sh/sdk/2026-10';
import { type PolarEmulator, startPolarEmulator } from '../../polar-emulator/polar-emulator.ts';
import { control } from '../setup/control.ts';
import { startWebhookReceiver, type WebhookReceiver } from './webhook-receiver.ts';

const WEBHOOKS: models.WebhookEventType[] = [
  'checkout.updated',
  'order.created',
  'order.updated',
  'order.paid',
  'order.refunded',
  'subscription.created',
  'subscription.updated',
  'subscription.active',
  'subscription.canceled',
  'subscription.uncanceled',
  'subscription.cycled',
  'subscription.revoked',
  'subscription.past_due',
  'subscription.paused',
  'subscription.resumed',
  'refund.created',
  'refund.updated',
];

export interface EmulatedShop {
  emulator: PolarEmulator;
  polar: Polar;
  receiver: WebhookReceiver;
  endpoint: models.WebhookEndpoint;
  team: models.Customer;
  starter: models.Product;
  pro: models.Product;
  proYearly: models.Product;
  pack: models.Product;
  /** Moves the emulator's clock and does everything that became due. */
  moveTo(time: string): Promise<number>;
  /** Posts to the control API and returns its answer. */
  control(path: string, body?: object): Promise<unknown>;
  /** Changes the emulator's settings. */
  settings(changes: object): Promise<unknown>;
  buy(product: models.Product, more?: Partial<models.CheckoutCreate>): Promise<models.Checkout>;
  /** Buys a plan. Returns the id of the subscription. */
  subscribe(plan: models.Product): Promise<string>;
  change(
    subscriptionId: string,
    plan: models.Product,
    proration_behavior: models.SubscriptionProrationBehavior,
  ): Promise<models.Subscription>;
  /** The team's only subscription. */
  subscription(): Promise<models.Subscription>;
  newestOrder(): Promise<models.Order>;
  /** The types of the webhooks that `work` causes, in the order of arrival. */
  typesDuring(work: () => Promise<unknown>): Promise<string[]>;
  stop(): Promise<void>;
}

/** Types of webhooks as the README lists them: `order.created, updated, paid`. */
export function typesOf(list: string): string[] {
  let object = '';
  return list.split(', ').map((name) => {
    const [first = '', second] = name.split('.');
    if (second !== undefined) object = first;
    return `${object}.${second ?? first}`;
  });
}

/** A shop with two plans, a yearly plan and a pack, one team as its customer, and a receiver of webhooks. */
export async function openShop(
  now: string,
  options: { retryScale?: number; dataDir?: string; events?: models.WebhookEventType[] } = {},
): Promise<EmulatedShop> {
  let time = new Date(now);
  const emulator = await startPolarEmulator({
    accessToken: 'polar_oat_test',
    clock: () => time,
    retryScale: 0.001,
    loopbackWebhooks: true,
    ...options,
  });
  const polar = createPolar({ accessToken: 'polar_oat_test', baseUrl: emulator.url });
  const receiver = await startWebhookReceiver();
  const endpoint = await polar.webhooks.createWebhookEndpoint({
    url: receiver.url,
    format: 'raw',
    events: options.events ?? WEBHOOKS,
  });
  receiver.secret = endpoint.secret;

  const plan = (
    name: string,
    catalog_key: string,
    recurring_interval: models.RecurringInterval,
    cents: number,
  ) =>
    polar.products.create({
      name,
      recurring_interval,
      metadata: { catalog_key },
      prices: [{ amount_type: 'fixed', price_amount: cents }],
    });
  const starter = await plan('Starter', 'starter_monthly', 'month', 1_900);
  const pro = await plan('Pro', 'pro_monthly', 'month', 4_900);
  const proYearly = await plan('Pro yearly', 'pro_yearly', 'year', 49_000);
  const pack = await polar.products.create({
    name: '1,000 credits',
    metadata: { catalog_key: 'pack_1000' },
    prices: [{ amount_type: 'fixed', price_amount: 1_000 }],
  });
  const team = await polar.customers.create({
    type: 'team',
    external_id: 'team-1',
    name: 'Ada’s team',
    owner: { email: 'ada@example.com', external_id: 'ada' },
  });

  const shop: EmulatedShop = {
    emulator,
    polar,
    receiver,
    endpoint,
    team,
    starter,
    pro,
    proYearly,
    pack,
    control: (path, body) => control(emulator.url, path, body),
    async moveTo(to) {
      time = new Date(to);
      const done = await emulator.renewDue();
      await emulator.idle();
      return done;
    },
    settings: (changes) => control(emulator.url, '/settings', changes),
    async buy(product, more = {}) {
      const checkout = await polar.checkouts.create({
        products: [product.id],
        customer_id: team.id,
        metadata: { team_id: 'team-1' },
        success_url: 'http://localhost:3000/billing?checkout={CHECKOUT_ID}',
        ...more,
      });
      await control(emulator.url, `/checkouts/${checkout.id}/pay`);
      await emulator.idle();
      return polar.checkouts.get(checkout.id);
    },
    async subscribe(product) {
      await shop.buy(product);
      return (await shop.subscription()).id;
    },
    change: (id, { id: product_id }, proration_behavior) =>
      polar.subscriptions.update(id, { product_id, proration_behavior }),
    async subscription() {
      const { items } = await polar.subscriptions.list({ external_customer_id: 'team-1' });
      const [subscription, ...more] = items;
      if (!subscription || more.length > 0) throw new Error(`the team has ${items.length} subscriptions`);
      return subscription;
    },
    async newestOrder() {
      const [order] = (await polar.orders.list({ limit: 1 })).items;
      if (!order) throw new Error('there is no order');
      return order;
    },
    async typesDuring(work) {
      await emulator.idle();
      const from = receiver.received.length;
      await work();
      await emulator.idle();
      return receiver.types().slice(from);
    },
    async stop() {
      await emulator.stop();
      await receiver.stop();
    },
  };
  return shop;
}
