import { groupThousands } from '../../catalog/group-thousands.ts';
import { type Message, messageData } from '../messages.ts';

/** The causes of e-mails: messages of these types, and invitations. */
export const emailTypes = [
  'credits.low',
  'credits.exhausted',
  'credits.expiring',
  'limit.reached',
  'payment.past_due',
  'webhook_endpoint.disabled',
  'invitation',
] as const;
export type EmailType = (typeof emailTypes)[number];

/** What the templates need. Users choose the names, so a name may be hostile. */
export type EmailCause = { at: Date } & (
  | { type: 'invitation'; teamName: string; role: string; expiresAt: Date }
  | (Extract<Message, { type: EmailType }> & { teamName: string })
);

/** The content of an e-mail, in plain text. `renderEmail` makes text and HTML from it. */
export interface EmailContent {
  subject: string;
  paragraphs: string[];
  link: { label: string; url: string } | null;
}

/** Checks stored data against the schema of its type. */
export function parseEmailMessage(type: string, data: unknown): Extract<Message, { type: EmailType }> {
  const known = emailTypes.find((one) => one === type);
  if (known === undefined || known === 'invitation') throw new Error(`no e-mail is sent for ${type}`);
  return { type: known, data: messageData[known].parse(data) } as Extract<Message, { type: EmailType }>;
}

/** The template of each type. @param publicUrl  without a trailing slash */
export function writeEmail(cause: EmailCause, publicUrl: string): EmailContent {
  const team = cause.type === 'webhook_endpoint.disabled' ? '' : quoteName(cause.teamName);
  const billing = (teamId: string) => ({
    label: 'Open billing',
    url: `${publicUrl}/teams/${teamId}/billing`,
  });
  switch (cause.type) {
    case 'credits.low': {
      const { teamId, available, thresholds } = cause.data;
      const crossed = thresholds.map(({ threshold, credits }) =>
        threshold.endsWith('%') ? `${threshold} (${creditsText(credits)})` : creditsText(threshold),
      );
      return {
        subject: `Credits of ${team} are low`,
        paragraphs: [
          `The team ${team} has ${creditsText(available)} left (${timeText(cause.at)}). That is at or below its ${crossed.length > 1 ? 'thresholds' : 'threshold'} of ${crossed.join(' and ')}.`,
          'When no credits are left, the team’s workflows stop.',
        ],
        link: billing(teamId),
      };
    }
    case 'credits.exhausted': {
      const { teamId, available } = cause.data;
      return {
        subject: `${team} has no credits left`,
        paragraphs: [
          Number(available) === 0
            ? `The team ${team} has no credits left (${timeText(cause.at)}).`
            : `The team ${team} has ${creditsText(available)} left, too few for its last request (${timeText(cause.at)}).`,
          'Its workflows stop until it gets credits.',
        ],
        link: billing(teamId),
      };
    }
    case 'credits.expiring': {
      const { teamId, credits, unused, expiresAt } = cause.data;
      return {
        subject: `Credits of ${team} expire soon`,
        paragraphs: [
          `${creditsText(credits)} of the team ${team} expire on ${timeText(new Date(expiresAt))}.`,
          `At the current pace, ${creditsText(unused)} of them will not be used.`,
        ],
        link: billing(teamId),
      };
    }
    case 'limit.reached': {
      const { teamId, level, subjectId, limit, per, used } = cause.data;
      const subject =
        level === 'member' ? `The member ${quoteName(subjectId)}` : `The API key ${quoteName(subjectId)}`;
      return {
        subject: `A limit of ${team} is reached`,
        paragraphs: [
          `${subject} of the team ${team} has used ${creditsText(used)} of a limit of ${creditsText(limit)} per ${per} (${timeText(cause.at)}).`,
          `Further requests are refused until the next ${per}, or until an owner or admin raises the limit.`,
        ],
        link: billing(teamId),
      };
    }
    case 'payment.past_due':
      return {
        subject: `A payment of ${team} failed`,
        paragraphs: [
          `The renewal of the plan ${cause.data.plan} of the team ${team} could not be paid (${timeText(cause.at)}).`,
          'The team gets no new credits from its subscription until the renewal is paid. Please check its payment method.',
        ],
        link: billing(cause.data.teamId),
      };
    case 'webhook_endpoint.disabled': {
      const { endpointId, url, reason } = cause.data;
      const why = reason === 'gone' ? 'It answered 410.' : 'Every attempt failed for five days.';
      return {
        subject: 'A webhook endpoint is disabled',
        paragraphs: [
          `The webhook endpoint ${endpointId} (${url}) is disabled (${timeText(cause.at)}). ${why}`,
          'Its messages are stored. They are delivered when it is enabled again: PATCH /v1/webhook-endpoints/{endpointId}.',
        ],
        link: null,
      };
    }
    case 'invitation':
      return {
        subject: `Invitation to the team ${team}`,
        paragraphs: [
          `You are invited to the team ${team} at Waveloom as ${cause.role}.`,
          `The invitation is valid until ${timeText(cause.expiresAt)}. Sign in with this e-mail address to accept or decline it. If you do not know the team, ignore this e-mail.`,
        ],
        // `/` opens the first team of the user. The page of each team shows the user's open invitations.
        link: { label: 'Open the invitation', url: `${publicUrl}/` },
      };
  }
}

const maxNameCharacters = 60;

/**
 * A name in quotes, on one line, without characters that change the direction of the text. A name that looks like a link
 * does not become one in the recipient's program, so an invitation cannot advertise.
 */
export function quoteName(name: string): string {
  const line = name
    .replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(/\s+/g, ' ')
    .replaceAll('://', ': //')
    .replaceAll('@', '＠')
    .replace(/\.(?=\S)/g, '\u2024') // looks like a full stop
    .trim();
  const characters = [...line];
  const short =
    characters.length > maxNameCharacters ? `${characters.slice(0, maxNameCharacters - 1).join('')}…` : line;
  return `“${short}”`;
}

/** A decimal string as text: `1,234.5 credits`. */
function creditsText(decimal: string): string {
  return `${groupThousands(decimal)} ${Number(decimal) === 1 ? 'credit' : 'credits'}`;
}

/** For example `31 January 2026, 12:00 UTC`. */
function timeText(at: Date): string {
  return `${timeFormat.format(at).replace(' at ', ', ')} UTC`;
}

const timeFormat = new Intl.DateTimeFormat('en-GB', {
  dateStyle: 'long',
  timeStyle: 'short',
  timeZone: 'UTC',
});
