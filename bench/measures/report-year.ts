import pg from 'pg';
import { alternate, timed } from '../interleave.ts';
import type { Finding, Measure } from '../measure.ts';
import { seedYear } from '../seed.ts';

const zones = ['UTC', 'America/Los_Angeles', 'Asia/Kathmandu'];
const yearMs = 365 * 86_400_000;

/** Reports over a year of a team with a million usage events, over HTTP, and the first report in each of three time zones. */
export const reportYearMeasure: Measure = {
  name: 'report-year',
  async run(stack) {
    const events = stack.quick ? 20_000 : 1_000_000;
    const times = stack.quick ? 3 : 60;
    const url = await stack.createDatabase();
    const amount = events.toLocaleString('en');
    const teamId = await stack.progress.step(`a team with ${amount} usage events in a year`, () =>
      seedYear(url, { events }),
    );
    const api = await stack.startApi(url);
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const from = new Date(Date.now() - yearMs).toISOString();
    let sent = 0;
    const nextZone = () => zones[sent++ % zones.length] ?? 'UTC';

    const report = (groupBy: string, timezone: string): Promise<number> =>
      timed(async () => {
        const query = new URLSearchParams({ from, groupBy, timezone });
        const headers = { authorization: `Bearer ${api.serviceKey}` };
        const response = await fetch(`${api.url}/v1/teams/${teamId}/usage?${query}`, { headers });
        const body = await response.text();
        if (response.status !== 200)
          throw new Error(`the report was answered ${response.status}: ${body.slice(0, 500)}`);
      });
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
        alternate(zones.length, { ours: () => report('day', nextZone()), baseline: scan }),
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
            ours: () => report(groupBy, nextZone()),
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
      await client.end();
      await api.program.stop();
    }
  },
};
