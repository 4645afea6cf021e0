import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import type pg from 'pg';
import { z } from 'zod';
import { createPolarClient } from '../../polar/client.ts';
import { teamWorkflowId } from '../../workflows/messages.ts';
import { reconcileEverythingScheduleId } from '../../workflows/schedules.ts';
import { PartFailed } from '../part.ts';
import { withClient } from '../postgres.ts';
import type { Observed } from './load.ts';
import type { Platform } from './platform.ts';

/**
 * Without progress for this long the run has failed. Reconciliation leaves a change to its webhooks for two minutes
 * before it repairs it.
 */
const patienceMs = 5 * 60_000;
const reconcileEveryMs = 60_000;
const sayEveryMs = 10_000;
const webhooks = z.array(z.object({ succeeded: z.boolean().nullable(), skipped: z.boolean() }));

/** Waits until no work is left: webhooks are delivered, the inbox is empty, every payment is granted. */
export async function settle(platform: Platform, say: (line: string) => void): Promise<void> {
  let [lowest, lowestAt, saidAt] = [Number.POSITIVE_INFINITY, performance.now(), 0];
  let reconcileAt = performance.now() + reconcileEveryMs;
  for (;;) {
    const left = await whatIsLeft(platform).catch((error: Error) => ({
      [error.message]: Number.POSITIVE_INFINITY,
    }));
    const total = Object.values(left).reduce((sum, count) => sum + count, 0);
    if (total === 0) return;
    const now = performance.now();
    const shown = Object.entries(left).map(([what, count]) => `${count} ${what}`);
    if (total < lowest) [lowest, lowestAt] = [total, now];
    if (now - lowestAt > patienceMs) throw new Error(`not settled: ${shown.join(', ')}`);
    if (now - saidAt > sayEveryMs) {
      say(`waiting for ${shown.join(', ')}`);
      saidAt = now;
    }
    if (now > reconcileAt) {
      reconcileAt = now + reconcileEveryMs;
      await reconcile(platform).catch((error: Error) => say(`reconciliation: ${error.message}`));
    }
    await sleep(1_000);
  }
}

/** The problems at the end, one line each; none if everything is right. */
export async function check(platform: Platform, observed: Observed): Promise<string[]> {
  const wrong = [...observed.wrong];
  await withClient(platform.databaseUrl, async (client) => {
    wrong.push(...(await checkRequests(client, observed)), ...(await checkTeams(client, observed)));
  });
  wrong.push(...(await checkPayments(platform, observed)), ...(await checkWorkflows(platform, observed)));
  try {
    await platform.run('ledger/verify/verify-command.ts');
  } catch (error) {
    if (!(error instanceof PartFailed)) throw error;
    wrong.push(`ledger:verify: ${error.message}`);
  }
  return wrong;
}

/** The amount of remaining work of each kind. */
async function whatIsLeft(platform: Platform): Promise<Record<string, number>> {
  const response = await fetch(`${platform.polar.server}/emulator/webhooks`);
  const undelivered = webhooks
    .parse(await response.json())
    .filter((one) => one.succeeded === null && !one.skipped);
  const { rows } = await withClient(platform.databaseUrl, (client) =>
    client.query<{ status: string; code: string | null; events: number }>(
      `select status, parked_code as code, count(*)::int as events from inbox
        where status in ('received', 'parked') group by 1, 2 order by 1, 2`,
    ),
  );
  const ungranted = await findUngranted(platform);
  const events = rows.map(({ status, code, events }) => [`events ${status} ${code ?? ''}`.trim(), events]);
  return {
    webhooks: undelivered.length,
    'paid orders': ungranted.length,
    ...Object.fromEntries(events),
  };
}

/**
 * An acknowledged request exists once, with the id from its answer. A refused one does not exist, and nothing else
 * exists.
 */
