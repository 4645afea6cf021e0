import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Run } from '../interleave.ts';
import type { Measure } from '../measure.ts';
import { seedYear } from '../seed.ts';

const dayMs = 86_400_000;
const yearMs = 366 * dayMs;
const bytesPerMegabyte = 1 << 20;
/** How often the memory is read. */
const sampleMs = 250;
/** How long a slow reader stops reading. */
const stallMs = 3_000;

/** A year of usage events as a CSV file, and how much memory the API process needs while it sends it. */
export const csvMeasure: Measure = {
  name: 'csv',
  async run(stack) {
    const events = stack.quick ? 20_000 : 1_000_000;
    const amount = events.toLocaleString('en');
    const url = await stack.createDatabase();
    const teamId = await stack.progress.step(`a team with ${amount} usage events in a year`, () =>
      seedYear(url, { events }),
    );
    const api = await stack.startApi(url);

    const open = async (from: number): Promise<IncomingMessage> => {
      const path = `/v1/teams/${teamId}/usage/events?from=${new Date(from).toISOString()}`;
      const headers = {
        authorization: `Bearer ${api.serviceKey}`,
        accept: 'text/csv',
        'accept-encoding': 'gzip',
      };
      const [response]: IncomingMessage[] = await once(get(api.url + path, { headers }), 'response');
      if (response?.statusCode !== 200) throw new Error(`the file was answered ${response?.statusCode}`);
      return response;
    };
    const readMemory = async (): Promise<number> => {
      const metrics = await (await fetch(`${api.operationsUrl}/metrics`)).text();
      const [, bytes] = /^process_resident_memory_bytes (\S+)/m.exec(metrics) ?? [];
      if (bytes === undefined) throw new Error('the metrics do not contain the memory of the process');
      return Number(bytes) / bytesPerMegabyte;
    };
    /** The most memory during `work`, beyond that before it. */
    const measureGrowth = async (work: () => Promise<unknown>): Promise<number> => {
      const before = await readMemory();
      let most = before;
      const done = new AbortController();
      const sample = async () => {
        while (!done.signal.aborted) {
          most = Math.max(most, await readMemory());
          await sleep(sampleMs);
        }
      };
      await Promise.all([sample(), work().finally(() => done.abort())]);
      return most - before;
    };

    try {
      // Not measured: what the process needs for its first file, whatever its length.
      await readAll(await open(Date.now() - 7 * dayMs));
      let ours = toRun(0, events, 0);
      const growth = await stack.progress.step(`the CSV of ${amount} events`, () =>
        measureGrowth(async () => {
          const started = performance.now();
          await readAll(await open(Date.now() - yearMs));
          ours = toRun(performance.now() - started, events, 0);
        }),
      );
      const ofSlow = await stack.progress.step('a reader that stops', () =>
        measureGrowth(async () => {
          const response = await open(Date.now() - yearMs);
          await once(response, 'readable');
          await sleep(stallMs);
          response.destroy();
        }),
      );
      const baseline = await stack.progress.step('the same rows as text, in Postgres', () =>
        writeRows(url, teamId, events),
      );
      return [
        {
          name: 'csv',
          compares: `the growth of the API process while it sends the CSV of ${amount} usage events; the size of these rows as text, which one statement of Postgres writes. p50 is the time of the whole file`,
          unit: 'MB',
          ours: { ...ours, megabytes: growth },
          baseline,
          goal: { atMostMegabytes: 64 },
          notes: [
            `${Math.round(ours.perSecond).toLocaleString('en')} events/s; in Postgres ${Math.round(baseline.perSecond).toLocaleString('en')} events/s`,
            `while a reader stops for ${stallMs / 1_000} s: ${ofSlow.toFixed(1)} MB`,
          ],
        },
      ];
    } finally {
      await api.program.stop();
    }
  },
};

async function readAll(response: IncomingMessage): Promise<void> {
  await pipeline(response, new PassThrough().resume());
  if (!response.complete) throw new Error('the file ended before it was complete');
}

function toRun(ms: number, events: number, megabytes: number): Run {
  return { perSecond: (events / ms) * 1_000, p50: ms, p99: ms, megabytes };
}

/** Reads the rows of the file in Postgres and counts the bytes of their text. */
async function writeRows(url: string, teamId: string, events: number): Promise<Run> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const started = performance.now();
    const { rows } = await client.query<{ bytes: string }>(
      `select sum(length(e::text)) as bytes
         from (select id, occurred_at, recorded_at, action, lines, credits, price_version, member_id, api_key_id, run_id, step_id, tags
                 from usage_events where team_id = $1 order by occurred_at desc, id desc) as e`,
      [teamId],
    );
    return toRun(performance.now() - started, events, Number(rows[0]?.bytes) / bytesPerMegabyte);
  } finally {
    await client.end();
  }
}
