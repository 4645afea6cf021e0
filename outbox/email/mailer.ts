import { createTransport } from 'nodemailer';
import type { RenderedEmail } from './render-email.ts';

/** How e-mails are sent, from SMTP_URL and MAIL_FROM. */
export interface SmtpSettings {
  host: string;
  port: number;
  /** TLS from the first byte. If false, STARTTLS is used if the server offers it. */
  tls: boolean;
  /** Sends nothing without TLS. */
  requireTls: boolean;
  user: string | undefined;
  password: string | undefined;
  /** The sender: an address. */
  from: { name: string; address: string };
}

export interface Email extends RenderedEmail {
  /** Part of the Message-ID, so it is the same at each attempt. */
  id: string;
  to: string;
  optOutUrl: string | null;
}

/**
 * `refused`: the server does not accept this e-mail, now or later. `busy`: it may accept this e-mail later. `failed`: the
 * server cannot be used, for any e-mail. Reasons contain no personal data.
 */
export type SendResult = { kind: 'sent' } | { kind: 'refused' | 'busy' | 'failed'; reason: string };

export interface Mailer {
  /** Never rejects. */
  send(email: Email): Promise<SendResult>;
  close(): void;
}

/** Maximum number of connections to the SMTP server. */
export const maxConnections = 5;
const connectionTimeoutMs = 10_000;
const socketTimeoutMs = 30_000;

export function createMailer({ host, port, tls, requireTls, user, password, from }: SmtpSettings): Mailer {
  const transport = createTransport({
    pool: true,
    maxConnections,
    maxRequeues: 1, // for a connection that the server has closed
    host,
    port,
    secure: tls,
    requireTLS: requireTls,
    ...(user === undefined ? {} : { auth: { user, pass: password ?? '' } }),
    connectionTimeout: connectionTimeoutMs,
    greetingTimeout: connectionTimeoutMs,
    dnsTimeout: connectionTimeoutMs,
    socketTimeout: socketTimeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const domain = from.address.split('@').at(-1);
  return {
    async send({ id, to, subject, text, html, optOutUrl }) {
      try {
        await transport.sendMail({
          from,
          // Not parsed: an address cannot name a second recipient.
          to: { name: '', address: to },
          messageId: `<${id}@${domain}>`,
          subject,
          text,
          html,
          xMailer: false,
          headers: {
            'Auto-Submitted': 'auto-generated',
            // https://www.rfc-editor.org/rfc/rfc8058
            ...(optOutUrl === null
              ? {}
              : {
                  'List-Unsubscribe': { prepared: true, value: `<${optOutUrl}>` },
                  'List-Unsubscribe-Post': 'List-Unsubscribe=One-Click',
                }),
          },
        });
        return { kind: 'sent' };
      } catch (error) {
        return explain(error);
      }
    },
    close: () => transport.close(),
  };
}

/** Errors of nodemailer contain addresses, so only their codes are used. */
function explain(error: unknown): Exclude<SendResult, { kind: 'sent' }> {
  const { code = 'unknown', command = '', responseCode } = error as SmtpError;
  const reason = [code, responseCode, command].filter(Boolean).join(' ');
  const isAboutThisEmail = code === 'EMESSAGE' || (code === 'EENVELOPE' && command !== 'MAIL FROM');
  if (!isAboutThisEmail) return { kind: 'failed', reason };
  const isTemporary = responseCode !== undefined && responseCode < 500;
  return { kind: isTemporary ? 'busy' : 'refused', reason };
}

interface SmtpError {
  code?: string;
  command?: string;
  responseCode?: number;
}
