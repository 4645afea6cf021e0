import type { Database } from '../database/connection.ts';
import { log, oncePerMinute } from '../log.ts';
import { signalEmails, signalOverdueEmailsAgain } from '../outbox/email/signal-emails.ts';
import type { TemporalClient } from '../temporal-client.ts';
import { signalSendEmails } from '../workflows/messages.ts';
import { type Repeated, repeat } from './repeat.ts';

const pollPauseMs = 500;
const signalTimeoutMs = 10_000;
const overduePauseMs = 60_000;

/**
 * Signals the workflow that sends e-mails when there are new ones. Any number may run. While Temporal is down, e-mails stay
 * unsignalled.
 */
export function startEmailSignals(database: Database, temporal: TemporalClient): Repeated {
  const mayLog = oncePerMinute();
  const warn = (error: unknown) => {
    if (mayLog('emails')) log.warn({ err: error }, 'New e-mails could not be signalled; the worker retries');
  };
  const signal = () => temporal.call(signalTimeoutMs, (client) => signalSendEmails(client));
  const signalling = repeat(pollPauseMs, () => signalEmails(database, signal), warn);
  const again = repeat(overduePauseMs, () => signalOverdueEmailsAgain(database), warn);
  return {
    async stop() {
      await Promise.all([signalling.stop(), again.stop()]);
    },
  };
}