async function checkRequests(client: pg.Client, { requests }: Observed): Promise<string[]> {
  const { rows } = await client.query<{ key: string; id: string | null; usage: boolean }>(
    `select key, coalesce(usage_event_id::text, response->>'id', response->'hold'->>'id') as id,
            usage_event_id is not null as usage
       from idempotency_keys`,
  );
  const stored = new Map(rows.map((row) => [row.key, row]));
  const wrong: string[] = [];
  for (const [key, outcome] of requests) {
    const row = stored.get(key);
    if (outcome === 'unknown') continue;
    if (outcome === 'refused' && row) wrong.push(`the refused request ${key} exists: ${row.id}`);
    if (outcome !== 'refused' && row?.id !== outcome.done)
      wrong.push(`the request ${key} was answered with ${outcome.done}, and ${row?.id ?? 'nothing'} exists`);
  }
  const { rows: events } = await client.query<{ id: string }>('select id from usage_events');
  const keyed = new Set(rows.filter(({ usage }) => usage).map(({ id }) => id));
  const unknown = [...keyed].filter((id) => !events.some((event) => event.id === id));
  if (unknown.length > 0)
    wrong.push(`${unknown.length} keys name usage events that do not exist: ${unknown[0]}`);
  if (events.length !== keyed.size)
    wrong.push(`${events.length} usage events and ${keyed.size} keys of them`);
  const made = ['holds', 'adjustments'] as const;
  for (const table of made) {
    const { rows: extra } = await client.query<{ id: string }>(
      `select id from ${table} where id::text not in
         (select coalesce(response->>'id', response->'hold'->>'id', response->'body'->>'id', '') from idempotency_keys where response is not null)`,
    );
    if (extra.length > 0) wrong.push(`${extra.length} ${table} have no key, such as ${extra[0]?.id}`);
  }
  return wrong;
}

/** Every user who signed up has one team with one trial grant. */
async function checkTeams(client: pg.Client, { teams }: Observed): Promise<string[]> {
  const { rows } = await client.query<{ id: string; trials: number }>(
    `select t.id, (select count(*)::int from grants g where g.team_id = t.id and g.source = 'trial') as trials from teams t`,
  );
  const trials = new Map(rows.map((row) => [row.id, row.trials]));
  return [
    ...teams.filter((id) => !trials.has(id)).map((id) => `the team ${id} was signed up and does not exist`),
    ...rows
      .filter((row) => row.trials !== 1)
      .map((row) => `the team ${row.id} has ${row.trials} trial grants`),
  ];
}

/** Every payment that Polar confirmed is an order at Polar. Each paid pack is granted once, and nothing else is. */
async function checkPayments(platform: Platform, { paid }: Observed): Promise<string[]> {
  const orders = await listOrders(platform);
  const checkouts = new Set(orders.map(({ checkout_id }) => checkout_id));
  const lost = paid.filter((id) => !checkouts.has(id)).map((id) => `Polar has lost the paid checkout ${id}`);
  const ungranted = await findUngranted(platform);
  const { rows } = await withClient(platform.databaseUrl, (client) =>
    client.query<{ order: string; grants: number }>(
      `select order_id as order, count(*)::int as grants from grants where source = 'purchase' group by 1`,
    ),
  );
  const known = new Set<string | null>(orders.map(({ id }) => id));
  return [
    ...lost,
    ...ungranted.map((id) => `the order ${id} is paid and not granted`),
    ...rows
      .filter(({ order }) => !known.has(order))
      .map(({ order }) => `credits of an unknown order ${order}`),
    ...rows
      .filter(({ grants }) => grants > 1)
      .map(({ order, grants }) => `the order ${order} is granted ${grants} times`),
  ];
}

/** Paid orders of packs and cycles without a grant. A refunded order may have arrived too late to be granted. */
async function findUngranted(platform: Platform): Promise<string[]> {
  const { rows } = await withClient(platform.databaseUrl, (client) =>
    client.query<{ id: string }>('select distinct order_id as id from grants where order_id is not null'),
  );
  const granted = new Set(rows.map(({ id }) => id));
  const reasons: string[] = ['purchase', 'subscription_create', 'subscription_cycle'];
  return (await listOrders(platform))
    .filter((order) => order.paid && order.refunded_amount === 0 && order.net_amount > 0)
    .filter((order) => reasons.includes(order.billing_reason) && !granted.has(order.id))
    .map(({ id }) => id);
}

async function listOrders({ polar }: Platform) {
  return Array.fromAsync(createPolarClient(polar).orders.iterList({ limit: 100 }));
}

async function checkWorkflows(platform: Platform, { teams }: Observed): Promise<string[]> {
  return withTemporal(platform, async (client) => {
    const states = await Promise.all(
      teams.map(async (id) => {
        const { status } = await client.workflow.getHandle(teamWorkflowId(id)).describe();
        return { id, status: status.name };
      }),
    );
    return states
      .filter(({ status }) => status !== 'RUNNING')
      .map(({ id, status }) => `the workflow of team ${id} is ${status}`);
  });
}

async function reconcile(platform: Platform): Promise<void> {
  await withTemporal(platform, (client) =>
    client.schedule.getHandle(reconcileEverythingScheduleId).trigger(),
  );
}

async function withTemporal<T>(
  { temporalAddress }: Platform,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const connection = await Connection.connect({ address: temporalAddress });
  try {
    return await work(new Client({ connection }));
  } finally {
    await connection.close();
  }
}
