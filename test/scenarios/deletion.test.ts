import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { teamWorkflowId } from '../../workflows/messages.ts';
import { expectSoundLedger } from './sound-ledger.ts';
import { type Story, startStory, until } from './story.ts';

let story: Story;
beforeEach(async () => {
  story = await startStory('2040-03-05T10:00:00.000Z');
});
afterEach(() => story.stop());

test('a team deleted with credits left and a late renewal for it: nothing is granted, its event waits for an operator, and a refund ends it', async () => {
  const team = await foundTeam('ada', 'Weavers');
  await story.buy(team, 'pack_1000');
  await story.buy(team, 'starter_monthly');
  const use = { action: 'workflow.run', quantities: { runs: 1 } };
  await story.call('POST', `/v1/teams/${team}/usage`, use);
  await story.call('POST', `/v1/teams/${team}/holds`, { action: 'workflow.run', credits: '40' });
  await story.call('PUT', `/v1/teams/${team}/limits/members/ada`, { credits: '500', per: 'month' });

  // The renewal is charged, and its webhook arrives after the team is deleted.
  const subscription = await story.subscriptionOf(team);
  await story.control('/faults', { target: 'webhooks', mode: 'hold', type: 'order.paid' });
  await story.control(`/subscriptions/${subscription}/renew-now`);
  await story.settle();
  await story.call('DELETE', `/v1/teams/${team}`);
  expect(await story.request('POST', `/v1/teams/${team}/usage`, use)).toMatchObject({
    status: 409,
    body: { code: 'team_deleted' },
  });
  await story.settle();
  await until(async () => (await workflowStatus(team)) === 'COMPLETED');
  await story.control('/webhooks/release');
  await story.settle();

  expect(await accounts(team)).toEqual({ available: 0n, held: 0n });
  expect(await statusAtPolar(subscription)).toBe('canceled');
  const late = (await story.inbox(team)).filter(({ parkedCode }) => parkedCode !== null);
  expect(late).toMatchObject([{ type: 'order.paid', status: 'parked', parkedCode: 'team_deleted' }]);
  const renewal = (await story.ordersOf(team)).at(-1);
  expect(late[0]?.outcome).toContain(renewal?.id);
  await until(async () => (await workflowStatus(team)) === 'COMPLETED');
  await expectSoundLedger(story.database.pool);

  // It arrives again, and its state does not change.
  await story.deliver({ type: 'order.paid', timestamp: story.clock.now().toISOString(), data: renewal });
  await story.settle();
  expect(await accounts(team)).toEqual({ available: 0n, held: 0n });

  await story.advanceTo('2040-03-05T10:05:00Z');
  await story.control(`/orders/${renewal?.id}/refund`);
  await until(async () => (await story.inbox(team)).every(({ parkedCode }) => parkedCode === null));
  expect(await accounts(team)).toEqual({ available: 0n, held: 0n });
  await until(async () => (await workflowStatus(team)) === 'COMPLETED');
  await expectSoundLedger(story.database.pool);
});

test('deleting a team ends its subscription at Polar, releases holds, forfeits everything and removes limits', async () => {
  const team = await foundTeam('ada', 'Weavers');
  await story.buy(team, 'pack_1000');
  await story.buy(team, 'pro_monthly');
  await story.call('POST', `/v1/teams/${team}/holds`, { action: 'workflow.run', credits: '40' });
  await story.call('PUT', `/v1/teams/${team}/limits/keys/k1`, { credits: '500', per: 'month' });
  await story.call('DELETE', `/v1/teams/${team}`);
  await story.call('DELETE', `/v1/teams/${team}`);
  await story.settle();

  expect(await statusAtPolar(await story.subscriptionOf(team))).toBe('canceled');
  expect(await accounts(team)).toEqual({ available: 0n, held: 0n });
  const { rows } = await story.database.pool.query(
    `select (select sum(amount) from transfers where team_id = $1 and kind = 'forfeit') as forfeited,
            (select sum(granted) from grants where team_id = $1) as granted,
            (select count(*) from limits where team_id = $1) as limits,
            (select string_agg(status, ',') from holds where team_id = $1) as holds,
            (select count(*) from inbox where team_id = $1 and type = 'team.deleted') as deletions`,
    [team],
  );
  expect(rows[0]).toMatchObject({ limits: '0', holds: 'released', deletions: '1' });
  expect(rows[0].forfeited).toBe(rows[0].granted);
  expect((await story.inbox(team)).filter(({ status }) => status !== 'handled')).toEqual([]);
  await until(async () => (await workflowStatus(team)) === 'COMPLETED');
  await expectSoundLedger(story.database.pool);
});

test('a checkout that was open when the team was deleted, paid afterwards: the subscription is ended, the money reported', async () => {
  const team = await foundTeam('ada', 'Weavers');
  const checkout = await story.checkOut(team, 'pro_monthly');
  await story.call('DELETE', `/v1/teams/${team}`);
  await story.settle();
  await story.control(`/checkouts/${checkout}/pay`);
  await story.settle();

  expect(await statusAtPolar(await story.subscriptionOf(team))).toBe('canceled');
  expect(await accounts(team)).toEqual({ available: 0n, held: 0n });
  expect((await story.inbox(team)).filter(({ status }) => status === 'parked')).toMatchObject([
    { type: 'order.paid', parkedCode: 'team_deleted' },
  ]);
});

