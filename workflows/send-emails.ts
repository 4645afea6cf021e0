import {
  condition,
  continueAsNew,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { EmailActivities } from '../activities/create-email-activities.ts';
import { createDeadline } from './deadline.ts';
import { untilDone } from './failures.ts';
import { sendEmailsSignal } from './messages.ts';

const { sendDueEmails } = proxyActivities<EmailActivities>({
  startToCloseTimeout: '5 minutes',
  heartbeatTimeout: '20 seconds',
  retry: { maximumAttempts: 1 }, // `untilDone` retries, and shows the failure
});

/**
 * Sends all e-mails, and ends when none waits: the signal of the next one starts it again. All state is in Postgres: this
 * only decides when the next attempts are made.
 */
export async function sendEmails(): Promise<void> {
  let isSignalled = true;
  setHandler(sendEmailsSignal, () => {
    isSignalled = true;
  });
  const deadline = createDeadline();
  for (;;) {
    if (workflowInfo().continueAsNewSuggested) await continueAsNew<typeof sendEmails>();
    isSignalled = false;
    const { nextAt, failure } = await untilDone(() => sendDueEmails());
    if (nextAt === null && !isSignalled) return;
    const next = nextAt === null ? 'New e-mails' : `Next attempt: ${nextAt}`;
    setCurrentDetails(failure === null ? next : `**The SMTP server cannot be used:** ${failure}\n\n${next}`);
    deadline.moveTo(nextAt, 'Next attempt');
    await condition(() => isSignalled || deadline.hasPassed());
  }
}
