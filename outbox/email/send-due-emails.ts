import { type Database, readClock } from '../../database/connection.ts';
import { log } from '../../log.ts';
import { workTogether } from '../work-together.ts';
import {
  type DueEmail,
  type EmailLimits,
  postponeEmail,
  readCause,
  readNextEmailAt,
  settleEmail,
  takeDueEmails,
} from './due-emails.ts';
import { type Mailer, maxConnections } from './mailer.ts';
import { createOptOutToken } from './recipients.ts';
import { type RenderedEmail, renderEmail } from './render-email.ts';
import { writeEmail } from './write-email.ts';

const emailsPerBatch = 100;
/** It returns after about this time, so that no activity runs for hours. */
const budgetMs = 60_000;
/** The pause after a failure of the SMTP server. */
const failurePauseMs = 60_000;

/** What the links in e-mails need. */
export interface EmailSettings {
  /** Signs the links that opt out: the newest of MAIL_TOKEN_SECRET. */
  tokenSecret: string;
  /** The address that gets e-mails about the service itself; undefined: nobody does. */
  operator: string | undefined;
  /** Without a trailing slash. */
  publicUrl: string;
}

export interface EmailRound {
  /** When the next attempt is due; null if no e-mail waits. */
  nextAt: Date | null;
  /** Why the SMTP server could not be used; null if it could. */
  failure: string | null;
}

/**
 * Sends every e-mail that is due. One process at a time runs it. If it dies between an e-mail and its record, the e-mail
 * is sent again with the same Message-ID. After a failure of the SMTP server it stops, and no e-mail is lost.
 */
export async function sendDueEmails(
  database: Database,
  {
    mailer,
    settings,
    limits,
    signal,
    onProgress,
  }: {
    mailer: Mailer;
    settings: EmailSettings;
    limits: EmailLimits;
    signal: AbortSignal;
    onProgress?: (attempts: number) => void;
  },
): Promise<EmailRound> {
  const startedAt = performance.now();
  const isOver = () => performance.now() - startedAt > budgetMs;
  let attempts = 0;
  for (;;) {
    const em = database.fork();
    if (signal.aborted || isOver()) return { nextAt: await readNextEmailAt(em), failure: null };
    const { due, skipped } = await database.transaction((tx) => takeDueEmails(tx, emailsPerBatch, limits));
    if (due.length === 0 && skipped === 0) return { nextAt: await readNextEmailAt(em), failure: null };
    let failure: string | null = null;
    const mayGoOn = () => failure === null && !signal.aborted && !isOver();
    await workTogether(due, { atOnce: maxConnections, mayGoOn }, async (email) => {
      const failed = await sendEmail(database, mailer, settings, email);
      attempts += 1;
      onProgress?.(attempts);
      failure ??= failed;
    });
    if (failure !== null)
      return { nextAt: new Date((await readClock(em)).getTime() + failurePauseMs), failure };
  }
}

/** @returns why the server cannot be used; null if it can */
async function sendEmail(
  database: Database,
  mailer: Mailer,
  { tokenSecret, operator, publicUrl }: EmailSettings,
  email: DueEmail,
): Promise<string | null> {
  const em = database.fork();
  const { id, type, recipient, category } = email;
  const to = email.address ?? operator;
  if (to === undefined) {
    await settleEmail(em, id, 'skipped', 'MAIL_OPERATOR is not set');
    return null;
  }
  const optOutUrl =
    category === null
      ? null
      : `${publicUrl}/v1/email-opt-outs/${createOptOutToken(tokenSecret, { recipient, category })}`;
  const rendered = tryRender(email, publicUrl, optOutUrl);
  if (!rendered) {
    await postponeEmail(em, email, 'it cannot be written by this release', false);
    return null;
  }
  const result = await mailer.send({ id, to, optOutUrl, ...rendered });
  if (result.kind === 'sent') await settleEmail(em, id, 'sent', null);
  else {
    log.warn({ emailId: id, type, outcome: result.kind, reason: result.reason }, 'An e-mail was not sent');
    if (result.kind === 'refused') await settleEmail(em, id, 'refused', result.reason);
    else await postponeEmail(em, email, result.reason, result.kind === 'failed');
  }
  return result.kind === 'failed' ? result.reason : null;
}

/** Null if it cannot be written, which must not stop other e-mails. The worker of another release may write it later. */
function tryRender(email: DueEmail, publicUrl: string, optOutUrl: string | null): RenderedEmail | null {
  try {
    return renderEmail(writeEmail(readCause(email), publicUrl), optOutUrl);
  } catch (error) {
    log.error({ emailId: email.id, type: email.type, err: error }, 'An e-mail cannot be written');
    return null;
  }
}
