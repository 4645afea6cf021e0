import { setTimeout } from 'node:timers/promises';
import {
  type Client,
  isGrpcServiceError,
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  type ScheduleSpec,
} from '@temporalio/client';
import { log } from '../log.ts';
import type { TemporalClient } from '../temporal-client.ts';
import { taskQueue } from '../workflows/messages.ts';
import {
  maintenanceScheduleId,
  maintenanceType,
  reconcileEverythingScheduleId,
  reconcileScheduleId,
  reconcileType,
  verifyLedgerScheduleId,
  verifyLedgerType,
} from '../workflows/schedules.ts';

interface Schedule {
  scheduleId: string;
  workflowType: string;
  spec: ScheduleSpec;
  /** The input of each run; default: none. */
  args?: unknown[];
  summary: string;
}

const schedules: readonly Schedule[] = [
  {
    scheduleId: maintenanceScheduleId,
    workflowType: maintenanceType,
    spec: { intervals: [{ every: '1 hour', offset: '7 minutes' }] },
    summary:
      'Creates partitions, closes months, deletes old keys, reduces old payloads, sends notices of expiring credits, counts days for reports',
  },
  {
    scheduleId: verifyLedgerScheduleId,
    workflowType: verifyLedgerType,
    spec: { calendars: [{ hour: 3, minute: 37 }] }, // UTC
    summary: 'Checks the rules of the ledger',
  },
  {
    scheduleId: reconcileScheduleId,
    workflowType: reconcileType,
    spec: { intervals: [{ every: '30 minutes', offset: '11 minutes' }] },
    summary: 'Compares recent objects at Polar with the ledger and repairs differences',
  },
  {
    scheduleId: reconcileEverythingScheduleId,
    workflowType: reconcileType,
    spec: { calendars: [{ hour: 4, minute: 23 }] }, // UTC
    args: [{ everything: true }],
    summary: 'Compares everything at Polar with the ledger',
  },
];

/** Schedules of earlier releases. They are deleted. */
const retired = ['sweep-holds'];

/** A missed run is started within this time; one of several missed runs is enough. */
const catchupWindow = '1 hour';
/** How long the server may take to answer, and the pause before a retry, in milliseconds. */
const answerTimeoutMs = 2_000;
const retryPauseMs = 2_000;
/** gRPC's code of a server without schedules: the one that skips time, for tests. */
const unimplemented = 12;

/**
 * Creates or updates the schedules. A schedule that an operator has paused stays paused. Any number of workers may do
 * it at once. Retries until it is done or `signal` aborts it; never rejects. Close the connection only after it has
 * ended: if a retry finds its channel closed, the client throws an error that nobody can catch.
 */
export async function ensureSchedules(temporal: TemporalClient, signal: AbortSignal): Promise<void> {
  for (let warned = false; !signal.aborted; ) {
    try {
      for (const id of retired) await temporal.call(answerTimeoutMs, (client) => deleteSchedule(client, id));
      for (const schedule of schedules) {
        await temporal.call(answerTimeoutMs, (client) => ensureSchedule(client, schedule));
      }
      return;
    } catch (error) {
      if (signal.aborted) return;
      if (isUnimplemented(error)) return log.debug('This Temporal server has no schedules');
      if (!warned) log.warn({ err: error }, 'The schedules cannot be created yet; the worker retries');
      warned = true;
      await setTimeout(retryPauseMs, undefined, { signal }).catch(() => {});
    }
  }
}

async function ensureSchedule(
  client: Client,
  { scheduleId, workflowType, spec, summary, args = [] }: Schedule,
): Promise<void> {
  const definition = {
    spec,
    action: {
      type: 'startWorkflow' as const,
      workflowId: scheduleId,
      workflowType,
      taskQueue,
      args,
      staticSummary: summary,
    },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow },
  };
  try {
    await client.schedule.create({ scheduleId, ...definition });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    await client.schedule.getHandle(scheduleId).update(({ state }) => ({ ...definition, state }));
  }
}

async function deleteSchedule(client: Client, id: string): Promise<void> {
  try {
    await client.schedule.getHandle(id).delete();
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
  }
}

function isUnimplemented(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return [error, cause].some((one) => isGrpcServiceError(one) && one.code === unimplemented);
}
