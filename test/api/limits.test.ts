import { beforeAll, beforeEach, expect, test } from '@jest/globals';
import { lockTeam } from '../../database/connection.ts';
import { Subscription } from '../../database/entities/subscription.ts';
import { pruneLimitMarks } from '../../ledger/spend/prune-limit-marks.ts';
import { recountCycleLimits } from '../../ledger/spend/set-limit.ts';
import { verifyLedger } from '../../ledger/verify/verify-ledger.ts';
import { expectFiguresAddUp } from '../scenarios/sound-ledger.ts';
import { type SettableClock, settableClock } from '../setup/clock.ts';
import { useApi } from './running-api.ts';
import { idOf, refusal } from './send.ts';

const api = useApi();
let clock: SettableClock;
let teamId: string;
beforeAll(async () => {
  clock = await settableClock(api.databaseUrl, new Date('2026-03-10T12:00:00Z'));
});
beforeEach(async () => {
  await clock.set(new Date('2026-03-10T12:00:00Z'));
  ({ teamId } = await api.person());
  await api.give(teamId, '1000');
  for (const id of ['ada', 'bob']) await join(id);
});

const join = async (id: string) => {
  await api.send('POST', '/v1/users', { body: { id, email: `${id}@example.com`, name: id } });
  const reply = await api.send('PUT', `/v1/teams/${teamId}/members/${id}`, { body: { role: 'member' } });
  expect(reply).toMatchObject({ status: 200 });
};
const at = (time: string) => clock.set(new Date(time));
const setLimit = (who: string, credits: unknown, per: string) =>
  api.send('PUT', `/v1/teams/${teamId}/limits/${who}`, { body: { credits, per } });
/** Half a credit per run. */
const spend = (runs: number, rest: object = { memberId: 'ada' }) =>
  api.send('POST', `/v1/teams/${teamId}/usage`, {
    body: { action: 'workflow.run', quantities: { runs }, ...rest },
  });
const hold = async (credits: number, rest: object = { memberId: 'ada' }) => {
  const body = { action: 'workflow.run', credits, ...rest };
  return api.send('POST', `/v1/teams/${teamId}/holds`, { body });
};
const limits = () => api.send('GET', `/v1/teams/${teamId}/limits`);
const done = { status: 201 };
const reached = (used: string) => refusal(402, 'limit_reached', { used });

test('a member cannot exceed their limit, and others are not affected', async () => {
  expect(await setLimit('members/ada', '5', 'day')).toMatchObject({
    status: 200,
    json: {
      subject: { kind: 'member', id: 'ada' },
      credits: '5',
      per: 'day',
      windowStart: '2026-03-10T00:00:00.000Z',
      consumed: '0',
      held: '0',
    },
  });
  expect(await spend(8)).toMatchObject(done);
  expect(await spend(3)).toMatchObject({
    status: 402,
    json: {
      code: 'limit_reached',
      level: 'member',
      subjectId: 'ada',
      limit: '5',
      per: 'day',
      used: '4',
      required: '1.5',
      resetsAt: '2026-03-11T00:00:00.000Z',
      raisedBy: ['owner', 'admin'],
    },
  });
  expect(await spend(2)).toMatchObject(done);
  expect(await spend(1)).toMatchObject(reached('5'));
  expect(await spend(100, { memberId: 'bob' })).toMatchObject(done);
  expect(await api.send('GET', `/v1/teams/${teamId}/balance`)).toMatchObject({ json: { available: '945' } });
});

test('if members are limited, usage of an unknown member is refused, alone, in a batch or with a hold', async () => {
  await setLimit('members/ada', '5', 'day');
  const unknown = refusal(422, 'member_not_in_team', { memberId: 'nobody' });
  for (const quantities of [{ runs: 100 }, { runs: 0 }]) {
    const body = { action: 'workflow.run', quantities, memberId: 'nobody' };
    expect(await api.send('POST', `/v1/teams/${teamId}/usage`, { body })).toMatchObject(unknown);
    const events = [{ teamId, idempotencyKey: 'made-up', ...body }];
    expect(await api.send('POST', '/v1/usage/batch', { body: { events } })).toMatchObject({
      json: { results: [{ status: 422, code: 'member_not_in_team' }] },
    });
  }
  expect(await hold(1, { memberId: 'nobody' })).toMatchObject(unknown);
  expect(await spend(1, {})).toMatchObject(refusal(422, 'member_required'));
  expect(await spend(1, { memberId: 'bob' })).toMatchObject(done);
  await api.send('DELETE', `/v1/teams/${teamId}/limits/members/ada`);
  expect(await spend(1, { memberId: 'nobody' })).toMatchObject(done);
});

