import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parser } from '@prometheus-io/lezer-promql';
import { Client, Connection } from '@temporalio/client';
import { parse } from 'yaml';
import { z } from 'zod';
import { freePort } from '../../dev/free-port.ts';
import { startPart } from '../../dev/part.ts';
import { startTemporalServer } from '../../dev/temporal-server.ts';
import { taskQueue } from '../../workflows/messages.ts';
import { firstKey, polarToken, startApi, webhookSecret } from '../api/running-api.ts';
import { logCopy } from '../setup/log-copy.ts';
import { temporalCli } from '../setup/temporal.ts';

const read = (path: string) => readFileSync(new URL(`../../docs/${path}`, import.meta.url), 'utf8');
const { groups } = z
  .object({
    groups: z.array(
      z.object({
        rules: z.array(
          z.strictObject({
            alert: z.string(),
            expr: z.string(),
            for: z.string().optional(),
            labels: z.strictObject({ severity: z.enum(['page', 'ticket']) }),
            annotations: z.strictObject({ summary: z.string(), action: z.string(), runbook: z.string() }),
          }),
        ),
      }),
    ),
  })
  .parse(parse(read('monitoring/alerts.yaml')));
const alerts = groups.flatMap(({ rules }) => rules);
const { panels } = z
  .object({
    panels: z.array(z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })) })),
  })
  .parse(JSON.parse(read('monitoring/dashboard.json')));

const expressions: [name: string, expr: string][] = [
  ...alerts.map(({ alert, expr }): [string, string] => [alert, expr]),
  ...panels.flatMap(({ title, targets }) => targets.map(({ expr }): [string, string] => [title, expr])),
];

/** The labels of each series that the two processes expose, by its name. */
let exposed: Map<string, Set<string>>;
let text: string;
let member: { id: string; teamId: string };

const cleanUp: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const step of cleanUp.reverse()) await step();
});

/** An API and a worker that have done some work, of which some failed. */
beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'waveloom-monitoring-'));
  cleanUp.push(() => rm(directory, { recursive: true, force: true }));
  const logFile = join(directory, 'log');
  const temporal = await startTemporalServer({ executable: temporalCli(), logFile });
  cleanUp.push(() => temporal.part.stop());
  const api = await startApi({ temporal: temporal.address });
  cleanUp.push(() => api.stop());
  const port = await freePort();
  const worker = await startPart({
    name: 'worker',
    command: process.execPath,
    args: [new URL('../../worker/main.ts', import.meta.url).pathname],
    env: {
      PATH: process.env.PATH ?? '',
      ...logCopy,
      LOG_LEVEL: 'silent',
      DATABASE_URL: api.applicationUrl,
      TEMPORAL_ADDRESS: temporal.address,
      POLAR_ACCESS_TOKEN: polarToken,
      POLAR_SERVER: api.polarUrl,
      POLAR_WEBHOOK_SECRET: webhookSecret,
      WORKER_OPERATIONS_PORT: String(port),
    },
    logFile,
    saysReady: true,
  });
  cleanUp.push(() => worker.stop());

  member = await api.person('mallory_the_metered');
  const usage = { action: 'workflow.run', quantities: { runs: 1 } };
  await api.give(member.teamId, '10');
  expect(
    await api.send('POST', `/v1/teams/${member.teamId}/usage`, { as: firstKey, body: usage }),
  ).toMatchObject({ status: 201 });
  await api.send('GET', `/v1/teams/${member.teamId}/invoices`);

  // A ledger with a broken rule, and a workflow whose code does not exist.
  const owner = await api.database.pool.connect();
  await owner.query('begin');
  await owner.query('set local session_replication_role = replica');
  await owner.query('delete from transfers where team_id = $1', [member.teamId]);
  await owner.query('commit');
  owner.release();
  const connection = await Connection.connect({ address: temporal.address });
  cleanUp.push(() => connection.close());
  const { workflow } = new Client({ connection });
  await workflow.start('verifyLedger', { taskQueue, workflowId: 'verify-ledger' });
  await workflow.start('unknownWorkflow', { taskQueue, workflowId: 'unknown' });

  const expected = ['temporal_workflow_failed_total', 'temporal_workflow_task_execution_failed_total'];
  do {
    await setTimeout(200);
    const urls = [`${api.operationsUrl}/metrics`, `http://127.0.0.1:${port}/metrics`];
    text = (await Promise.all(urls.map(async (url) => (await fetch(url)).text()))).join('\n');
    exposed = seriesOf(text);
  } while (!expected.every((name) => exposed.has(name)));
}, 120_000);

