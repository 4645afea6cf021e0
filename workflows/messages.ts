import type { Client } from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import { defineSignal, defineUpdate } from '@temporalio/workflow';
import { z } from 'zod';

/**
 * The names that callers, the worker and the workflows share. They are part of running histories and of
 * other programs: a name here is never changed.
 */
export const taskQueue = 'billing';
export const teamLifecycleType = 'teamLifecycle';

/** Search attributes that operators filter by. No personal data belongs in them. */
export const planAttribute = defineSearchAttributeKey('Plan', 'KEYWORD');
export const subscriptionStatusAttribute = defineSearchAttributeKey('SubscriptionStatus', 'KEYWORD');
export const nextCreditExpiryAttribute = defineSearchAttributeKey('NextCreditExpiry', 'DATETIME');

/** The id of a team's one workflow. */
export function teamWorkflowId(teamId: string): string {
  return `team/${teamId}`;
}

/** An inbox row awaits this team's workflow. Carries only the row's id; the row says what happened. */
export const inboxEventMessage = z.strictObject({ inboxId: z.uuid() });
export type InboxEventMessage = z.infer<typeof inboxEventMessage>;
export const inboxEventSignal = defineSignal<[InboxEventMessage]>('inboxEvent');

/**
 * An operator's request to a team's workflow: this parked event is tried again now. The answer comes when it is in the
 * queue, not when it was tried.
 */
export const retryMessage = z.strictObject({ inboxId: z.uuid(), by: z.string().min(1).max(100) });
export type Retry = z.infer<typeof retryMessage>;
export const retryUpdate = defineUpdate<void, [Retry]>('retry');

/** An operator's word to a run of the reconciliation: this large repair may be made. */
export const approvalMessage = z.strictObject({ inboxId: z.uuid(), by: z.string().min(1).max(100) });
export type Approval = z.infer<typeof approvalMessage>;
export const approveUpdate = defineUpdate<void, [Approval]>('approve');

/** What a team's workflow is started with. `state` is carried over by continue-as-new and absent at the first start. */
export interface TeamLifecycleInput {
  teamId: string;
  state?: { queue: string[]; recent: string[] };
}

/**
 * Tells a team's workflow about an inbox row, and starts the workflow where it is not running. Needs no worker;
 * telling twice is harmless.
 */
export async function signalInboxEvent(client: Client, teamId: string, inboxId: string): Promise<void> {
  await client.workflow.signalWithStart(teamLifecycleType, {
    ...teamLifecycleOf(teamId),
    signal: inboxEventSignal,
    signalArgs: [{ inboxId }],
  });
}

/** Starts a team's workflow. Rejects with `WorkflowExecutionAlreadyStartedError` where it runs. */
export async function startTeamLifecycle(client: Client, teamId: string): Promise<void> {
  await client.workflow.start(teamLifecycleType, teamLifecycleOf(teamId));
}

function teamLifecycleOf(teamId: string) {
  const input: TeamLifecycleInput = { teamId };
  return {
    workflowId: teamWorkflowId(teamId),
    taskQueue,
    args: [input],
    staticSummary: 'A team’s trial, subscription, purchases and expiry',
  };
}