test('while Polar is down a team is deleted for its members at once, and at Polar when it is back', async () => {
  const team = await foundTeam('ada', 'Weavers');
  await story.buy(team, 'pro_monthly');
  await story.control('/faults', { target: 'api', path: '/v1/subscriptions', times: 4, status: 500 });
  await story.call('DELETE', `/v1/teams/${team}`);
  expect(await story.request('GET', `/v1/teams/${team}`)).toMatchObject({ status: 404 });
  await story.settle();
  expect(await statusAtPolar(await story.subscriptionOf(team))).toBe('canceled');
  expect(await accounts(team)).toEqual({ available: 0n, held: 0n });
});

test('no data of an erased user is in the database or at Polar; their Personal Team is deleted and the ledger is correct', async () => {
  const email = 'ada@example.com';
  const personal = await story.signUp('ada');
  await story.signUp('bob');
  await story.buy(personal, 'pro_monthly');
  const shared = await foundTeam('bob', 'Weavers');
  await story.buy(shared, 'pack_1000');
  await story.call('PUT', `/v1/teams/${shared}/members/ada`, { role: 'billing' });
  await story.settle();
  expect(await membersAtPolar(shared)).toEqual({ bob: 'owner', ada: 'billing_manager' });
  const subscription = await story.subscriptionOf(personal);

  expect(await findInDatabase(email)).toEqual(['public.users.email']);

  await story.call('DELETE', '/v1/users/ada');
  await story.call('DELETE', '/v1/users/ada');
  await story.settle();

  expect(await findInDatabase(email)).toEqual([]);
  expect(await accounts(personal)).toEqual({ available: 0n, held: 0n });
  expect(await statusAtPolar(subscription)).toBe('canceled');
  expect(await membersAtPolar(shared)).toEqual({ bob: 'owner' });
  await expect(story.polar.customers.getExternal(personal)).rejects.toThrow();
  await until(async () => (await workflowStatus(personal)) === 'COMPLETED');
  await expectSoundLedger(story.database.pool);
});

test('the members at Polar follow the roles of the team, even if someone changes them there', async () => {
  const team = await foundTeam('ada', 'Weavers');
  for (const id of ['bob', 'carol', 'dave']) await story.signUp(id);
  const role = async (id: string, role: string) => {
    await story.call('PUT', `/v1/teams/${team}/members/${id}`, { role });
    await story.settle();
  };
  await role('bob', 'admin');
  await story.buy(team, 'pack_1000');
  await role('carol', 'billing');
  await role('dave', 'member');
  expect(await membersAtPolar(team)).toEqual({
    ada: 'owner',
    bob: 'billing_manager',
    carol: 'billing_manager',
  });

  await role('bob', 'owner');
  expect(await membersAtPolar(team)).toMatchObject({ ada: 'owner', bob: 'billing_manager' });
  await role('ada', 'member');
  expect(await membersAtPolar(team)).toEqual({ bob: 'owner', carol: 'billing_manager' });

  const customer = await story.polar.customers.getExternal(team);
  await story.polar.customers.members.create(customer.id, { email: 'mallory@example.com' });
  await story.settle();
  expect(await membersAtPolar(team)).toEqual({ bob: 'owner', carol: 'billing_manager' });
  const calls = (await story.inbox(team)).filter(({ type }) => type.startsWith('member'));
  expect(calls.every(({ status }) => status === 'handled')).toBe(true);
});

test('a customer deleted at Polar is removed from its team, its subscription ends, and the next purchase creates a new one', async () => {
  const team = await foundTeam('ada', 'Weavers');
  await story.buy(team, 'pro_monthly');
  const before = await story.polar.customers.getExternal(team);
  await story.polar.customers.delete(before.id);
  await story.settle();
  expect((await story.balance(team)).bySource.subscription).toBe('0');

  await story.buy(team, 'pack_1000');
  expect((await story.polar.customers.getExternal(team)).id).not.toBe(before.id);
  expect((await story.balance(team)).bySource.purchase).toBe('1000');
});

async function foundTeam(ownerId: string, name: string): Promise<string> {
  await story.signUp(ownerId);
  return story.foundTeam(ownerId, name);
}

async function accounts(teamId: string): Promise<{ available: bigint; held: bigint }> {
  const { rows } = await story.database.pool.query<{ available: string; held: string }>(
    'select coalesce(sum(available), 0) as available, coalesce(sum(held), 0) as held from grants where team_id = $1',
    [teamId],
  );
  return { available: BigInt(rows[0]?.available ?? -1), held: BigInt(rows[0]?.held ?? -1) };
}

async function statusAtPolar(subscriptionId: string): Promise<string> {
  return (await story.polar.subscriptions.get(subscriptionId)).status;
}

async function membersAtPolar(teamId: string): Promise<Record<string, string>> {
  const { items } = await story.polar.customers.members.listExternal(teamId);
  return Object.fromEntries(items.map(({ external_id, email, role }) => [external_id ?? email, role]));
}

async function workflowStatus(teamId: string): Promise<string> {
  const { status } = await story.temporal.workflow.getHandle(teamWorkflowId(teamId)).describe();
  return status.name;
}

/** Every column of any table that contains the text, in any case. */
async function findInDatabase(text: string): Promise<string[]> {
  const { pool } = story.database;
  const columns = await pool.query<{ table: string; column: string }>(
    `select format('%I.%I', table_schema, table_name) as table, quote_ident(column_name) as column
       from information_schema.columns
      where table_schema = 'public' and data_type in ('text', 'jsonb', 'json', 'character varying', 'ARRAY')`,
  );
  const found: string[] = [];
  for (const { table, column } of columns.rows) {
    const { rowCount } = await pool.query(`select from ${table} where ${column}::text ilike $1 limit 1`, [
      `%${text}%`,
    ]);
    if (rowCount) found.push(`${table}.${column}`);
  }
  return found;
}
