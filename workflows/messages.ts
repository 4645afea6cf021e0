import type { Client } from '@temporalio/client';
import { defineSearchAttributeKey, WorkflowNotFoundError } from '@temporalio/common';
import { defineSignal, defineUpdate } from '@temporalio/workflow';

/**
 * The names that callers, the worker and the workflows share. Running histories and other programs contain them, so a
 * name here never changes.
 */
export const taskQueue = 'billing';
export const teamLifecycleType = 'teamLifecycle';

/** Search attributes that operators filter by. No personal data belongs in them. */
export const planAttribute = defineSearchAttributeKey('Plan', 'KEYWORD');
export const subscriptionStatusAttribute = defineSearchAttributeKey('SubscriptionStatus', 'KEYWORD');
export const nextCreditExpiryAttribute = defineSearchAttributeKey('NextCreditExpiry', 'DATETIME');

/** How many events of the team are parked. */
export const parkedEventsAttribute = defineSearchAttributeKey('ParkedEvents', 'INT');

/** The id of a team's one workflow. */
export function teamWorkflowId(teamId: string): string {
  return `team/${teamId}`;
}

/**
 * An inbox row waits for this team's workflow. Contains what is needed to choose and to name the next step: the row's
 * id and type. The step reads the rest from the row. No personal data.
 */
export interface InboxEventMessage {
  inboxId: string;
  type: string;
  /** What a paid order is for; absent for every other type. */
  pays?: 'purchase' | 'cycle' | 'change';
  /** Catalog key, amount and status, as far as known: for the step's summary only. */
  about?: string;
  /** Further events: the number of signals of a workflow is limited, so one signal may name many events. */
  more?: InboxEventMessage[];
}
export const inboxEventSignal = defineSignal<[InboxEventMessage]>('inboxEvent');

/** The inbox row of an operator's request, and the operator: 1 to 100 characters. */
export interface OperatorMessage {
  inboxId: string;
  by: string;
}

/**
 * An operator's request to a team's workflow to retry this parked event now. It is answered when the event is in the
 * queue, before the retry.
 */
export const retryUpdate = defineUpdate<void, [OperatorMessage]>('retry');

/** An operator's reason for settling a parked event without applying it: 1 to 500 characters. */
export interface DismissMessage extends OperatorMessage {
  reason: string;
}
/** An operator's request to dismiss this parked event of the team: it is never applied. Answered after it is stored. */
export const dismissUpdate = defineUpdate<void, [DismissMessage]>('dismiss');

/** An operator's assignment of a parked event to the team of this workflow, and to a catalog key if given. */
export interface AssignMessage extends OperatorMessage {
  product?: string | null;
  reason?: string | null;
}
/** An operator's request to assign this parked event to this team. Answered after it is stored. */
export const assignUpdate = defineUpdate<void, [AssignMessage]>('assign');

/** An operator's approval of a large repair, sent to a run of the reconciliation. */
export const approveUpdate = defineUpdate<void, [OperatorMessage]>('approve');

// Checked without a schema library, because each starting workflow would load it, and take longer for that than for
// all its other first steps.

/** The events of a signal; none if it carries none. */
export function readInboxEvents(message: unknown): InboxEventMessage[] {
  const first = readInboxEvent(message);
  if (first === null || typeof message !== 'object' || message === null) return [];
  const more: unknown[] = 'more' in message && Array.isArray(message.more) ? message.more : [];
  return [first, ...more.map(readInboxEvent).filter((event) => event !== null)];
}

function readInboxEvent(message: unknown): InboxEventMessage | null {
  const inboxId = readInboxId(message);
  if (typeof message !== 'object' || message === null || !('type' in message) || inboxId === null)
    return null;
  const { type } = message;
  if (typeof type !== 'string') return null;
  const pays = 'pays' in message ? payments.find((one) => one === message.pays) : undefined;
  const about = 'about' in message && typeof message.about === 'string' ? message.about : undefined;
  return { inboxId, type, ...(pays && { pays }), ...(about && { about }) };
}

const payments = ['purchase', 'cycle', 'change'] as const;

function readInboxId(message: unknown): string | null {
  if (typeof message !== 'object' || message === null || !('inboxId' in message)) return null;
  return isInboxId(message.inboxId) ? message.inboxId : null;
}

function isInboxId(value: unknown): value is string {
  return typeof value === 'string' && uuid.test(value);
}

/** @throws Error that says what an operator's update must contain */
export function readOperatorMessage(message: unknown): OperatorMessage {
  const inboxId = readInboxId(message);
  const by = typeof message === 'object' && message !== null && 'by' in message ? message.by : undefined;
  if (inboxId === null) throw new Error('inboxId: expected the id of an inbox row (a UUID)');
  if (typeof by !== 'string' || by.length < 1 || by.length > 100) {
    throw new Error('by: expected the name of the operator (1 to 100 characters)');
  }
  return { inboxId, by };
}

