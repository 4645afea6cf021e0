import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { teamWorkflowId } from '../../workflows/messages.ts';
import { expectSoundLedger } from './sound-ledger.ts';
import { type Story, startStory } from './story.ts';

let story: Story;
beforeEach(async () => {
  story = await startStory('2040-01-31T10:00:00.000Z');
});
afterEach(async () => {
  await expectSoundLedger(story.database.pool).finally(() => story.stop());
});

test('a new team gets its trial, and unspent credits expire after 30 days', async () => {
  const team = await story.signUp('ada');
  expect(await story.balance(team)).toMatchObject({
    available: '500',
    bySource: { trial: '500' },
    nextExpiry: { at: '2040-03-01T10:00:00.000Z', credits: '500' },
  });

  await story.spend(team, 1);
  const spent = await story.balance(team);
  await story.advanceTo('2040-03-01T10:00:01Z');

  const { available, grants } = await story.balance(team);
  expect(available).toBe('0');
  expect(grants).toEqual([
    expect.objectContaining({ source: 'trial', granted: '500', available: '0', expired: spent.available }),
  ]);
});

test('two years from 31 January, with ten packs in between, renew 24 times, each on the last day of its month, and end with the exact balance and a short history', async () => {
  const team = await story.signUp('ada');
  await story.buy(team, 'pro_monthly');
  for (let month = 2; month <= 11; month += 1) {
    await story.advanceTo(new Date(Date.UTC(2040, month - 1, 15)).toISOString());
    await story.buy(team, 'pack_1000');
  }
  await story.advanceTo('2041-01-31T10:30:00Z');
  const { runs, events } = await historyOf(team);
  console.log(`a year of 12 renewals and 10 purchases: ${events} events of history, in ${runs} run(s)`);
  expect(events).toBeLessThan(1_500);
  await story.advanceTo('2042-01-31T10:30:00Z');

  expect(await story.balance(team)).toMatchObject({
    available: '16000',
    debt: '0',
    bySource: { subscription: '6000', purchase: '10000', trial: '0' },
    nextExpiry: { at: '2042-02-28T11:00:00.000Z', credits: '6000' },
  });
  const lastDays = Array.from({ length: 26 }, (_, month) => {
    const day = new Date(Date.UTC(2040, month + 1, 0));
    return `${day.toISOString().slice(0, 10)} 10:00`;
  });
  const { rows } = await story.database.pool.query(
    `select to_char(period_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as starts,
            to_char(period_end at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as ends,
            to_char(created_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as granted,
            granted / 1000000 as credits, expired / 1000000 as expired
       from grants where source = 'subscription' order by period_start`,
  );
  expect(rows).toEqual(
    Array.from({ length: 25 }, (_, cycle) => ({
      starts: lastDays[cycle],
      ends: lastDays[cycle + 1],
      granted: lastDays[cycle],
      credits: '6000',
      expired: cycle < 24 ? '6000' : '0',
    })),
  );
  expect(rows.map(({ starts }) => starts)).toEqual(
    expect.arrayContaining(['2040-02-29 10:00', '2040-03-31 10:00', '2041-02-28 10:00', '2041-04-30 10:00']),
  );
});

/** The number of history events of the team's workflow, over all its runs. */
async function historyOf(team: string): Promise<{ runs: number; events: number }> {
  const { workflow } = story.temporal;
  const sum = { runs: 0, events: 0 };
  for (let runId: string | undefined; sum.runs === 0 || runId; ) {
    const { events } = await workflow.getHandle(teamWorkflowId(team), runId).fetchHistory();
    sum.runs += 1;
    sum.events += events?.length ?? 0;
    runId = events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId ?? undefined;
  }
  return sum;
}
