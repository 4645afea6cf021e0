import { expect, test } from '@jest/globals';
import { z } from 'zod';
import { expectFiguresAddUp } from '../scenarios/sound-ledger.ts';
import { useApi } from './running-api.ts';
import { refusal } from './send.ts';

const api = useApi();

const usage = { action: 'model.gpt-5', quantities: { output_tokens: '1000', input_tokens: 2000 } };

test('usage is priced, debited and answered with its receipt, and the balance agrees', async () => {
  const { teamId, token } = await api.person();
  await api.give(teamId, '100');
  const reply = await api.send('POST', `/v1/teams/${teamId}/usage`, {
    body: { ...usage, memberId: 'ada', apiKeyId: 'key-1', metadata: { run: 'r1' } },
  });
  // 2,000 of 150 per million and 1,000 of 1,200 per million
  expect(reply).toMatchObject({
    status: 201,
    json: {
      action: 'model.gpt-5',
      credits: '1.5',
      lines: [
        { meter: 'input_tokens', quantity: '2000', unitPrice: '0.00015', credits: '0.3' },
        { meter: 'output_tokens', quantity: '1000', unitPrice: '0.0012', credits: '1.2' },
      ],
      grants: [{ source: 'purchase', credits: '1.5' }],
      priceVersion: 1,
      balance: { available: '98.5' },
    },
  });
  const balance = await api.send('GET', `/v1/teams/${teamId}/balance`, { as: token });
  expect(balance).toMatchObject({
    status: 200,
    json: {
      available: '98.5',
      held: '0',
      debt: '0',
      bySource: { trial: '0', subscription: '0', purchase: '98.5', adjustment: '0' },
      grants: [{ source: 'purchase', granted: '100', consumed: '1.5', expiresAt: null }],
      nextExpiry: null,
    },
  });
});

test('a key is replayed after the balance has changed, in any order of the body’s fields, alone or in a batch; another body is a conflict', async () => {
  const { teamId } = await api.person();
  await api.give(teamId, '100');
  const path = `/v1/teams/${teamId}/usage`;
  const first = await api.send('POST', path, { body: usage, key: 'k' });
  await api.send('POST', path, { body: usage });
  const shuffled = { quantities: { input_tokens: 2000, output_tokens: '1000' }, action: usage.action };
  expect(await api.send('POST', path, { body: shuffled, key: 'k' })).toMatchObject({
    status: 201,
    json: first.json,
  });

  const shouted = `/v1/teams/${teamId.toUpperCase()}/usage`;
  expect(await api.send('POST', shouted, { body: usage, key: 'k' })).toMatchObject({
    status: 201,
    json: first.json,
  });

  const batch = { events: [{ teamId, idempotencyKey: 'k', ...usage }] };
  const { json } = await api.send('POST', '/v1/usage/batch', { body: batch });
  expect(json).toEqual({
    results: [{ status: 201, ...z.record(z.string(), z.unknown()).parse(first.json) }],
  });

  const other = { body: { ...usage, memberId: 'ada' }, key: 'k' };
  expect(await api.send('POST', path, other)).toMatchObject(refusal(409, 'idempotency_conflict'));
  expect(await api.send('GET', `/v1/teams/${teamId}/balance`)).toMatchObject({ json: { available: '97' } });
});

test('without enough credits the answer is 402 with the required and available credits, and the key can be used again', async () => {
  const { teamId } = await api.person();
  await api.give(teamId, '1');
  const spend = () => api.send('POST', `/v1/teams/${teamId}/usage`, { body: usage, key: 'later' });
  expect(await spend()).toMatchObject(
    refusal(402, 'insufficient_credits', { required: '1.5', available: '1' }),
  );
  await api.give(teamId, '1');
  expect(await spend()).toMatchObject({ status: 201, json: { balance: { available: '0.5' } } });
});

test('zero is a valid quantity: its line costs nothing, alone and in a batch', async () => {
  const { teamId } = await api.person();
  await api.give(teamId, '10');
  const body = {
    action: 'model.gpt-5',
    quantities: { input_tokens: 1200, cached_tokens: 0, output_tokens: '0.0' },
  };
  const expected = {
    status: 201,
    credits: '0.18',
    lines: [
      { meter: 'input_tokens', quantity: '1200', credits: '0.18' },
      { meter: 'output_tokens', quantity: '0', credits: '0' },
      { meter: 'cached_tokens', quantity: '0', credits: '0' },
    ],
  };
  const { status, json } = await api.send('POST', `/v1/teams/${teamId}/usage`, { body });
  expect({ status, ...z.record(z.string(), z.unknown()).parse(json) }).toMatchObject(expected);
  const batch = { events: [{ teamId, idempotencyKey: 'zero', ...body }] };
  expect(await api.send('POST', '/v1/usage/batch', { body: batch })).toMatchObject({
    json: { results: [expected] },
  });
});

test('usage with only zeros is recorded with a receipt of 0, even if a team has no credits, and is replayed', async () => {
  const { teamId } = await api.person();
  const body = { action: 'model.gpt-5', quantities: { input_tokens: 0 }, memberId: 'ada' };
  const first = await api.send('POST', `/v1/teams/${teamId}/usage`, { body, key: 'nothing' });
  expect(first).toMatchObject({
    status: 201,
    json: { credits: '0', lines: [{ credits: '0' }], grants: [], balance: { available: '0' } },
  });
  const again = await api.send('POST', `/v1/teams/${teamId}/usage`, { body, key: 'nothing' });
  expect(again).toMatchObject({ status: 201, json: first.json });
  const more = { body: { ...body, quantities: { input_tokens: 1 } }, key: 'nothing' };
  expect(await api.send('POST', `/v1/teams/${teamId}/usage`, more)).toMatchObject(
    refusal(409, 'idempotency_conflict'),
  );
  const report = `/v1/teams/${teamId}/usage?groupBy=action,member`;
  const row = { action: 'model.gpt-5', member: 'ada', credits: '0', events: 1 };
  expect(await api.send('GET', report)).toMatchObject({
    json: { data: [row], total: { credits: '0', events: 1 } },
  });
  const csv = await api.client().fetch(report, { headers: { accept: 'text/csv' } });
  expect(await csv.text()).toBe('action,member,credits,events\r\nmodel.gpt-5,ada,0,1\r\n');
  expect(await api.send('GET', `/v1/teams/${teamId}/usage/events`)).toMatchObject({
    json: { data: [{ credits: '0', grants: [] }] },
  });
  await expectFiguresAddUp(api.database.pool);
});

test('a past balance is the balance at that time', async () => {
  const { teamId } = await api.person();
  await api.give(teamId, '10');
  const { json } = await api.send('GET', `/v1/teams/${teamId}/balance`);
  const { asOf } = z.object({ asOf: z.string() }).parse(json);
  await api.send('POST', `/v1/teams/${teamId}/usage`, { body: usage });
  const then = await api.send('GET', `/v1/teams/${teamId}/balance?at=${asOf}`);
  expect(then).toMatchObject({ status: 200, json: { available: '10', asOf } });
});
