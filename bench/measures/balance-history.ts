import pg from 'pg';
import { alternate, timed } from '../interleave.ts';
import type { Measure } from '../measure.ts';
import { bookYear, seedYear } from '../seed.ts';

const zones = ['UTC', 'America/Los_Angeles', 'Asia/Kathmandu'];
const yearMs = 365 * 86_400_000;

/** The balance history of a year of a team with a million transfers, over HTTP, and the first one in each of three time zones. */
export const balanceHistoryMeasure: Measure = {
  name: 'balance-history',
  async run(stack) {
    const transfers = stack.quick ? 20_000 : 1_000_000;
    const times = stack.quick ? 3 : 60;
    const amount = transfers.toLocaleString('en');
    const url = await stack.createDatabase();
    const teamId = await stack.progress.step(`a team with ${amount} transfers in a year`, async () => {
      const id = await seedYear(url, { events: transfers });
      await bookYear(url, id);
      return id;
    });
    const api = await stack.startApi(url);
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const now = Date.now();
    const [from, to] = [new Date(now - yearMs).toISOString(), new Date(now).toISOString()];
    let sent = 0;

    const history = (): Promise<number> =>
      timed(async () => {
        const query = new URLSearchParams({ from, to, timezone: zones[sent++ % zones.length] ?? 'UTC' });
        const headers = { authorization: `Bearer ${api.serviceKey}` };
        const response = await fetch(`${api.url}/v1/teams/${teamId}/balance/history?${query}`, { headers });
        const body = await response.text();
        if (response.status !== 200)
          throw new Error(`the history was answered ${response.status}: ${body.slice(0, 500)}`);
      });
    const scan = () =>
      timed(() =>
        client.query('select count(*), sum(amount) from transfers where team_id = $1 and at >= $2', [
          teamId,
          from,
        ]),
      );
    const sums = () =>
      timed(async () => {
        const { rows } = await client.query(
          `select * from balance_days where team_id = $1 and timezone = 'UTC' and day >= $2 order by day`,
          [teamId, from],
        );
        return JSON.stringify(rows);
      });

    try {
      const first = await stack.progress.step('the first history in a time zone', () =>
        alternate(zones.length, { ours: history, baseline: scan }),
      );
      await client.query('vacuum (analyze) balance_days');
      const warm = await stack.progress.step('a history of a year', async () => {
        await alternate(times / 3, { ours: history, baseline: sums });
        return alternate(times, { ours: history, baseline: sums });
      });
      return [
        {
          name: 'balance-history-first',
          compares: `the first balance history of ${amount} transfers in each of ${zones.length} time zones, which stores the sums of their days; one scan that sums the transfers`,
          unit: 'ms',
          ...first,
          goal: { atMostMs: 3_000 },
        },
        {
          name: 'balance-history',
          compares: `the balance history of a year with ${amount} transfers over HTTP, warm, in ${zones.length} time zones in turn; a bare query of the same stored sums, as JSON`,
          unit: 'ms',
          ...warm,
          goal: { atMostMs: 100 },
        },
      ];
    } finally {
      await client.end();
      await api.program.stop();
    }
  },
};
