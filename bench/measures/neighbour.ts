import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { withClient } from '../../dev/postgres.ts';
import { startHttpLoad } from '../http-load.ts';
import { interleave } from '../interleave.ts';
import type { Finding, Measure } from '../measure.ts';
import { checkBooks, seedLedger } from '../seed.ts';

/** The number of concurrent requests of the flooding team. The next burst starts when all of the last are answered. */
interface Flood {
  name: string;
  what: string;
  burst: number;
  path(): string;
  /** Sent with PUT; without it the request is a GET. */
  body?: object;
  /** Whether another transaction holds the lock of the flooding team meanwhile. */
  locked: boolean;
}

const dayMs = 86_400_000;
const yearAgo = () => new Date(Date.now() - 365 * dayMs).toISOString();
const limit = { credits: '1000000', per: 'day' };
const floods: readonly Flood[] = [
  {
    name: 'neighbour-reports',
    what: '60 reports over a year',
    burst: 60,
    path: () => `/usage?from=${yearAgo()}&groupBy=day,action,member`,
    locked: false,
  },
  {
    name: 'neighbour-balance-at',
    what: '200 balances of the past',
    burst: 200,
    path: () => `/balance?at=${new Date(Date.now() - 30 * dayMs).toISOString()}`,
    locked: false,
  },
  {
    name: 'neighbour-limits',
    what: '400 changes of limits',
    burst: 400,
    path: () => `/limits/keys/key_${Math.floor(Math.random() * 20)}`,
    body: limit,
    locked: false,
  },
  {
    name: 'neighbour-locked',
    what: '60 changes of limits on a locked team',
    burst: 60,
    path: () => '/limits/keys/key_1',
    body: limit,
    locked: true,
  },
];

/** The time of a team's spends while another team floods the same API. A refused spend ends the bench. */
export const neighbourMeasure: Measure = {
  name: 'neighbour',
  async run(stack) {
    const url = await stack.createDatabase();
    const [noisy = '', quiet = ''] = await seedLedger(stack, url, 2);
    const api = await stack.startApi(url);
    const load = await startHttpLoad(stack);
    const seconds = stack.quick ? 0.5 : 4;
    let acknowledged = 0;
    const spend = async () => {
      const { url: origin, serviceKey } = api;
      const request = {
        origins: [origin],
        connections: 1,
        seconds,
        serviceKey,
        teamIds: [quiet],
        batch: null,
      };
      const answer = await load(request);
      acknowledged += answer.acknowledged;
      return answer.run;
    };

    await spend(); // until both are warm
    const findings: Finding[] = [];
    for (const flood of floods) {
      const compares = `single spends of one team, one connection, beside ${flood.what} of another at once; alone`;
      await stack.progress.step(compares, async () => {
        const answers = new Map<number, number>();
        const runs = await interleave(stack.quick ? 1 : 3, {
          baseline: spend,
          ours: () => beside(flood, answers, spend),
        });
        const counts = [...answers].sort().map(([status, count]) => `${status}: ${count}`);
        const notes = [`the flood was answered ${counts.join(', ')}`];
        findings.push({ name: flood.name, compares, unit: 'ms', ...runs, goal: { atMost: 5 }, notes });
      });
    }
    await api.program.stop();
    await checkBooks(url, acknowledged);
    return findings;

    async function beside<T>(flood: Flood, answers: Map<number, number>, work: () => Promise<T>): Promise<T> {
      return withClient(url, async (client) => {
        await client.query('begin');
        if (flood.locked) await client.query('select from teams where id = $1 for update', [noisy]);
        const over = new AbortController();
        const flooding = keepFlooding(flood, answers, over.signal);
        try {
          return await work();
        } finally {
          over.abort();
          await flooding;
          await client.query('rollback');
        }
      });
    }

    async function keepFlooding(
      flood: Flood,
      answers: Map<number, number>,
      over: AbortSignal,
    ): Promise<void> {
      while (!over.aborted) {
        await Promise.all(Array.from({ length: flood.burst }, () => send(flood, answers, over)));
        await sleep(50);
      }
    }

    async function send(
      { path, body }: Flood,
      answers: Map<number, number>,
      over: AbortSignal,
    ): Promise<void> {
      const response = await fetch(`${api.url}/v1/teams/${noisy}${path()}`, {
        method: body ? 'PUT' : 'GET',
        headers: {
          authorization: `Bearer ${api.serviceKey}`,
          'idempotency-key': randomUUID(),
          ...(body ? { 'content-type': 'application/json' } : {}),
        },
        ...(body ? { body: JSON.stringify(body) } : {}),
        signal: over,
      }).catch(() => null);
      if (!response) return;
      await response.arrayBuffer().catch(() => null);
      answers.set(response.status, (answers.get(response.status) ?? 0) + 1);
    }
  },
};
