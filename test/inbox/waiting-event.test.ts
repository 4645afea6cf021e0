import { beforeAll, expect, test } from '@jest/globals';
import { claimDueEvents, storeInboxEvent } from '../../inbox/inbox.ts';
import { readWaitingEvent, type WaitingEvent } from '../../inbox/waiting-event.ts';
import { insertTeam } from '../setup/insert-team.ts';
import { useTestDatabase } from '../setup/use-test-database.ts';

const { database } = useTestDatabase({ pool: 3 });
let team: string;
beforeAll(async () => {
  team = await insertTeam(database.pool);
});

async function signalOf(type: string, data: unknown): Promise<Omit<WaitingEvent, 'inboxId'>> {
  const stored = await storeInboxEvent(database.fork(), {
    teamId: team,
    source: 'polar',
    type,
    externalId: null,
    payload: { type, data },
  });
  expect(await readWaitingEvent(database.fork(), stored.id)).toEqual(stored.event);
  const { inboxId, ...event } = stored.event;
  expect(inboxId).toBe(stored.id);
  return event;
}

const product = { metadata: { catalog_key: 'pack_1000' }, name: 'Ada’s pack' };

test('a signal says what a paid order is for, its catalog key and its amount, and nothing of the customer', async () => {
  const order = {
    id: 'o1',
    net_amount: 1900,
    currency: 'usd',
    product,
    customer: { email: 'ada@example.com', name: 'Ada' },
    billing_name: 'Ada',
  };
  expect(await signalOf('order.paid', order)).toEqual({
    type: 'order.paid',
    pays: 'purchase',
    about: 'pack_1000 19.00 usd',
  });
  expect(await signalOf('order.paid', { ...order, currency: 'jpy' })).toMatchObject({
    about: 'pack_1000 1900 minor units of jpy',
  });
  const cycle = { ...order, subscription_id: 's1', billing_reason: 'subscription_cycle' };
  expect(await signalOf('order.paid', cycle)).toMatchObject({ pays: 'cycle' });
  const change = { ...order, subscription: { id: 's1' }, billing_reason: 'subscription_update' };
  expect(await signalOf('order.paid', change)).toMatchObject({ pays: 'change' });
  const state = { id: 's1', status: 'active', product, customer: { name: 'Ada' } };
  expect(await signalOf('subscription.updated', state)).toEqual({
    type: 'subscription.updated',
    about: 'pack_1000 active',
  });
});

test('a payload that is not what we expect leaves nothing of it in the signal', async () => {
  for (const data of [
    null,
    'text',
    [1],
    {
      product: { metadata: { catalog_key: 'Ada Lovelace' } },
      currency: 'Ada',
      net_amount: 'Ada',
      status: 'Ada L.',
    },
  ])
    expect(await signalOf('subscription.updated', data)).toEqual({ type: 'subscription.updated' });
});

test('the relay signals the same as the API', async () => {
  const { event } = await storeInboxEvent(database.fork(), {
    teamId: team,
    source: 'polar',
    type: 'order.paid',
    externalId: null,
    payload: { data: { id: 'o2', net_amount: 5, currency: 'usd', product } },
  });
  await database.pool.query('update inbox set next_signal_at = clock_timestamp()');
  const due = await claimDueEvents(database, 100);
  expect(due).toContainEqual({ teamId: team, event });
});
