import { createServer, type Server } from 'node:http';
import { createPolar, type Polar } from '@polar-sh/sdk/2026-10';
import { z } from 'zod';
import type { Database } from '../../database/connection.ts';
import { ensureCustomer } from '../../polar/ensure-customer.ts';
import { readTeamRef, usedEvents } from '../../polar/events.ts';
import { syncProducts } from '../../polar/sync-products.ts';
import { type VerifiedWebhook, verifyWebhook } from '../../polar/verify-webhook.ts';
import { type PolarEmulator, startPolarEmulator } from '../../polar-emulator/polar-emulator.ts';
import { control } from '../setup/control.ts';
import { listen, stopServer } from '../setup/listen.ts';
import type { Deed } from './stories.ts';

const accessToken = 'polar_oat_convergence';

/** The Polar emulator of one run, and what it knows about the run's teams. */
export interface EmulatedPolar {
  polar: Polar;
  /** Creates a customer at Polar for one of our teams. */
  admit(teamId: string): Promise<PolarTeam>;
  /** Does the same for each team. Returns false if Polar refuses it, which it then does for all of them. */
  perform(deed: Deed, teams: readonly PolarTeam[]): Promise<boolean>;
  /** When Polar acts next: renews, ends, or retries a payment. */
  nextDue(): Promise<Date | null>;
  /** Does everything that is due by the clock. */
  renewDue(): Promise<void>;
  /** Resolves when every webhook so far is in its team's `sent`. */
  idle(): Promise<void>;
  stop(): Promise<void>;
}

/** A team as Polar knows it. Ids are in the order of their creation at Polar. */
export interface PolarTeam {
  teamId: string;
  customerId: string;
  orders: PaidOrder[];
  subscriptions: string[];
  refunds: string[];
  disputes: string[];
  /** Webhooks that Polar has sent and that are not delivered yet. */
  sent: VerifiedWebhook[];
}

interface PaidOrder {
  id: string;
  /** Cents. */
  paid: number;
}

/** Lanes share a database, in which only one product sync may run, so they wait for each other here. */
let lastSync: Promise<unknown> = Promise.resolve();
function syncAlone(sync: () => Promise<unknown>): Promise<unknown> {
  lastSync = lastSync.then(sync);
  return lastSync;
}

/**
 * @param clock  the emulator's time
 * @param twins  whether Polar also sends the webhooks that only repeat `subscription.updated`
 */
