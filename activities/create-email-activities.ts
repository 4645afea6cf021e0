import { readCatalog } from '../catalog/versions.ts';
import type { Database } from '../database/connection.ts';
import type { Mailer } from '../outbox/email/mailer.ts';
import { type EmailSettings, sendDueEmails } from '../outbox/email/send-due-emails.ts';
import { heartbeating } from './heartbeating.ts';

export type EmailActivities = ReturnType<typeof createEmailActivities>;

/** The result of a round. Plain JSON. */
export interface EmailRound {
  /** When the next attempt is due (ISO 8601); null if no e-mail waits. */
  nextAt: string | null;
  /** Why the SMTP server could not be used; null if it could. */
  failure: string | null;
}

/** The steps of the workflow that sends e-mails. @param email  undefined if SMTP_URL is not set */
export function createEmailActivities(
  database: Database,
  email: { mailer: Mailer; settings: EmailSettings } | undefined,
) {
  return {
    /** Sends the e-mails that are due. */
    async sendDueEmails(): Promise<EmailRound> {
      // A worker with SMTP_URL has started the workflow, and starts it again in a few minutes.
      if (!email) return { nextAt: null, failure: 'SMTP_URL is not set on this worker' };
      const limits = (await readCatalog(database)).catalog.policies;
      return heartbeating(async (signal, onProgress) => {
        const { nextAt, failure } = await sendDueEmails(database, { ...email, limits, signal, onProgress });
        return { nextAt: nextAt?.toISOString() ?? null, failure };
      });
    },
  };
}