test('a user who has left a team cannot spend in it, but their hold can be captured', async () => {
  await setLimit('members/ada', '5', 'day');
  const id = idOf(await hold(2, { memberId: 'bob' }));
  expect(await api.send('DELETE', `/v1/teams/${teamId}/members/bob`)).toMatchObject({ status: 204 });
  expect(await spend(1, { memberId: 'bob' })).toMatchObject(refusal(422, 'member_not_in_team'));
  expect(await api.send('POST', `/v1/holds/${id}/capture`, { body: { credits: 3 } })).toMatchObject(done);
});

test('a limit is set only for a member of the team', async () => {
  expect(await setLimit('members/never_joined', '5', 'day')).toMatchObject(refusal(404, 'unknown_member'));
  const other = await api.person();
  expect(await setLimit(`members/${other.id}`, '5', 'day')).toMatchObject({ status: 404 });
  expect(await limits()).toMatchObject({ json: { data: [] } });
  expect(await spend(1, {})).toMatchObject(done);
});

test('of many concurrent usages only as many succeed as the limit allows', async () => {
  await setLimit('members/ada', '5', 'month');
  const replies = await Promise.all(Array.from({ length: 30 }, () => spend(1)));
  expect(replies.filter(({ status }) => status === 201)).toHaveLength(10);
  expect(replies.filter(({ status }) => status === 402)).toHaveLength(20);
});

test('if members are limited, usage and holds must name theirs; if keys are limited, they need not', async () => {
  await setLimit('keys/key-1', '5', 'day');
  expect(await spend(20, {})).toMatchObject(done);
  expect(await spend(11, { apiKeyId: 'key-1' })).toMatchObject(reached('0'));
  expect(await spend(10, { apiKeyId: 'key-1' })).toMatchObject(done);
  await setLimit('members/ada', '5', 'day');
  for (const nameless of [await spend(1, {}), await hold(1, { apiKeyId: 'key-2' })]) {
    expect(nameless).toMatchObject(refusal(422, 'member_required'));
  }
  expect(await spend(1, { memberId: 'bob' })).toMatchObject(done);
  expect(await spend(1, { memberId: 'bob', apiKeyId: 'key-1' })).toMatchObject(reached('5'));
});

test('held credits count, and a capture can exceed them only within the limit', async () => {
  await setLimit('members/ada', '10', 'day');
  const id = idOf(await hold(8));
  expect(await spend(5)).toMatchObject(reached('8'));
  expect(await limits()).toMatchObject({ json: { data: [{ consumed: '0', held: '8' }] } });
  const capture = (credits: number) => api.send('POST', `/v1/holds/${id}/capture`, { body: { credits } });
  expect(await capture(11)).toMatchObject(reached('8'));
  expect(await capture(3)).toMatchObject(done);
  expect(await limits()).toMatchObject({ json: { data: [{ consumed: '3', held: '0' }] } });
  expect(await spend(15)).toMatchObject(reached('3'));
  expect(await spend(14)).toMatchObject(done);
});

test('a hold that was made before the limit was lowered can still be captured', async () => {
  await setLimit('members/ada', '10', 'day');
  const id = idOf(await hold(8));
  await setLimit('members/ada', '2', 'day');
  const path = `/v1/holds/${id}/capture`;
  expect(await api.send('POST', path, { body: { credits: 9 } })).toMatchObject(reached('8'));
  expect(await api.send('POST', path, { body: { credits: 8 } })).toMatchObject(done);
});

test('a lapsed hold does not count against a limit', async () => {
  await setLimit('members/ada', '10', 'day');
  await hold(8, { memberId: 'ada', ttlSeconds: 60 });
  expect(await spend(20)).toMatchObject(reached('8'));
  await at('2026-03-10T12:01:00Z');
  expect(await spend(20)).toMatchObject(done);
});

