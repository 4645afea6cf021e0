import { createHmac, randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import pg from 'pg';
import { z } from 'zod';
import { alternate, interleave, type Run, timed, toRun } from '../interleave.ts';
import type { Finding, Measure } from '../measure.ts';
import type { Program } from '../process.ts';
import { type Stack, webhookSecret } from '../stack.ts';

/** Operations that pass through a team's workflow, with API and worker as separate processes, as in production. */
export const throughTemporalMeasures: Measure[] = [
  { name: 'sign-up', run: (stack) => withProcesses(stack, signUp) },
  { name: 'webhook', run: (stack) => withProcesses(stack, webhook) },
  { name: 'burst', run: (stack) => withProcesses(stack, burst) },
];

/**
 * The pause between two operations, in milliseconds, so that work left over from one does not slow the next one down.
 */
const pauseMs = 50;
/** Sign-ups of a burst, and requests or starts of them that are in flight at once. */
const burstSize = { full: 1_500, quick: 20, inFlight: 64 };
/** Teams and bare workflows that get the webhooks and signals in turn. */
const receivers = 10;

interface Processes {
  stack: Stack;
  api: { url: string; serviceKey: string };
  client: Client;
  bareWorker: Program;
  grants: GrantWatch;
}

async function signUp({ stack, api, client, grants }: Processes): Promise<Finding[]> {
  const answers: number[] = [];
  const ours = async (): Promise<number> => {
    await setTimeout(pauseMs);
    const sent = performance.now();
    const { teamId } = await signUpUser(api);
    answers.push(performance.now() - sent);
    return (await grants.seen(`trial:${teamId}`)) - sent;
  };
  const baseline = async () => {
    await setTimeout(pauseMs);
    const workflowId = `bare/${randomUUID()}`;
    return timed(() => client.workflow.execute('bareActivity', { workflowId, taskQueue: 'bare' }));
  };
  const compares =
    'POST /v1/users sent → trial in the ledger; a bare workflow of one activity, started → its result';
  const runs = await runInTurns(stack, compares, { ours, baseline });
  const answered = answers.toSorted((a, b) => a - b)[Math.floor(answers.length / 2)] ?? 0;
  const notes = [`our 201 is there after ${answered.toFixed(1)} ms (p50)`];
  return [{ name: 'sign-up', compares, unit: 'ms', ...runs, goal: { atMost: 0.9 }, notes }];
}

async function webhook({ stack, api, client, bareWorker, grants }: Processes): Promise<Finding[]> {
  const buyers: Buyer[] = [];
  const handles: { signal(name: string, number: number): Promise<void>; terminate(): Promise<unknown> }[] =
    [];
  for (let each = 0; each < receivers; each += 1) {
    const { teamId } = await signUpUser(api);
    await grants.seen(`trial:${teamId}`);
    const customerId = randomUUID();
    await grants.linkCustomer(teamId, customerId);
    buyers.push({ teamId, customerId });
    const workflowId = `bare/${randomUUID()}`;
    handles.push(await client.workflow.start('bareSignals', { workflowId, taskQueue: 'bare' }));
  }
  const sightings = keepArrivals<number>();
  bareWorker.onMessage((message) => sightings.arrived(z.object({ saw: z.int() }).parse(message).saw));

  let paid = 0;
  const ours = async (): Promise<number> => {
    await setTimeout(pauseMs);
    const buyer = buyers[paid++ % receivers];
    if (!buyer) throw new Error('there is nobody to buy');
    const order = makeOrder(buyer);
    const body = JSON.stringify({ type: 'order.paid', timestamp: order.created_at, data: order });
    const headers = { 'content-type': 'application/json', ...sign(body) };
    const sent = performance.now();
    const response = await fetch(`${api.url}/v1/webhooks/polar`, { method: 'POST', headers, body });
    if (response.status !== 202) throw new Error(`the webhook was answered ${response.status}`);
    return (await grants.seen(`order:${order.id}`)) - sent;
  };
  let signalled = 0;
  const baseline = async (): Promise<number> => {
    await setTimeout(pauseMs);
    const number = signalled++;
    const sent = performance.now();
    await handles[number % receivers]?.signal('bareSignal', number);
    return (await sightings.of(number)) - sent;
  };
  const compares =
    'order.paid of a pack sent → credits in the ledger; a signal sent → its one activity in a bare workflow';
  const runs = await runInTurns(stack, compares, { ours, baseline });
  for (const handle of handles) await handle.terminate();
  const notes = ['order.paid contains everything: nothing is fetched from Polar'];
  return [{ name: 'webhook', compares, unit: 'ms', ...runs, goal: { atMost: 1.5 }, notes }];
}

/** As many sign-ups as fast as the API answers them, until the last trial is in the ledger. */
async function burst({ stack, api, client, grants }: Processes): Promise<Finding[]> {
  const size = stack.quick ? burstSize.quick : burstSize.full;
  const ours = () =>
    all(size, async () => {
      const { teamId } = await signUpUser(api);
      return () => grants.seen(`trial:${teamId}`);
    });
  const baseline = () =>
    all(size, async () => {
      const workflowId = `bare/${randomUUID()}`;
      const handle = await client.workflow.start('bareActivity', { workflowId, taskQueue: 'bare' });
      return () => handle.result().then(() => performance.now());
    });
  const amount = size.toLocaleString('en');
  const compares = `${amount} sign-ups at once, sent → all trials in the ledger; ${amount} bare workflows of one activity, started → all results`;
  return stack.progress.step(compares, async () => {
    const runs = await interleave(stack.quick ? 1 : 3, { ours, baseline });
    return [{ name: 'burst', compares, unit: '/s', ...runs, goal: { atLeast: 0.9 } }];
  });
}

/** Starts `size` operations, 64 at a time, and waits for the ends of all. `start` returns how to wait for its end. */
async function all(size: number, start: () => Promise<() => Promise<number>>): Promise<Run> {
  const started = performance.now();
  const latencies: number[] = [];
  const ends: Promise<void>[] = [];
  let left = size;
  const starter = async () => {
    while (left > 0) {
      left -= 1;
      const sent = performance.now();
      const end = await start();
      const ended = end().then((at) => void latencies.push(at - sent));
      ended.catch(() => {}); // the failure is reported below
      ends.push(ended);
    }
  };
  await Promise.all(Array.from({ length: burstSize.inFlight }, starter));
  await Promise.all(ends);
  return toRun(latencies, performance.now() - started);
}

function runInTurns(
  { quick, progress }: Stack,
  what: string,
  operations: Parameters<typeof alternate>[1],
): ReturnType<typeof alternate> {
  return progress.step(what, async () => {
    await alternate(quick ? 2 : 20, operations);
    return alternate(quick ? 5 : 300, operations);
  });
}

async function withProcesses(
  stack: Stack,
  measure: (processes: Processes) => Promise<Finding[]>,
): Promise<Finding[]> {
  const url = await stack.createDatabase();
  const address = await stack.temporal();
  const [api, worker, bareWorker] = await stack.progress.step('API, worker and the baseline’s worker', () =>
    Promise.all([
      stack.startApi(url),
      stack.startWorker(url),
      stack.start('bench/programs/bare-worker.ts', { TEMPORAL_ADDRESS: address }),
    ]),
  );
  const connection = await Connection.connect({ address });
  const grants = await watchGrants(url);
  try {
    return await measure({ stack, api, client: new Client({ connection }), bareWorker, grants });
  } finally {
    await grants.close();
    await connection.close();
    await Promise.all([api.program.stop(), worker.stop(), bareWorker.stop()]);
  }
}

async function signUpUser({ url, serviceKey }: Processes['api']): Promise<{ teamId: string }> {
  const id = `bench_${randomUUID()}`;
  const response = await fetch(`${url}/v1/users`, {
    method: 'POST',
    headers: { authorization: `Bearer ${serviceKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ id, email: `${id}@example.com`, name: 'Bench' }),
  });
  const { team } = z.object({ team: z.object({ id: z.string() }) }).parse(await response.json());
  return { teamId: team.id };
}

interface GrantWatch {
  /** When the grant with this business key was committed and visible, as `performance.now()`. */
  seen(businessKey: string): Promise<number>;
  /** As a checkout does, without a call to Polar. */
  linkCustomer(teamId: string, customerId: string): Promise<unknown>;
  close(): Promise<void>;
}

/**
 * Receives new grants by LISTEN: Postgres delivers a notification after its transaction has committed, so nothing is
 * polled. Only this database has the trigger that notifies.
 */
async function watchGrants(databaseUrl: string): Promise<GrantWatch> {
  const client = new pg.Client({ connectionString: databaseUrl });
  const arrivals = keepArrivals<string>();
  client.on('error', () => {}); // the failing query reports it
  client.on('notification', ({ payload = '' }) => arrivals.arrived(payload));
  await client.connect();
  await client.query(
    `create function notify_of_grant() returns trigger language plpgsql as $$
     begin perform pg_notify('granted', new.business_key); return null; end $$;
     create trigger notify_of_grant after insert on grants for each row execute function notify_of_grant();
     listen granted`,
  );
  return {
    seen: (businessKey) => arrivals.of(businessKey),
    linkCustomer: (teamId, customerId) =>
      client.query('update teams set polar_customer_id = $2 where id = $1', [teamId, customerId]),
    close: () => client.end(),
  };
}

/** Stores when each key arrived, for callers that ask before or after. */
function keepArrivals<Key>() {
  const times = new Map<Key, PromiseWithResolvers<number>>();
  const entry = (key: Key): PromiseWithResolvers<number> => {
    const known = times.get(key) ?? Promise.withResolvers<number>();
    times.set(key, known);
    return known;
  };
  return {
    arrived: (key: Key) => entry(key).resolve(performance.now()),
    of(key: Key): Promise<number> {
      const late = setTimeout(120_000, undefined, { ref: false }).then(() => {
        throw new Error(`${key} did not arrive within 120 seconds`);
      });
      return Promise.race([entry(key).promise, late]);
    },
  };
}

/** A team and its customer at Polar, created before the first checkout, which needs one. */
interface Buyer {
  teamId: string;
  customerId: string;
}

/** A paid order of a pack, with the fields of Polar's payload that matter. */
function makeOrder({ teamId, customerId }: Buyer) {
  const now = new Date().toISOString();
  return {
    id: randomUUID(),
    created_at: now,
    modified_at: null,
    status: 'paid',
    paid: true,
    billing_reason: 'purchase',
    net_amount: 1_200,
    applied_balance_amount: 0,
    refunded_amount: 0,
    currency: 'usd',
    customer_id: customerId,
    product_id: randomUUID(),
    product: { metadata: { catalog_key: 'pack_1000' } },
    subscription_id: null,
    metadata: { team_id: teamId },
    customer: { external_id: teamId },
    items: [{ label: '1,000 credits', amount: 1_200, proration: false }],
  };
}

/** Standard Webhooks, as Polar signs. */
function sign(body: string): Record<string, string> {
  const id = `msg_${randomUUID()}`;
  const timestamp = String(Math.floor(Date.now() / 1_000));
  const key = Buffer.from(webhookSecret.slice('whsec_'.length), 'base64');
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` };
}
