import { expect, test } from '@jest/globals';
import { deleteHandledEvents } from '../../inbox/delete-handled-events.ts';
import { useTestDatabase } from '../setup/use-test-database.ts';

const { database } = useTestDatabase({ pool: 2 });

const day = 86_400_000;

test('events handled long ago are deleted; waiting ones, ones with a decision, and those that created a team are kept', async () => {
  const store = (what: string, type: string, status: string, daysAgo: number, decisions = '[]') =>
    database.pool.query(
      `insert into inbox (id, source, type, external_id, payload, occurred_at, received_at, status, parked_code, next_signal_at, handled_at, decisions)
       select uuidv7(), 'polar', $2, $1, '{}', at, at, $3, case when $3 = 'parked' then 'stuck' end,
              case when $3 = 'received' then at end, case when $3 in ('handled', 'ignored', 'dismissed') then at end, $5::jsonb
         from (select billing_now() - make_interval(days => $4)) as past (at)`,
      [what, type, status, daysAgo, decisions],
    );
  await store('handled long ago', 'order.paid', 'handled', 401);
  await store('ignored long ago', 'product.updated', 'ignored', 401);
  await store('handled lately', 'order.paid', 'handled', 399);
  await store('parked long ago', 'order.paid', 'parked', 900);
  await store('received long ago', 'order.paid', 'received', 900);
  await store('dismissed long ago', 'order.paid', 'dismissed', 900, '[{"decision": "dismissed"}]');
  await store('assigned long ago', 'order.paid', 'handled', 900, '[{"decision": "assigned"}]');
  await store('made a team', 'team.created', 'handled', 900);

  expect(await deleteHandledEvents(database.pool, 400 * day)).toBe(2);
  const { rows } = await database.pool.query<{ external_id: string }>(
    'select external_id from inbox order by id',
  );
  expect(rows.map(({ external_id }) => external_id)).toEqual([
    'handled lately',
    'parked long ago',
    'received long ago',
    'dismissed long ago',
    'assigned long ago',
    'made a team',
  ]);
});
