import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { z } from 'zod';
import { interleave, median, percentile, toRun } from '../../bench/interleave.ts';
import { isMet, ratioOf } from '../../bench/measure.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'waveloom-bench-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const report = z.object({
  machine: z.object({ cpus: z.int().positive(), postgres: z.string().startsWith('PostgreSQL 18') }),
  measures: z.array(
    z.object({
      name: z.string(),
      value: z.number().nonnegative(),
      unit: z.enum(['/s', 'ms', 'MB']),
      baseline: z.number().positive(),
      ratio: z.number().nonnegative(),
      goal: z.string().regex(/^[≥≤] [\d.,]+( ms| MB)?$/),
      met: z.null(),
      p50: z.number().positive(),
      p99: z.number().positive(),
      baselineP50: z.number().positive(),
      baselineP99: z.number().positive(),
    }),
  ),
});

test('the whole bench runs, with every measure beside its baseline, and a short run is not compared with the goals', async () => {
  const file = join(directory, 'bench.json');
  const release = await occupyUsualPorts();
  const { code, output } = await bench({}, '--quick', '--json', file);
  release();
  expect({ code, output }).toMatchObject({ code: 0 });
  const { measures } = report.parse(JSON.parse(await readFile(file, 'utf8')));
  expect(measures.map(({ name }) => name)).toEqual([
    'sign-up',
    'webhook',
    'burst',
    'teams',
    'hot-team',
    'holds',
    'alone',
    'http',
    'batch',
    'meter',
    'meter-alone',
    'processes',
    'ledger-processes',
    'large-team-spend',
    'large-team-adjust',
    'large-team-renewal',
    'neighbour-reports',
    'neighbour-balance-at',
    'neighbour-limits',
    'neighbour-locked',
    'report-year-first',
    'report-year-day',
    'report-year-action',
    'report-year-member',
    'balance-history-first',
    'balance-history',
    'csv',
    'page-load',
    'page-draw',
    'history-spend',
    'history-balance',
  ]);
  for (const { name } of measures) expect(output).toContain(name);
}, 300_000);

test('a measure that does not exist, or a file that cannot be written, is reported before anything starts', async () => {
  expect(await bench({}, '--only', 'teams,speed')).toMatchObject({
    code: 2,
    output: expect.stringContaining('There is no measure speed'),
  });
  expect(await bench({}, '--json', join(directory, 'nowhere', 'bench.json'))).toMatchObject({ code: 2 });
});

test('a bench that is stopped shows the measures so far', async () => {
  const { code, output } = await bench({ stopAt: 'alone: ' }, '--quick', '--only', 'alone,http');
  expect(code).toBe(130);
  expect(output).toMatch(/^measure +ours/m);
  expect(output).toMatch(/^alone +[\d.,]+ ms/m);
  expect(output).not.toMatch(/^http/m);
}, 120_000);

test('ours and the baseline run alternately, and the median of the rounds counts', async () => {
  const turns: string[] = [];
  const round = (who: string, figures: number[]) => async () => {
    turns.push(who);
    const perSecond = figures.shift() ?? Number.NaN;
    return { perSecond, p50: 1, p99: 2 };
  };
  const runs = await interleave(3, {
    ours: round('ours', [50, 10, 60]),
    baseline: round('baseline', [10, 90, 8]),
  });
  expect(turns).toEqual(['baseline', 'ours', 'baseline', 'ours', 'baseline', 'ours']);
  expect(runs).toEqual({
    ours: { perSecond: 50, p50: 1, p99: 2 },
    baseline: { perSecond: 10, p50: 1, p99: 2 },
  });
});

test('more throughput is better, and less time or memory is better', () => {
  const run = { perSecond: 100, p50: 3, p99: 9 };
  const finding = { name: 'x', compares: '', ours: run, baseline: { perSecond: 20, p50: 2, p99: 4 } };
  expect(ratioOf({ ...finding, unit: '/s', goal: { atLeast: 5 } })).toBe(5);
  expect(isMet({ ...finding, unit: '/s', goal: { atLeast: 5 } })).toBe(true);
  expect(isMet({ ...finding, unit: '/s', goal: { atLeast: 5.1 } })).toBe(false);
  expect(ratioOf({ ...finding, unit: 'ms', goal: { atMost: 1.2 } })).toBe(1.5);
  expect(isMet({ ...finding, unit: 'ms', goal: { atMost: 1.2 } })).toBe(false);
  expect(isMet({ ...finding, unit: 'ms', goal: { atMostMs: 3 } })).toBe(true);
  expect(isMet({ ...finding, unit: 'ms', goal: { atMostMs: 2.9 } })).toBe(false);
  const memory = { ...finding, unit: 'MB', ours: { ...run, megabytes: 5 } } as const;
  expect(isMet({ ...memory, goal: { atMostMegabytes: 5 } })).toBe(true);
  expect(isMet({ ...memory, goal: { atMostMegabytes: 4.9 } })).toBe(false);
});

test('percentiles are measured values', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
  expect([50, 99, 100].map((percent) => percentile(hundred, percent))).toEqual([50, 99, 100]);
  expect(percentile([7], 99)).toBe(7);
  expect(percentile([], 50)).toBeNaN();
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(toRun([2, 9, 1], 500)).toEqual({ perSecond: 6, p50: 2, p99: 9 });
});

/** @param stopAt  after this output the bench gets SIGTERM */
async function bench(
  { stopAt }: { stopAt?: string },
  ...args: string[]
): Promise<{ code: unknown; output: string }> {
  const script = join(import.meta.dirname, '../../bench/bench.ts');
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk;
      if (stopAt !== undefined && !child.killed && output.includes(stopAt)) child.kill('SIGTERM');
    });
  }
  const [code] = await once(child, 'close');
  return { code, output };
}

/** Listens on the default ports of API and worker, as `npm start` does. If one is in use, nothing needs to be done. */
async function occupyUsualPorts(): Promise<() => void> {
  const servers = [3000, 9464, 9465].map((port) => createServer().listen(port));
  await Promise.all(servers.map((server) => once(server, 'listening').catch(() => {})));
  return () => {
    for (const server of servers) server.close();
  };
}