test.each([
  ['day', '2026-03-10T23:59:59.999Z', '2026-03-11T00:00:00Z'],
  ['month', '2026-03-31T23:59:59.999Z', '2026-04-01T00:00:00Z'],
  ['cycle', '2026-03-31T23:59:59.999Z', '2026-04-01T00:00:00Z'],
])('a limit per %s starts again when its window is over', async (per, last, next) => {
  await setLimit('members/ada', '5', per);
  expect(await spend(10)).toMatchObject(done);
  await at(last);
  expect(await spend(1)).toMatchObject(reached('5'));
  await at(next);
  expect(await limits()).toMatchObject({
    json: { data: [{ consumed: '0', windowStart: new Date(next).toISOString() }] },
  });
  expect(await spend(10)).toMatchObject(done);
  expect(await spend(1)).toMatchObject(reached('5'));
});

/** Stores the team's subscription and updates its limits per cycle. Returns how many rows of these tables that read. */
const subscribe = (start: string, end: string, endedAt: string | null = null) =>
  api.database.transaction(async (em) => {
    const locked = await lockTeam(em, teamId);
    if (!locked) throw new Error('there is no such team');
    await em.upsert(Subscription, {
      id: `sub_${teamId}`,
      teamId,
      plan: 'pro_monthly',
      status: 'active',
      currentPeriodStart: new Date(start),
      currentPeriodEnd: new Date(end),
      cancelAtPeriodEnd: false,
      anchorDay: 5,
      nextPlan: null,
      startedAt: null,
      endedAt: endedAt === null ? null : new Date(endedAt),
      stateAt: new Date(start),
    });
    // The counters of this connection, including earlier statements.
    const rowsRead = async () => {
      const tables = await em.execute<{ name: string; rows: number }[]>(
        `select relname as name, (seq_tup_read + coalesce(idx_tup_fetch, 0))::int as rows from pg_stat_xact_user_tables`,
      );
      return (table: string) =>
        tables.filter(({ name }) => name.startsWith(table)).reduce((total, { rows }) => total + rows, 0);
    };
    const before = await rowsRead();
    await recountCycleLimits(em, teamId, locked.now);
    const after = await rowsRead();
    const rowsOf = (table: string) => after(table) - before(table);
    return { usage: rowsOf('usage_events'), transfers: rowsOf('transfers'), marks: rowsOf('limit_marks') };
  });

test('a cycle that began before it was known counts exactly the usage since its start', async () => {
  await at('2026-03-09T12:00:00Z');
  await spend(2);
  await at('2026-03-10T12:00:00Z');
  await spend(4);
  await setLimit('members/ada', '50', 'cycle');
  await spend(6); // in the millisecond in which counting began
  for (const [second, runs] of [
    [10, 8],
    [15, 10],
    [20, 12],
  ] as const) {
    await at(`2026-03-10T12:00:${second}Z`);
    await spend(runs);
  }
  const consumed = (credits: string) => ({ json: { data: [{ consumed: credits }] } });
  expect(await limits()).toMatchObject(consumed('21'));
  await at('2026-03-10T12:01:00Z');
  for (const [start, credits] of [
    ['2026-03-10T12:00:15Z', '11'], // its own millisecond is included
    ['2026-03-10T12:00:20.001Z', '0'],
    ['2026-03-10T12:00:00Z', '20'],
    ['2026-03-09T12:00:00.001Z', '20'],
    ['2026-03-09T12:00:00Z', '21'],
  ] as const) {
    await subscribe(start, '2026-04-10T12:00:15Z');
    expect([start, await limits()]).toMatchObject([start, consumed(credits)]);
  }
  await subscribe('2026-03-10T12:00:15Z', '2026-04-10T12:00:15Z');
  await subscribe('2026-03-10T12:00:15Z', '2026-04-10T12:00:15Z', '2026-03-10T12:01:00Z');
  expect(await limits()).toMatchObject(consumed('21'));
  await expectFiguresAddUp(api.database.pool);
});

