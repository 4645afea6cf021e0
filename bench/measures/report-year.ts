import { alternate, timed } from '../interleave.ts';
import type { Finding, Measure } from '../measure.ts';
import { openYear, zones } from '../open-year.ts';

/** Reports over a year of a team with a million usage events, over HTTP, and the first report in each of three time zones. */
export const reportYearMeasure: Measure = {
  name: 'report-year',
  async run(stack) {
    const times = stack.quick ? 3 : 60;
    const { teamId, client, from, amount, read, close } = await openYear(stack);
    const report = (groupBy: string) => read('usage', { groupBy });
    const scan = () =>
      timed(() =>
        client.query(
          'select count(*), sum(credits) from usage_events where team_id = $1 and occurred_at >= $2',
          [teamId, from],
        ),
      );
    const sums = (dimension: string, columns: string) => () =>
      timed(async () => {
        const { rows } = await client.query(
          `select day::text, ${columns}
             from usage_days d cross join lateral unnest(d.values, d.credits, d.events) as s (value, credits, events)
            where team_id = $1 and timezone = 'UTC' and dimension = $2 and day >= $3
            ${columns.includes('sum') ? 'group by day' : ''}`,
          [teamId, dimension, from],
        );
        return JSON.stringify(rows);
      });

    try {
      const first = await stack.progress.step('the first report in a time zone', () =>
        alternate(zones.length, { ours: () => report('day'), baseline: scan }),
      );
      await client.query('vacuum (analyze) usage_days');
      const findings: Finding[] = [
        {
          name: 'report-year-first',
          compares: `the first report of ${amount} events in each of ${zones.length} time zones, which counts their days; one scan that sums the events`,
          unit: 'ms',
          ...first,
          goal: { atMostMs: 3_000 },
        },
      ];
      const reports = [
        { name: 'day', dimension: 'action', columns: 'sum(s.credits), sum(s.events)' },
        { name: 'action', dimension: 'action', columns: 's.value, s.credits, s.events' },
        { name: 'member', dimension: 'member', columns: 's.value, s.credits, s.events' },
      ];
      for (const { name, dimension, columns } of reports) {
        const groupBy = name === 'day' ? 'day' : `day,${name}`;
        const runs = await stack.progress.step(`a year by ${groupBy}`, async () => {
          const operations = {
            ours: () => report(groupBy),
            baseline: sums(dimension, columns),
          };
          await alternate(times / 3, operations);
          return alternate(times, operations);
        });
        findings.push({
          name: `report-year-${name}`,
          compares: `a report of ${amount} events by ${groupBy} over HTTP, warm, in ${zones.length} time zones in turn; a bare query of the same stored sums, as JSON`,
          unit: 'ms',
          ...runs,
          goal: { atMostMs: 20 },
        });
      }
      return findings;
    } finally {
      await close();
    }
  },
};