test('every expression of an alert or a panel is valid and names only metrics and labels that exist', () => {
  expect(expressions.length).toBeGreaterThan(30);
  for (const [name, expr] of expressions) {
    const { metrics, labels, valid } = namesIn(expr.replaceAll('$__rate_interval', '5m'));
    const unknown = metrics.filter((metric) => !exposed.has(metric) && metric !== 'up');
    const possible = new Set(['le', 'job', 'instance']);
    for (const metric of metrics) for (const label of exposed.get(metric) ?? []) possible.add(label);
    // One of our metrics without a sample says nothing about its labels.
    const silent = metrics.some((metric) => exposed.get(metric)?.size === 0);
    const wrong = silent ? [] : labels.filter((label) => !possible.has(label));
    expect({ name, valid, count: metrics.length > 0, unknown, wrong }).toEqual({
      name,
      valid: true,
      count: true,
      unknown: [],
      wrong: [],
    });
  }
});

test('every alert says what to do, and names a section of the operators’ guide', () => {
  const sections = [...read('operations.md').matchAll(/^## (.+)$/gm)].map(([, title]) => title);
  for (const { annotations } of alerts) {
    expect(annotations.action).toMatch(/^[A-Z0-9].{20,}\.$/);
    expect(sections).toContain(annotations.runbook);
  }
  expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length);
});

test('the monitoring page names each of our metrics, and no other', () => {
  const ours = [...text.matchAll(/^# TYPE (billing_\w+)/gm)].map(([, name]) => name);
  const named = [...read('monitoring/README.md').matchAll(/`(billing_\w+)`/g)].map(([, name]) => name);
  expect([...new Set(named)].sort()).toEqual([...new Set(ours)].sort());
});

test('metrics contain no id, name or e-mail, and each of our metrics has few series', () => {
  for (const secret of [member.id, member.teamId, 'example.com', firstKey, polarToken])
    expect(text).not.toContain(secret);
  const counts = Map.groupBy(
    [...text.matchAll(/^(billing_\w+?)(?:_bucket|_sum)?(\{[^}]*\})? /gm)],
    ([, name]) => name,
  );
  for (const [name, series] of counts)
    expect({ name, few: series.length < 1_000 }).toEqual({ name, few: true });
});

/** `# TYPE` lines also name metrics without samples. */
function seriesOf(metrics: string): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const [, name = '', type] of metrics.matchAll(/^# TYPE (\S+) (\S+)$/gm))
    for (const suffix of type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''])
      found.set(name + suffix, new Set());
  for (const [, name = '', labels = ''] of metrics.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
    const known = found.get(name) ?? new Set();
    for (const [, label = ''] of labels.matchAll(/(?:^|,)(\w+)="/g)) known.add(label);
    found.set(name, known);
  }
  return found;
}

function namesIn(expr: string): { metrics: string[]; labels: string[]; valid: boolean } {
  const metrics: string[] = [];
  const labels: string[] = [];
  let valid = true;
  parser.parse(expr).iterate({
    enter({ type, from, to, node }) {
      if (type.isError) valid = false;
      if (type.name === 'Identifier' && node.parent?.type.name === 'VectorSelector')
        metrics.push(expr.slice(from, to));
      if (type.name === 'LabelName') labels.push(expr.slice(from, to));
    },
  });
  return { metrics, labels, valid };
}
