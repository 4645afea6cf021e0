import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type Story, startStory } from './story.ts';

let story: Story;
beforeEach(async () => {
  story = await startStory('2040-01-31T10:00:00.000Z');
});
afterEach(() => story.stop());

test('a new team gets its trial, and what it does not spend expires after 30 days', async () => {
  const team = await story.signUp('ada');
  expect(await story.balance(team)).toMatchObject({
    available: '500',
    bySource: { trial: '500' },
    nextExpiry: { at: '2040-03-01T10:00:00.000Z', credits: '500' },
  });

  await story.call('POST', `/v1/teams/${team}/usage`, { action: 'workflow.run', quantities: { runs: 2 } });
  const spent = await story.balance(team);
  await story.advanceTo('2040-03-01T10:00:01Z');

  const { available, grants } = await story.balance(team);
  expect(available).toBe('0');
  expect(grants).toEqual([
    expect.objectContaining({ source: 'trial', granted: '500', available: '0', expired: spent.available }),
  ]);
});

test('twelve monthly renewals with the anchor on the 31st end in the exact balance', async () => {
  const team = await story.signUp('ada');
  await story.buy(team, 'pack_1000');
  await story.buy(team, 'pro_monthly');
  await story.advanceTo('2041-01-31T10:30:00Z');

  const balance = await story.balance(team);
  expect(balance).toMatchObject({
    available: '7000',
    bySource: { subscription: '6000', purchase: '1000', trial: '0' },
  });
  const cycles = balance.grants.filter((grant) => grant.source === 'subscription');
  expect(cycles).toHaveLength(13);
  const { rows } = await story.database.pool.query<{ start: string }>(
    `select to_char(period_start at time zone 'UTC', 'YYYY-MM-DD') as start from grants where source = 'subscription' order by period_start`,
  );
  expect(rows.map(({ start }) => start)).toEqual([
    '2040-01-31',
    '2040-02-29',
    '2040-03-31',
    '2040-04-30',
    '2040-05-31',
    '2040-06-30',
    '2040-07-31',
    '2040-08-31',
    '2040-09-30',
    '2040-10-31',
    '2040-11-30',
    '2040-12-31',
    '2041-01-31',
  ]);
});
