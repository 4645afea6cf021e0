import type { Database } from '../database/connection.ts';
import type { Mailer } from '../outbox/email/mailer.ts';
import type { EmailSettings } from '../outbox/email/send-due-emails.ts';
import { type EmailRound, sendDueEmails } from './send-due-emails.ts';

export type EmailActivities = ReturnType<typeof createEmailActivities>;

/** The steps of the workflow that sends e-mails. @param email  undefined if SMTP_URL is not set */
export function createEmailActivities(
  database: Database,
  email: { mailer: Mailer; settings: EmailSettings } | undefined,
) {
  return {
    async sendDueEmails(): Promise<EmailRound> {
      if (email) return sendDueEmails(database, email.mailer, email.settings);
      // A worker with SMTP_URL has started the workflow, and starts it again in a few minutes.
      return { nextAt: null, failure: 'SMTP_URL is not set on this worker' };
    },
  };
}
