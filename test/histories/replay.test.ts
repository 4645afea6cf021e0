import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import proto from '@temporalio/proto';
import { Worker } from '@temporalio/worker';
import { z } from 'zod';
import { installRuntime } from '../../worker/install-runtime.ts';
import { bundleWorkflows } from '../../worker/start-worker.ts';

const recorded = z.object({
  workflowId: z.string(),
  history: z.object({ events: z.array(z.looseObject({ eventType: z.string() })).min(1) }),
});

const folder = new URL('.', import.meta.url).pathname;
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.json'),
);
const histories = files.map((name) => ({
  name,
  ...recorded.parse(JSON.parse(readFileSync(join(folder, name), 'utf8'))),
}));

test('every history that was ever recorded replays with today’s workflows', async () => {
  installRuntime();
  const workflowBundle = await bundleWorkflows();
  const replayed: string[] = [];
  for (const { name, workflowId, history: json } of histories) {
    const history = proto.temporal.api.history.v1.History.fromObject(json);
    for await (const { error } of Worker.runReplayHistories({ workflowBundle }, [{ workflowId, history }])) {
      replayed.push(error ? `${name}: ${error.message}` : name);
    }
  }
  expect(replayed).toEqual(files);
}, 120_000);

test('the recorded histories show what workflows do: timers, updates, continue-as-new', () => {
  const seen = new Set(histories.flatMap(({ history }) => history.events.map(({ eventType }) => eventType)));
  for (const type of [
    'EVENT_TYPE_TIMER_FIRED',
    'EVENT_TYPE_TIMER_CANCELED',
    'EVENT_TYPE_MARKER_RECORDED', // local activities
    'EVENT_TYPE_ACTIVITY_TASK_COMPLETED',
    'EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED',
    'EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED',
    'EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW',
  ])
    expect(seen).toContain(type);
});