test('a new cycle reads no usage, and for a busy team no more marks than for a quiet one', async () => {
  await setLimit('members/ada', '900', 'cycle');
  await setLimit('members/bob', '900', 'cycle');
  // Marks of other teams, so that Postgres plans as for a large table.
  await api.database.pool.query(
    `insert into limit_marks select counter, timestamptz '2026-01-01' + make_interval(secs => second), 0
       from generate_series(-20, -1) as counter cross join generate_series(1, 2000) as second`,
  );
  await api.database.pool.query('analyze limit_marks');
  const use = async (times: number) => {
    for (let time = 0; time < times; time += 1) {
      await clock.set(new Date(clock.now().getTime() + 1_000));
      await spend(1, { memberId: time % 2 === 0 ? 'ada' : 'bob' });
    }
    return subscribe(clock.now().toISOString(), '2026-05-10T12:00:00Z');
  };
  const afterFew = await use(4);
  expect(afterFew).toMatchObject({ usage: 0, transfers: 0 });
  expect(await use(60)).toEqual(afterFew);
});

test('marks that no cycle can need any more are deleted, and limits count as before', async () => {
  await setLimit('members/ada', '900', 'cycle');
  await setLimit('members/bob', '900', 'cycle');
  for (const day of [11, 12, 13]) {
    await at(`2026-03-${day}T12:00:00Z`);
    await spend(2);
  }
  await at('2027-06-01T12:00:00Z');
  await spend(4);
  await at('2027-06-02T12:00:00Z');
  await spend(6);
  const marksOf = async (member: string) => {
    const { rows } = await api.database.pool.query(
      `select m.total from limit_marks m join limits l using (counter_id) where l.team_id = $1 and l.subject_id = $2 order by m.at`,
      [teamId, member],
    );
    return rows.map(({ total }) => Number(total) / 1_000_000);
  };
  await pruneLimitMarks(api.database.pool);
  expect(await marksOf('ada')).toEqual([3, 5, 8]); // the last one of 2026, and those since
  expect(await marksOf('bob')).toEqual([0]);
  expect(await pruneLimitMarks(api.database.pool)).toBe(0);
  for (const [start, consumed] of [
    ['2027-06-02T00:00:00Z', '3'],
    ['2027-06-01T00:00:00Z', '5'],
  ] as const) {
    await subscribe(start, '2028-06-01T00:00:00Z');
    expect(await limits()).toMatchObject({ json: { data: [{ consumed }, { consumed: '0' }] } });
  }
  const { findings } = await verifyLedger(api.database);
  expect(findings.filter((found) => found.teamId === teamId && found.rule.startsWith('limit'))).toEqual([]);
});

test('with a subscription, a limit per cycle uses its cycle', async () => {
  await subscribe('2026-03-05T08:00:00Z', '2026-04-05T08:00:00Z');
  expect(await setLimit('members/ada', '5', 'cycle')).toMatchObject({
    json: { windowStart: '2026-03-05T08:00:00.000Z' },
  });
  expect(await spend(10)).toMatchObject(done);
  await at('2026-04-02T00:00:00Z');
  const refused = await spend(1);
  expect(refused).toMatchObject(reached('5'));
  expect(refused).toMatchObject({ json: { per: 'cycle', resetsAt: '2026-04-05T08:00:00.000Z' } });
  await at('2026-04-05T08:00:00Z');
  await subscribe('2026-04-05T08:00:00Z', '2026-05-05T08:00:00Z');
  expect(await spend(10)).toMatchObject(done);
});

test('a new limit counts earlier usage and holds in its window', async () => {
  await at('2026-03-09T12:00:00Z');
  await spend(2);
  await at('2026-03-10T12:00:00Z');
  await spend(4);
  await spend(6, { memberId: 'ada', occurredAt: '2026-01-01T00:00:00Z' });
  await spend(100, { memberId: 'bob' });
  await hold(3);
  expect(await setLimit('members/ada', '10', 'day')).toMatchObject({ json: { consumed: '5', held: '3' } });
  expect(await setLimit('members/ada', '10', 'month')).toMatchObject({ json: { consumed: '6', held: '3' } });
  expect(await spend(3)).toMatchObject(reached('9'));
  expect(await spend(2)).toMatchObject(done);
});

