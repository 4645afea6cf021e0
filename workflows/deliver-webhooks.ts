import {
  condition,
  continueAsNew,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { WebhookActivities } from '../activities/create-webhook-activities.ts';
import { createDeadline } from './deadline.ts';
import { untilDone } from './failures.ts';
import { type DeliverWebhooksInput, deliverSignal } from './messages.ts';

const { deliverDueMessages } = proxyActivities<WebhookActivities>({
  startToCloseTimeout: '5 minutes',
  heartbeatTimeout: '20 seconds',
  retry: { maximumAttempts: 1 }, // `untilDone` retries, and shows the failure
});

/**
 * Delivers the messages of one webhook endpoint, and ends when none waits: the signal of the next one starts it again.
 * An endpoint has one run at a time, which keeps the order of each team's messages. All state is in Postgres: this only
 * decides when the next attempts are made.
 */
export async function deliverWebhooks({ endpointId }: DeliverWebhooksInput): Promise<void> {
  let isSignalled = true;
  setHandler(deliverSignal, () => {
    isSignalled = true;
  });
  const deadline = createDeadline();
  for (;;) {
    if (workflowInfo().continueAsNewSuggested) await continueAsNew<typeof deliverWebhooks>({ endpointId });
    isSignalled = false;
    const nextAt = await untilDone(() => deliverDueMessages(endpointId));
    if (nextAt === null && !isSignalled) return;
    setCurrentDetails(nextAt === null ? 'New messages' : `Next attempt: ${nextAt}`);
    deadline.moveTo(nextAt, 'Next attempt');
    await condition(() => isSignalled || deadline.hasPassed());
  }
}
