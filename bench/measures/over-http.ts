import { z } from 'zod';
import { startHttpLoad } from '../http-load.ts';
import { interleave, type Run, runCallers } from '../interleave.ts';
import type { Finding, Measure } from '../measure.ts';
import { chooseRowAtATime, openRowAtATime } from '../row-at-a-time.ts';
import { checkBooks, seedLedger } from '../seed.ts';
import type { Stack } from '../stack.ts';
import { pickFrom } from '../workload.ts';

/** The API as in production, in its own processes, with load from another process over HTTP. */
export const overHttpMeasures: Measure[] = [
  { name: 'http', run: singleSpends },
  { name: 'batch', run: batches },
  { name: 'meter', run: meter },
  { name: 'processes', run: processes },
];

async function singleSpends(stack: Stack): Promise<Finding[]> {
  const { quick, progress } = stack;
  const url = await stack.createDatabase();
  const teamIds = await seedLedger(stack, url, 1_000);
  const compares = '64 HTTP connections, single spends with a service key; E: a bare Express route';
  return progress.step(compares, async () => {
    const api = await stack.startApi(url);
    const bare = await stack.start('bench/programs/bare-express.ts');
    const bareUrl = `http://127.0.0.1:${z.object({ port: z.int() }).parse(bare.ready).port}`;
    const load = await startHttpLoad(stack);
    let acknowledged = 0;
    const run = async (origin: string, seconds: number): Promise<Run> => {
      const answer = await load({
        origins: [origin],
        connections: 64,
        seconds,
        serviceKey: api.serviceKey,
        teamIds,
        batch: null,
      });
      if (origin === api.url) acknowledged += answer.acknowledged;
      return answer.run;
    };
    const seconds = quick ? 0.5 : 5;
    for (const origin of [bareUrl, api.url]) await run(origin, seconds / 2);
    const runs = await interleave(quick ? 1 : 5, {
      ours: () => run(api.url, seconds),
      baseline: () => run(bareUrl, seconds),
    });
    await Promise.all([api.program.stop(), bare.stop()]);
    await checkBooks(url, acknowledged);
    return [{ name: 'http', compares, unit: '/s', ...runs, goal: { atLeast: 0.33 } }];
  });
}

async function batches(stack: Stack): Promise<Finding[]> {
  const { quick, progress } = stack;
  const url = await stack.createDatabase();
  const teamIds = await seedLedger(stack, url, 1_000);
  const pick = () => pickFrom(teamIds);
  const callers = quick ? 100 : 1_000;
  const chosen = await chooseRowAtATime(stack, url, { callers, poolSizes: [2, 4, 8, 16, 32], pick });
  const compares =
    'events of POST /v1/usage/batch with 1,000 each, 4 connections; single debits of L in this process';
  return progress.step(compares, async () => {
    const api = await stack.startApi(url);
    const load = await startHttpLoad(stack);
    const l = await openRowAtATime(url, chosen.form, chosen.connections);
    let { acknowledged } = chosen;
    const ours = async (): Promise<Run> => {
      const { serviceKey } = api;
      const answer = await load({
        origins: [api.url],
        connections: 4,
        seconds,
        serviceKey,
        teamIds,
        batch: 1_000,
      });
      acknowledged += answer.acknowledged;
      return answer.run;
    };
    const baseline = () =>
      runCallers(callers, seconds, () => {
        acknowledged += 1;
        return l.spend(pick());
      });
    const seconds = quick ? 0.5 : 5;
    await ours();
    const runs = await interleave(quick ? 1 : 5, { ours, baseline });
    await Promise.all([api.program.stop(), l.close()]);
    await checkBooks(url, acknowledged);
    return [{ name: 'batch', compares, unit: '/s', ...runs, goal: { atLeast: 6 }, notes: chosen.tried }];
  });
}