test('a limit of 0 stops its subject; a removed limit stops nothing', async () => {
  expect(await setLimit('members/ada', 0, 'day')).toMatchObject({ status: 200, json: { credits: '0' } });
  expect(await spend(1)).toMatchObject(reached('0'));
  await setLimit('keys/key-1', '0', 'day');
  const remove = (who: string) => api.send('DELETE', `/v1/teams/${teamId}/limits/${who}`);
  expect(await remove('members/ada')).toMatchObject({ status: 204 });
  expect(await remove('members/ada')).toMatchObject(refusal(404, 'unknown_limit'));
  expect(await spend(1, { apiKeyId: 'key-1' })).toMatchObject(reached('0'));
  expect(await remove('keys/key-1')).toMatchObject({ status: 204 });
  expect(await spend(1, { apiKeyId: 'key-1' })).toMatchObject(done);
  const { rows } = await api.database.pool.query('select has_limits from teams where id = $1', [teamId]);
  expect(rows).toEqual([{ has_limits: false }]);
});

test('every member can list limits, and owners, admins and services with the right scope can set them', async () => {
  const owner = await api.person();
  teamId = owner.teamId;
  await join('ada');
  const path = `/v1/teams/${teamId}/limits/members/ada`;
  const put = (as: string) => api.send('PUT', path, { as, body: { credits: 5, per: 'day' } });
  for (const role of ['admin', 'billing', 'member'] as const) {
    const person = await api.person();
    await api.send('PUT', `/v1/teams/${teamId}/members/${person.id}`, { body: { role } });
    expect(await put(person.token)).toMatchObject({ status: role === 'admin' ? 200 : 403 });
    expect(await api.send('GET', `/v1/teams/${teamId}/limits`, { as: person.token })).toMatchObject({
      status: 200,
      json: { data: [{ subject: { kind: 'member', id: 'ada' } }], nextCursor: null },
    });
  }
  expect(await put(owner.token)).toMatchObject({ status: 200 });
  expect(await put((await api.key('billing')).key)).toMatchObject({ status: 200 });
  expect(await put((await api.key('usage')).key)).toMatchObject({ status: 403 });
  const stranger = await api.person();
  expect(await put(stranger.token)).toMatchObject(refusal(404, 'unknown_team'));
  expect(await api.send('DELETE', path, { as: stranger.token })).toMatchObject({ status: 404 });
});

test.each<[string, unknown, number, RegExp]>([
  ['members/ada', { credits: -1, per: 'day' }, 422, /credits/],
  ['members/ada', { credits: '-0.5', per: 'day' }, 422, /credits/],
  ['members/ada', { credits: '1.0000001', per: 'day' }, 422, /credits/],
  ['members/ada', { credits: '12345678901234567890', per: 'day' }, 422, /credits/],
  ['members/ada', '{"credits":1e400,"per":"day"}', 422, /credits/],
  ['members/ada', { credits: true, per: 'day' }, 422, /credits/],
  ['members/ada', { per: 'day' }, 422, /credits/],
  ['members/ada', { credits: 1, per: 'week' }, 422, /per/],
  ['members/ada', { credits: 1 }, 422, /per/],
  ['members/ada', { credits: 1, per: 'day', from: 'now' }, 422, /from/],
  ['members/ada', undefined, 422, /body/],
  ['members/a%20b', { credits: 1, per: 'day' }, 400, /params\.memberId/],
  [`members/${'a'.repeat(65)}`, { credits: 1, per: 'day' }, 400, /params\.memberId/],
  ['keys/a%00b', { credits: 1, per: 'day' }, 400, /params\.apiKeyId/],
  [`keys/${'a'.repeat(129)}`, { credits: 1, per: 'day' }, 400, /params\.apiKeyId/],
])('a limit for %s of %j is refused and the field is named', async (who, body, status, culprit) => {
  const reply = await api.sendRaw('PUT', `/v1/teams/${teamId}/limits/${who}`, { body });
  expect(reply).toMatchObject({
    status,
    json: { code: status === 400 ? 'invalid_parameters' : 'invalid_request' },
  });
  expect(JSON.stringify(reply.json)).toMatch(culprit);
  expect(await limits()).toMatchObject({ json: { data: [] } });
});

test('a limit on a key named null affects only that key', async () => {
  const id = idOf(await hold(5, {}));
  expect(await setLimit('keys/null', '5', 'day')).toMatchObject({ status: 200 });
  expect(await api.send('POST', `/v1/holds/${id}/release`)).toMatchObject({ json: { status: 'released' } });
});
