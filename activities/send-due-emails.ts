import { readCatalog } from '../catalog/versions.ts';
import type { Database } from '../database/connection.ts';
import type { Mailer } from '../outbox/email/mailer.ts';
import { type EmailSettings, sendDueEmails as send } from '../outbox/email/send-due-emails.ts';
import { heartbeating } from './heartbeating.ts';

/** What a workflow learns of an attempt: when the next one is due (ISO 8601), and why the SMTP server could not be used. */
export interface EmailAttempt {
  nextAt: string | null;
  failure: string | null;
}

/** Sends the e-mails that are due. */
export async function sendDueEmails(
  database: Database,
  mailer: Mailer,
  settings: EmailSettings,
): Promise<EmailAttempt> {
  const { catalog } = await readCatalog(database);
  const limits = catalog.policies;
  return heartbeating(async (signal, onProgress) => {
    const { nextAt, failure } = await send(database, { mailer, settings, limits, signal, onProgress });
    return { nextAt: nextAt?.toISOString() ?? null, failure };
  });
}
