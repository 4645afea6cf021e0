import type { Database } from '../database/connection.ts';
import { log, oncePerMinute } from '../log.ts';
import { signalEmails, signalOverdueEmailsAgain } from '../outbox/email/signal-emails.ts';
import { signalEndpoints, signalOverdueAgain } from '../outbox/signal-endpoints.ts';
import type { TemporalClient } from '../temporal-client.ts';
import { signalDelivery, signalSendEmails } from '../workflows/messages.ts';
import { type Repeated, repeat } from './repeat.ts';

const webhooksPauseMs = 250;
const emailsPauseMs = 500;
const overduePauseMs = 60_000;
const signalTimeoutMs = 10_000;

/**
 * Signals the workflows of webhook endpoints with new messages, and, if `sendsEmails`, the one that sends e-mails. Any
 * number may run. While Temporal is down, messages and e-mails stay unsignalled.
 */
export function startOutboxSignals(
  database: Database,
  temporal: TemporalClient,
  sendsEmails: boolean,
): Repeated {
  const mayLog = oncePerMinute();
  const warn = (what: string) => (error: unknown) => {
    if (mayLog(what)) log.warn({ err: error }, `${what} could not be signalled; the worker retries`);
  };
  const signalEndpoint = (endpointId: string) =>
    temporal.call(signalTimeoutMs, (client) => signalDelivery(client, endpointId));
  const signalMails = () => temporal.call(signalTimeoutMs, (client) => signalSendEmails(client));
  const webhooksFailed = warn('Webhook endpoints');
  const emailsFailed = warn('New e-mails');
  const loops = [
    repeat(webhooksPauseMs, () => signalEndpoints(database, signalEndpoint), webhooksFailed),
    repeat(overduePauseMs, () => signalOverdueAgain(database), webhooksFailed),
  ];
  if (sendsEmails) {
    loops.push(
      repeat(emailsPauseMs, () => signalEmails(database, signalMails), emailsFailed),
      repeat(overduePauseMs, () => signalOverdueEmailsAgain(database), emailsFailed),
    );
  }
  return {
    async stop() {
      await Promise.all(loops.map((loop) => loop.stop()));
    },
  };
}