export async function openPolar(
  database: Database,
  clock: () => Date,
  { twins }: { twins: boolean },
): Promise<EmulatedPolar> {
  const emulator = await startPolarEmulator({
    accessToken,
    loopbackWebhooks: true,
    clock,
    retryScale: 0.001,
  });
  await control(emulator.url, '/settings', { reset_proration_behavior_enabled: true });
  const polar = createPolar({ accessToken, baseUrl: emulator.url });
  await syncAlone(() => syncProducts(polar, database, { apply: true }));
  const products = await productsByKey(polar);
  const { id: gift } = await polar.discounts.create({
    ...{ name: 'A gift', type: 'percentage', basis_points: 10_000, duration: 'once' },
  });
  const teams = new Map<string, PolarTeam>(); // by our id and by Polar's
  const doorway = await openDoorway((webhook) => {
    const ref = readTeamRef(webhook.type, webhook.payload.data);
    const team = teams.get(ref.metadataTeamId ?? ref.customerExternalId ?? ref.customerId ?? '');
    if (!team) throw new Error(`a webhook ${webhook.type} of nobody`);
    remember(team, webhook);
    team.sent.push(webhook);
  });
  const { order, refund, subscription } = usedEvents;
  const told = subscription.filter((type) => twins || plainly.includes(type));
  const { secret } = await polar.webhooks.createWebhookEndpoint({
    url: doorway.url,
    format: 'raw',
    events: [...order, ...refund, ...told],
  });
  doorway.secret = secret;

  const post = async (path: string, body: object = {}) => {
    const response = await fetch(`${emulator.url}/emulator${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (response.ok) return identified.parse(await response.json()).id;
    if (response.status < 500) return null;
    throw new Error(`${path}: ${response.status} ${await response.text()}`);
  };
  const productOf = (key: string) => products.get(key) ?? key;
  const checkOut = async ({ teamId, customerId }: PolarTeam, product: string, more: object) => {
    const { id } = await polar.checkouts.create({
      products: [productOf(product)],
      customer_id: customerId,
      metadata: { team_id: teamId },
      ...more,
    });
    return post(`/checkouts/${id}/pay`);
  };

  /** The id of the created or changed object; null if Polar refuses. */
  const performFor = async (deed: Deed, team: PolarTeam): Promise<string | null> => {
    const current = team.subscriptions.at(-1);
    switch (deed.kind) {
      case 'buy':
        return checkOut(team, deed.pack, { units: deed.units });
      case 'subscribe': {
        const { trialDays, free } = deed;
        return checkOut(team, deed.plan, {
          ...(trialDays > 0 ? { trial_interval: 'day', trial_interval_count: trialDays } : {}),
          ...(free ? { discount_id: gift } : {}),
        });
      }
      case 'refund': {
        const order = nth(team.orders, deed.order);
        return order && post(`/orders/${order.id}/refund`, { amount: part(order, deed.share) });
      }
      case 'dispute': {
        const order = nth(team.orders, deed.order);
        const { status } = deed;
        const dispute =
          order && (await post(`/orders/${order.id}/dispute`, { amount: part(order, deed.share), status }));
        if (dispute) team.disputes.push(dispute);
        return dispute;
      }
      case 'reverse': {
        const refund = nth(team.refunds, deed.refund);
        return refund && post(`/refunds/${refund}/reverse`);
      }
      case 'win':
      case 'lose': {
        const dispute = nth(team.disputes, deed.dispute);
        return dispute && post(`/disputes/${dispute}/${deed.kind}`);
      }
      case 'reconcile':
      case 'spend':
        throw new Error(`${deed.kind} is nothing that happens at Polar`);
      default: {
        if (!current) return null;
        const body =
          deed.kind === 'change-plan'
            ? { product_id: productOf(deed.plan), proration_behavior: deed.proration }
            : deed.kind === 'fail-next-payment'
              ? { times: deed.times }
              : {};
        return post(`/subscriptions/${current}/${deed.kind}`, body);
      }
    }
  };

  return {
    polar,
    async admit(teamId) {
      const customerId = await ensureCustomer(polar, database, teamId);
      const team = { teamId, customerId, orders: [], subscriptions: [], refunds: [], disputes: [], sent: [] };
      teams.set(teamId, team).set(customerId, team);
      return team;
    },
    async perform(deed, all) {
      const done: boolean[] = [];
      for (const team of all) done.push((await performFor(deed, team)) !== null);
      if (new Set(done).size > 1) throw new Error(`Polar refuses ${deed.kind} to some teams only`);
      return done[0] ?? false;
    },
    async nextDue() {
      const [running, pending] = await Promise.all([
        polar.subscriptions.list({ active: true, limit: 100 }),
        polar.orders.list({ status: ['pending'], limit: 100 }),
      ]);
      const due = [
        ...running.items.map(({ current_period_end }) => current_period_end),
        ...pending.items.flatMap(({ next_payment_attempt_at }) => next_payment_attempt_at ?? []),
      ].map((at) => Date.parse(at));
      return due.length > 0 ? new Date(Math.min(...due)) : null;
    },
    renewDue: async () => void (await emulator.renewDue()),
    idle: () => settled(emulator, doorway),
    async stop() {
      await emulator.stop();
      await doorway.close();
    },
  };
}

/** The types that report each state of a subscription once. */
const plainly: readonly string[] = ['subscription.created', 'subscription.updated', 'subscription.revoked'];

const identified = z.object({ id: z.string() });

async function productsByKey(polar: Polar): Promise<Map<string, string>> {
  const { items } = await polar.products.list({ limit: 100 });
  return new Map(items.map(({ id, metadata }) => [String(metadata.catalog_key), id]));
}

/** Counted from the newest. */
function nth<T>(all: readonly T[], index: number): T | null {
  return all.at(-1 - (index % Math.max(all.length, 1))) ?? null;
}

function part({ paid }: PaidOrder, share: number): number {
  return Math.max(1, Math.floor(paid * share));
}

const toldSchema = z.object({
  id: z.string(),
  net_amount: z.int().optional(),
  applied_balance_amount: z.int().optional(),
});

/** The objects that later actions refer to. */
function remember(team: PolarTeam, { type, payload }: VerifiedWebhook): void {
  const { id, net_amount = 0, applied_balance_amount = 0 } = toldSchema.parse(payload.data);
  if (type === 'order.paid') team.orders.push({ id, paid: net_amount + applied_balance_amount });
  if (type === 'subscription.created') team.subscriptions.push(id);
  if (type === 'refund.created') team.refunds.push(id);
}

/** Receives webhooks instead of our API. Each team gets its webhooks at their scheduled time. */
interface Doorway {
  url: string;
  secret: string;
  failure: unknown;
  close(): Promise<void>;
}

async function openDoorway(take: (webhook: VerifiedWebhook) => void): Promise<Doorway> {
  const server: Server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    try {
      take(await verifyWebhook(Buffer.concat(chunks), request.headers, [doorway.secret]));
      response.writeHead(202).end();
    } catch (error) {
      doorway.failure = error;
      response.writeHead(500).end();
    }
  });
  const doorway: Doorway = {
    url: await listen(server),
    secret: '',
    failure: null,
    async close() {
      await stopServer(server);
    },
  };
  return doorway;
}

async function settled(emulator: PolarEmulator, doorway: Doorway): Promise<void> {
  await emulator.idle();
  if (doorway.failure) throw doorway.failure;
}
