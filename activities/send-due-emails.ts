import { readCatalog } from '../catalog/versions.ts';
import type { Database } from '../database/connection.ts';
import type { Mailer } from '../outbox/email/mailer.ts';
import { type EmailSettings, sendDueEmails as send } from '../outbox/email/send-due-emails.ts';
import { heartbeating } from './heartbeating.ts';

/** The result of a round. Plain JSON. */
export interface EmailRound {
  /** When the next attempt is due (ISO 8601); null if no e-mail waits. */
  nextAt: string | null;
  /** Why the SMTP server could not be used; null if it could. */
  failure: string | null;
}

/** Sends the e-mails that are due. */
export async function sendDueEmails(
  database: Database,
  mailer: Mailer,
  settings: EmailSettings,
): Promise<EmailRound> {
  const { catalog } = await readCatalog(database);
  const limits = catalog.policies;
  return heartbeating(async (signal, onProgress) => {
    const { nextAt, failure } = await send(database, { mailer, settings, limits, signal, onProgress });
    return { nextAt: nextAt?.toISOString() ?? null, failure };
  });
}
