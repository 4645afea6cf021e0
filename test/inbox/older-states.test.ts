import { expect, test } from '@jest/globals';
import { InboxEvent } from '../../database/entities/inbox-event.ts';
import { parkInboxEvent, storeInboxEvent } from '../../inbox/inbox.ts';
import { skipOlderStates } from '../../inbox/older-states.ts';
import { insertTeam } from '../setup/insert-team.ts';
import { useTestDatabase } from '../setup/use-test-database.ts';

const { database } = useTestDatabase({ pool: 3 });

const newTeam = () => insertTeam(database.pool);

const second = (at: number) => new Date(Date.UTC(2040, 0, 1, 0, 0, at)).toISOString();

/** Stores an event about `object` whose state is of the given second. */
async function store(teamId: string, type: string, object: string, at: number | string): Promise<string> {
  const modified_at = typeof at === 'number' ? second(at) : at;
  const { id } = await storeInboxEvent(database.fork(), {
    teamId,
    source: type === 'team.deleted' ? 'operator' : 'polar',
    type,
    externalId: null,
    payload: { type, data: { id: object, created_at: second(0), modified_at } },
    occurredAt: new Date(second(0)),
  });
  return id;
}

/** The events that are settled without a step of their own, in the order of `ids`. */
async function skipped(teamId: string, ids: readonly string[]): Promise<string[]> {
  const settled = await database.transaction((em) => skipOlderStates(em, teamId, ids));
  return ids.filter((id) => settled.includes(id));
}

test('of a thousand states of a subscription only the newest is left', async () => {
  const team = await newTeam();
  const updates: string[] = [];
  // Polar's retries arrive out of order: the newest state is not the last to arrive.
  for (let at = 0; at < 1_000; at += 1)
    updates.push(await store(team, 'subscription.updated', 'sub_1', at === 400 ? 5_000 : at));
  const other = await store(team, 'subscription.updated', 'sub_2', 1);
  const paid = await store(team, 'order.paid', 'order_1', 1);
  const ids = [...updates, other, paid];
  expect(await skipped(team, ids)).toEqual(updates.filter((id) => id !== updates[400]));
  expect(await database.fork().count(InboxEvent, { teamId: team, status: 'handled' })).toBe(999);
  expect(await skipped(team, ids)).toEqual([]);
});

test('an order’s updates and refunds are states of one order; a payment is never superseded', async () => {
  const team = await newTeam();
  const ids = [
    await store(team, 'order.updated', 'order_1', 1),
    await store(team, 'order.paid', 'order_1', 2),
    await store(team, 'order.refunded', 'order_1', 4),
    await store(team, 'order.updated', 'order_1', 3),
    await store(team, 'order.paid', 'order_2', 9),
  ];
  expect(await skipped(team, ids)).toEqual([ids[0], ids[3]]);
});

test('states of one instant are all kept, microseconds are compared, and a text that is no time changes nothing', async () => {
  const team = await newTeam();
  const ids = [
    await store(team, 'subscription.updated', 'sub_1', '2040-01-01T00:00:00.000001Z'),
    await store(team, 'subscription.active', 'sub_1', '2040-01-01T00:00:00.000002Z'),
    await store(team, 'subscription.canceled', 'sub_1', '2040-01-01T00:00:00.000002Z'),
    await store(team, 'subscription.updated', 'sub_2', 'yesterday, or so'),
  ];
  expect(await skipped(team, ids)).toEqual([ids[0]]);
});

test('a state after the deletion of its team does not supersede one before it', async () => {
  const team = await newTeam();
  const ids = [
    await store(team, 'subscription.updated', 'sub_1', 1),
    await store(team, 'team.deleted', team, 2),
    await store(team, 'subscription.updated', 'sub_1', 3),
  ];
  expect(await skipped(team, ids)).toEqual([]);
});

test('parked events are neither superseded nor supersede, and events of other teams are left out', async () => {
  const [team, other] = [await newTeam(), await newTeam()];
  const parked = await store(team, 'subscription.updated', 'sub_1', 1);
  const newer = await store(team, 'subscription.updated', 'sub_1', 2);
  const newestParked = await store(team, 'subscription.updated', 'sub_1', 3);
  const foreign = await store(other, 'subscription.updated', 'sub_1', 4);
  for (const id of [parked, newestParked])
    await parkInboxEvent(database.fork(), id, 'unknown_product', 'not ours');
  expect(await skipped(team, [parked, newer, newestParked, foreign])).toEqual([]);
});
