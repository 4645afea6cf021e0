import { expect, test } from '@jest/globals';
import { useApi } from './running-api.ts';
import { refusal } from './send.ts';

const api = useApi();

const ada = { id: 'ada', email: 'ada@example.com', name: 'Ada Lovelace' };

test('a user signs up while Temporal is down, and a repetition returns the same user and Personal Team', async () => {
  const first = await api.sendRaw('POST', '/v1/users', { body: ada, key: null });
  expect(first.status).toBe(201);
  expect(first.json).toEqual({
    user: ada,
    team: { id: expect.any(String), name: 'Personal Team', personal: true },
  });

  const again = await api.send('POST', '/v1/users', { body: ada });
  expect(again.status).toBe(200);
  expect(again.json).toEqual(first.json);

  const { rows } = await api.database.pool.query(`select type, status, team_id from inbox`);
  expect(rows).toEqual([{ type: 'team.created', status: 'received', team_id: expect.any(String) }]);
});

test('the same id with other data is refused', async () => {
  const reply = await api.send('POST', '/v1/users', { body: { ...ada, email: 'other@example.com' } });
  expect(reply).toMatchObject(refusal(409, 'user_conflict', { differing: ['email'] }));
});

test('one e-mail, in upper or lower case, is one user, also with fifty concurrent sign-ups', async () => {
  expect(
    await api.send('POST', '/v1/users', { body: { ...ada, id: 'ada_2', email: 'ADA@Example.com' } }),
  ).toMatchObject(refusal(409, 'email_taken'));
  const replies = await Promise.all(
    Array.from({ length: 50 }, (_, index) =>
      api.send('POST', '/v1/users', { body: { id: `eve_${index}`, email: 'eve@example.com', name: 'Eve' } }),
    ),
  );
  expect(replies.filter(({ status }) => status === 201)).toHaveLength(1);
  expect(replies.filter(({ status }) => status === 409)).toHaveLength(49);
  const { rows } = await api.database.pool.query(`select id from users where email = 'eve@example.com'`);
  expect(rows).toHaveLength(1);
});

test('fifty concurrent sign-ups of one user create one user and one team', async () => {
  const before = await count('teams');
  const replies = await Promise.all(
    Array.from({ length: 50 }, () =>
      api.send('POST', '/v1/users', { body: { id: 'grace', email: 'grace@example.com', name: 'Grace' } }),
    ),
  );
  expect(replies.filter(({ status }) => status === 201)).toHaveLength(1);
  expect(replies.filter(({ status }) => status === 200)).toHaveLength(49);
  expect(new Set(replies.map(({ json }) => JSON.stringify(json))).size).toBe(1);
  expect(await count('teams')).toBe(before + 1);
});

test('the id of an erased user is not used again', async () => {
  await api.person('erased');
  await api.database.pool.query(
    `update users set email = null, name = null, erased_at = now() where id = 'erased'`,
  );
  const reply = await api.send('POST', '/v1/users', { body: { ...ada, id: 'erased' } });
  expect(reply).toMatchObject(refusal(410, 'user_erased'));
});

async function count(table: string): Promise<number> {
  const { rows } = await api.database.pool.query(`select count(*)::int as rows from ${table}`);
  return rows[0].rows;
}
