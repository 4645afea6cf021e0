import { alternate, timed } from '../interleave.ts';
import type { Measure } from '../measure.ts';
import { openYear, zones } from '../open-year.ts';

/** The balance history of a year of a team with a million transfers, over HTTP, and the first one in each of three time zones. */
export const balanceHistoryMeasure: Measure = {
  name: 'balance-history',
  async run(stack) {
    const times = stack.quick ? 3 : 60;
    const { teamId, client, from, amount, read, close } = await openYear(stack, { booked: true });
    const to = new Date().toISOString();
    const history = () => read('balance/history', { to });
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
      await close();
    }
  },
};
