import { proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import type { Activities } from '../activities/create-activities.ts';
import type { TeamOverview } from '../activities/describe-team.ts';
import type { StepResult } from '../activities/step.ts';
import type { InboxEventMessage } from './messages.ts';

/**
 * A short write to the ledger. As a local activity it needs no round trip to the server. It keeps the workflow task
 * open, so it is attempted only a few times. `retried` continues, with timers and signals in between.
 *
 * @param summary  shown beside the step in the Temporal UI
 */
export function ledger(summary: string) {
  return proxyLocalActivities<Activities>({
    startToCloseTimeout: '20 seconds',
    retry: { initialInterval: '100 milliseconds', maximumAttempts: 3 },
    summary,
  });
}

/** A step that fetches from Polar, which may be slow or down. One attempt: the aside lane retries. */
function polar(summary: string) {
  return proxyActivities<Activities>({
    startToCloseTimeout: '1 minute',
    retry: { maximumAttempts: 1 },
    summary,
  });
}

/** The step that an event causes, in the order of a team's life. */
export function stepOf({ type, pays }: Pick<InboxEventMessage, 'type' | 'pays'>): EventStepName {
  switch (type) {
    case 'order.paid':
      if (pays === 'purchase') return 'fulfillPurchase';
      return pays === 'change' ? 'changePlan' : 'startCycle';

    case 'subscription.created':
    case 'subscription.active':
    case 'subscription.updated':
    case 'subscription.cycled':
    case 'subscription.past_due':
    case 'subscription.paused':
    case 'subscription.resumed':
    case 'subscription.canceled':
    case 'subscription.uncanceled':
    case 'subscription.migrated':
    case 'subscription.revoked':
      return 'followSubscription';

    case 'order.updated':
      return 'followOrder';
    case 'order.refunded':
    case 'refund.created':
    case 'refund.updated':
    case 'dispute.updated':
      return 'clawBackOrder';

    case 'members.changed':
    case 'member.created':
    case 'member.updated':
    case 'member.deleted':
      return 'syncMembers';
    case 'team.renamed':
      return 'renameCustomer';
    case 'customer.deleted':
      return 'unlinkCustomer';
    case 'team.deleted':
      return 'closeTeam';

    default:
      return 'recordEvents';
  }
}

export type EventStepName =
  | 'fulfillPurchase'
  | 'startCycle'
  | 'changePlan'
  | 'followSubscription'
  | 'followOrder'
  | 'clawBackOrder'
  | 'syncMembers'
  | 'renameCustomer'
  | 'unlinkCustomer'
  | 'closeTeam'
  | 'recordEvents';

/** Whether the step always needs Polar's current state: a refund names only its order, an end may have been undone. */
export function needsPolar(event: InboxEventMessage): boolean {
  return alwaysAside.has(event.type);
}

const alwaysAside = new Set([
  'refund.created',
  'refund.updated',
  'dispute.updated',
  'subscription.revoked',
  'team.renamed',
  'team.deleted',
]);

/** Runs the step of an event from stored data: a short write, no network. */
export function takeFromInbox(teamId: string, event: InboxEventMessage): Promise<StepResult> {
  const step = stepOf(event);
  const activities = ledger(summaryOf(event));
  return step === 'recordEvents'
    ? activities.recordEvents(teamId, [event.inboxId])
    : activities[step](teamId, event.inboxId, 'inbox');
}

/** Runs the step of an event with Polar's current state. */
export async function takeFromPolar(teamId: string, event: InboxEventMessage): Promise<TeamOverview> {
  const step = stepOf(event);
  const activities = polar(summaryOf(event));
  if (step === 'recordEvents') return activities.recordEvents(teamId, [event.inboxId]);
  const team = await activities[step](teamId, event.inboxId, 'polar');
  if (team === 'needs_polar')
    throw new Error(`the event ${event.inboxId} needs more than Polar's current state`);
  return team;
}

/** The summary beside the step of an event in the Temporal UI. */
export function summaryOf({ type, about }: InboxEventMessage): string {
  return about === undefined ? type : `${type} ${about}`;
}