/** @throws Error that says what a dismissal must contain */
export function readDismissMessage(message: unknown): DismissMessage {
  const reason = textIn(message, 'reason', 500);
  if (reason === null) throw new Error('reason: expected the reason of the dismissal (1 to 500 characters)');
  return { ...readOperatorMessage(message), reason };
}

/** @throws Error that says what an assignment must contain */
export function readAssignMessage(message: unknown): Required<AssignMessage> {
  return {
    ...readOperatorMessage(message),
    product: textIn(message, 'product', 40),
    reason: textIn(message, 'reason', 500),
  };
}

/** @returns null if it is absent @throws Error if it is not a text of the allowed length */
function textIn(message: unknown, field: 'product' | 'reason', longest: number): string | null {
  if (typeof message !== 'object' || message === null) return null;
  const value: unknown = Object.entries(message).find(([name]) => name === field)?.[1];
  if (value === undefined || value === null) return null;
  if (typeof value !== 'string' || value.length < 1 || value.length > longest)
    throw new Error(`${field}: expected a text of 1 to ${longest} characters`);
  return value;
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The input of a team's workflow. `state` is carried over by continue-as-new, and absent at the first start. */
export interface TeamLifecycleInput {
  teamId: string;
  state?: { waiting: InboxEventMessage[] };
}

/**
 * Signals inbox rows to their team's workflow, all with one signal, and starts the workflow if it is not running. Needs no
 * worker; the same again is harmless.
 */
export async function signalInboxEvents(
  client: Client,
  teamId: string,
  [event, ...more]: readonly [InboxEventMessage, ...InboxEventMessage[]],
): Promise<void> {
  const message: InboxEventMessage = more.length > 0 ? { ...event, more } : event;
  // Almost every team's workflow runs, and a signal alone is faster than one that could also start it.
  const isNew = event.type === 'team.created';
  if (!isNew && (await signalRunning(client, teamId, message))) return;
  await client.workflow.signalWithStart(teamLifecycleType, {
    ...teamLifecycleOf(teamId),
    signal: inboxEventSignal,
    signalArgs: [message],
  });
}

/** @returns false if the team's workflow is not running */
async function signalRunning(client: Client, teamId: string, message: InboxEventMessage): Promise<boolean> {
  try {
    await client.workflow.getHandle(teamWorkflowId(teamId)).signal(inboxEventSignal, message);
    return true;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}

/** Why a signal failed, in one line; and whether the server could not be reached, rather than refused it. */
export function explainSignalFailure(error: unknown): { reason: string; unreachable: boolean } {
  const { message, cause } = error instanceof Error ? error : { message: String(error) };
  const code = isNumbered(cause) ? cause.code : undefined;
  return {
    reason: cause instanceof Error ? `${message}: ${cause.message}` : message,
    unreachable: code === undefined || unreachableCodes.includes(code),
  };
}

/** gRPC's CANCELLED, DEADLINE_EXCEEDED and UNAVAILABLE. https://grpc.io/docs/guides/status-codes */
const unreachableCodes = [1, 4, 14];

function isNumbered(error: unknown): error is { code: number } {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'number';
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

/** The workflow of a webhook endpoint, with the id `webhook-endpoint/{endpointId}`. */
const deliverWebhooksType = 'deliverWebhooks';

export interface DeliverWebhooksInput {
  endpointId: string;
}

/** The endpoint has messages to deliver. */
export const deliverSignal = defineSignal('deliver');

/** Signals an endpoint's workflow, and starts it if it is not running. The same again is harmless. */
export async function signalDelivery(client: Client, endpointId: string): Promise<void> {
  const input: DeliverWebhooksInput = { endpointId };
  await client.workflow.signalWithStart(deliverWebhooksType, {
    workflowId: `webhook-endpoint/${endpointId}`,
    taskQueue,
    args: [input],
    staticSummary: 'Delivers messages to one webhook endpoint',
    signal: deliverSignal,
    signalArgs: [],
  });
}

/** The workflow that sends e-mails, with the id `emails`. */
const sendEmailsType = 'sendEmails';

/** There are e-mails to send. */
export const sendEmailsSignal = defineSignal('send');

/** Signals the workflow that sends e-mails, and starts it if it is not running. The same again is harmless. */
export async function signalSendEmails(client: Client): Promise<void> {
  await client.workflow.signalWithStart(sendEmailsType, {
    workflowId: 'emails',
    taskQueue,
    args: [],
    staticSummary: 'Sends e-mails about alerts, and invitations',
    signal: sendEmailsSignal,
    signalArgs: [],
  });
}