/** Two measures: the meter's throughput beside E, and the latency of a lone caller beside single requests of the same client. */
async function meter(stack: Stack): Promise<Finding[]> {
  const { quick, progress } = stack;
  const url = await stack.createDatabase();
  const teamIds = await seedLedger(stack, url, 1_000);
  const compares = '64 callers through one meter of the client, over HTTP; E: a bare Express route';
  const comparesAlone = 'one caller through the meter; single requests of the same client';
  return progress.step(compares, async () => {
    const api = await stack.startApi(url);
    const bare = await stack.start('bench/programs/bare-express.ts');
    const bareUrl = `http://127.0.0.1:${z.object({ port: z.int() }).parse(bare.ready).port}`;
    const load = await startHttpLoad(stack);
    const service = await stack.start('bench/programs/meter-callers.ts');
    const { serviceKey } = api;
    let acknowledged = 0;
    const spend = async (callers: number, through: 'meter' | 'single requests'): Promise<Run> => {
      const message = { origin: api.url, serviceKey, teamIds, callers, seconds, through };
      const answer = callersAnswer.parse(await service.ask(message));
      acknowledged += answer.acknowledged;
      return answer.run;
    };
    const express = async (): Promise<Run> => {
      const origins = [bareUrl];
      return (await load({ origins, connections: 64, seconds, serviceKey, teamIds, batch: null })).run;
    };
    const seconds = quick ? 0.5 : 5;
    await express();
    await spend(64, 'meter');
    await spend(1, 'single requests');
    const rounds = quick ? 1 : 5;
    const runs = await interleave(rounds, { ours: () => spend(64, 'meter'), baseline: express });
    const alone = await interleave(rounds, {
      ours: () => spend(1, 'meter'),
      baseline: () => spend(1, 'single requests'),
    });
    await Promise.all([api.program.stop(), bare.stop(), service.stop()]);
    await checkBooks(url, acknowledged);
    return [
      { name: 'meter', compares, unit: '/s', ...runs, goal: { atLeast: 0.45 } },
      { name: 'meter-alone', compares: comparesAlone, unit: 'ms', ...alone, goal: { atMost: 1.5 } },
    ];
  });
}

/** Two measures: through the whole API, and with callers inside the processes, where only the team's lock matters. */
async function processes(stack: Stack): Promise<Finding[]> {
  return [await apiProcesses(stack), await ledgerProcesses(stack)];
}

async function apiProcesses(stack: Stack): Promise<Finding> {
  const { quick, progress } = stack;
  const url = await stack.createDatabase();
  const teamIds = await seedLedger(stack, url, 1);
  const compares = '4 API processes on one team, 64 HTTP connections each; one of them';
  return progress.step(compares, async () => {
    const apis = await Promise.all(Array.from({ length: 4 }, () => stack.startApi(url)));
    const load = await startHttpLoad(stack);
    const serviceKey = apis[0]?.serviceKey ?? '';
    let acknowledged = 0;
    const run = async (origins: string[], seconds: number): Promise<Run> => {
      const answer = await load({ origins, connections: 64, seconds, serviceKey, teamIds, batch: null });
      acknowledged += answer.acknowledged;
      return answer.run;
    };
    const all = apis.map((api) => api.url);
    const seconds = quick ? 0.5 : 5;
    await run(all, seconds);
    const runs = await interleave(quick ? 1 : 5, {
      ours: () => run(all, seconds),
      baseline: () => run(all.slice(0, 1), seconds),
    });
    await Promise.all(apis.map(({ program }) => program.stop()));
    await checkBooks(url, acknowledged);
    return { name: 'processes', compares, unit: '/s', ...runs, goal: { atLeast: 0.8 } };
  });
}

const callersAnswer = z.object({
  run: z.object({ perSecond: z.number(), p50: z.number(), p99: z.number() }),
  acknowledged: z.int(),
});

async function ledgerProcesses(stack: Stack): Promise<Finding> {
  const { quick, progress } = stack;
  const url = await stack.createDatabase();
  const [teamId] = await seedLedger(stack, url, 1);
  const compares = '4 processes on one team, 64 callers inside each; one of them';
  return progress.step(compares, async () => {
    const programs = await Promise.all(
      Array.from({ length: 4 }, () => stack.start('bench/programs/callers.ts', { DATABASE_URL: url })),
    );
    let acknowledged = 0;
    const run = async (some: typeof programs, seconds: number): Promise<Run> => {
      const answers = await Promise.all(
        some.map(async (program) => callersAnswer.parse(await program.ask({ callers: 64, seconds, teamId }))),
      );
      acknowledged += answers.reduce((sum, answer) => sum + answer.acknowledged, 0);
      return {
        perSecond: answers.reduce((sum, { run }) => sum + run.perSecond, 0),
        p50: Math.max(...answers.map(({ run }) => run.p50)),
        p99: Math.max(...answers.map(({ run }) => run.p99)),
      };
    };
    const seconds = quick ? 0.5 : 4;
    await run(programs, seconds);
    const runs = await interleave(quick ? 1 : 5, {
      ours: () => run(programs, seconds),
      baseline: () => run(programs.slice(0, 1), seconds),
    });
    await Promise.all(programs.map((program) => program.stop()));
    await checkBooks(url, acknowledged);
    const notes = ['p50 and p99 are those of the slowest process'];
    return { name: 'ledger-processes', compares, unit: '/s', ...runs, goal: { atLeast: 0.8 }, notes };
  });
}
