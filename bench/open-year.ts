import pg from 'pg';
import { timed } from './interleave.ts';
import { bookYear, seedYear } from './seed.ts';
import type { Stack } from './stack.ts';

const yearMs = 365 * 86_400_000;
/** The requests of a measure take these in turn. */
export const zones = ['UTC', 'America/Los_Angeles', 'Asia/Kathmandu'];

/**
 * A team with a year of usage events, the API, and a connection to its database.
 * @param booked  whether the events have transfers
 */
export async function openYear(stack: Stack, { booked = false } = {}) {
  const events = stack.quick ? 20_000 : 1_000_000;
  const amount = events.toLocaleString('en');
  const url = await stack.createDatabase();
  const what = `a team with ${amount} ${booked ? 'transfers' : 'usage events'} in a year`;
  const teamId = await stack.progress.step(what, async () => {
    const id = await seedYear(url, { events });
    if (booked) await bookYear(url, id);
    return id;
  });
  const api = await stack.startApi(url);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const from = new Date(Date.now() - yearMs).toISOString();
  let sent = 0;
  return {
    teamId,
    client,
    /** A year ago. */
    from,
    /** The number of events, for people. */
    amount,
    /** The milliseconds that a request about the year takes, in the next time zone. */
    read: (path: string, query: Record<string, string>): Promise<number> =>
      timed(async () => {
        const timezone = zones[sent++ % zones.length] ?? 'UTC';
        const search = new URLSearchParams({ from, timezone, ...query });
        const headers = { authorization: `Bearer ${api.serviceKey}` };
        const response = await fetch(`${api.url}/v1/teams/${teamId}/${path}?${search}`, { headers });
        const body = await response.text();
        if (response.status !== 200)
          throw new Error(`${path} was answered ${response.status}: ${body.slice(0, 500)}`);
      }),
    async close() {
      await client.end();
      await api.program.stop();
    },
  };
}
