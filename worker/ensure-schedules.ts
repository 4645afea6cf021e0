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
  /** What each run is given; nothing, unless said. */
  args?: unknown[];
  summary: string;
}

const schedules: readonly Schedule[] = [
  {
    scheduleId: maintenanceScheduleId,
    workflowType: maintenanceType,
    spec: { intervals: [{ every: '1 hour', offset: '7 minutes' }] },
    summary: 'Makes partitions ahead, closes months, deletes old keys, cuts old payloads',
  },
  {
    scheduleId: verifyLedgerScheduleId,
    workflowType: verifyLedgerType,
    spec: { calendars: [{ hour: 3, minute: 37 }] }, // UTC
    summary: 'Proves the rules of the ledger',
  },
  {
    scheduleId: reconcileScheduleId,
    workflowType: reconcileType,
    spec: { intervals: [{ every: '30 minutes', offset: '11 minutes' }] },
    summary: 'Repairs what Polar’s webhooks did not tell, from what is recent there',
  },
  {
    scheduleId: reconcileEverythingScheduleId,
    workflowType: reconcileType,
    spec: { calendars: [{ hour: 4, minute: 23 }] }, // UTC
    args: [{ everything: true }],
    summary: 'Compares everything at Polar with the ledger',
  },
];

/** Schedules of earlier releases: they are deleted. */
const retired = ['sweep-holds'];

/** A run that was missed is made up for so long afterwards; one missed run is enough. */
const catchupWindow = '1 hour';
/** How long the server may take to answer, and the pause before it is asked again, in milliseconds. */
const patience = 2_000;
const retryEvery = 2_000;
/** gRPC's code of a server that has no schedules: the one that skips time, for tests. */
const unimplemented = 12;

/**
 * Makes the schedules, or brings those that are there up to date; one that an operator has paused stays paused. Any
 * number of workers may do it at once. Goes on until it is done or `signal` says stop; never rejects.
 */
export async function ensureSchedules(temporal: TemporalClient, signal: AbortSignal): Promise<void> {
  for (let told = false; !signal.aborted; ) {
    try {
      for (const id of retired) await temporal.call(patience, (client) => deleteSchedule(client, id));
      for (const schedule of schedules) {
        await temporal.call(patience, (client) => ensureSchedule(client, schedule));
      }
      return;
    } catch (error) {
      if (signal.aborted) return;
      if (isUnimplemented(error)) return log.debug('This Temporal server has no schedules');
      if (!told) log.warn({ err: error }, 'The schedules cannot be made yet; tried again until they are');
      told = true;
      await setTimeout(retryEvery, undefined, { signal }).catch(() => {});
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
