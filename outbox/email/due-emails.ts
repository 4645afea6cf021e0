import type { EntityManager } from '@mikro-orm/postgresql';
import { type EmailCategory, operatorRecipient } from './recipients.ts';
import { type EmailCause, parseEmailMessage } from './write-email.ts';

/** An e-mail that is due, with everything that it needs. Log only its id and type. */
export interface DueEmail {
  id: string;
  recipient: string;
  /** The type of its message, or `invitation`. */
  type: string;
  /** What the recipient can opt out of; null for the operator. */
  category: EmailCategory | null;
  attempts: number;
  /** The address; null for the operator. */
  address: string | null;
  /** What `readCause` reads. */
  stored: StoredCause;
}

interface StoredCause {
  at: Date;
  /** Of the message, as it is stored: another release may have written it. */
  data: unknown;
  teamName: string;
  /** Of the invitation. */
  role: string;
  expiresAt: Date;
}

/** How many e-mails may be sent within 24 hours: the catalog's policies. */
export interface EmailLimits {
  emailsPerTeamAndDay: number;
  /** Counted separately for invitations and for all other e-mails. */
  emailsPerRecipientAndDay: number;
}

/** An older e-mail is not sent, because it is no longer useful. */
const maxAgeDays = 3;
/** The pauses after each attempt for which the server was busy. The last one repeats. */
const retryPausesMs = [1, 5, 15, 60, 240].map((minutes) => minutes * 60_000);
/** The pause of an e-mail after a failure of the server, so that the next attempt begins with another e-mail. */
const failurePauseMs = 5 * 60_000;

/** Why an e-mail is not sent, in the order of the checks. */
const skipped = `
  case when e.created_at < billing_now() - make_interval(days => ${maxAgeDays}) then 'too old'
       when e.recipient = '${operatorRecipient}' then null
       when t.deleted_at is not null then 'the team is deleted'
       when e.recipient like 'user:%' and u.email is null then 'the user is erased'
       when e.message_id is not null and not exists (
         select from members p where p.team_id = e.team_id and p.user_id = u.id and p.role in ('owner', 'admin', 'billing')
       ) then 'no longer a billing role'
       when i.id is not null and (i.status <> 'open' or i.expires_at <= billing_now()) then 'the invitation is not open'
       -- As in the list of a user's invitations.
       when i.invited_by like 'person:%' and not exists (
         select from members s where s.team_id = i.team_id and 'person:' || s.user_id = i.invited_by
           and (s.role = 'owner' or (s.role = 'admin' and i.role <> 'owner'))
       ) then 'the sender may not invite'
       when exists (
         select from email_opt_outs o
          where o.recipient in (e.recipient, email_recipient_of(u.email)) and o.category = c.category
       ) then 'opted out' end`;

const category = `
  case when e.recipient = '${operatorRecipient}' then null
       when e.invitation_id is not null then 'invitations'
       when m.type = 'payment.past_due' then 'payments' else 'credits' end`;

/**
 * Settles the due e-mails that must not be sent, and reads the others, oldest first. It takes at most `limit` due e-mails.
 * An e-mail over a limit of its team or of its recipient is skipped. Run it in a transaction.
 */
export async function takeDueEmails(
  em: EntityManager,
  limit: number,
  { emailsPerTeamAndDay, emailsPerRecipientAndDay }: EmailLimits,
): Promise<{ due: DueEmail[]; skipped: number }> {
  const rows = await em.execute<DueRow[]>(
    `with due as materialized (
       select * from emails where status = 'pending' and next_attempt_at <= billing_now()
        order by next_attempt_at, id limit ?
     ), checked as (
       select e.id, e.recipient, e.attempts, e.created_at, e.team_id, m.type, m.data, t.name as team_name, i.role, i.expires_at,
              case when e.recipient like 'user:%' then u.email else i.email end as address, c.category, ${skipped} as skipped,
              e.invitation_id is not null as is_invitation
         from due e
         left join outbox m on m.id = e.message_id
         left join invitations i on i.id = e.invitation_id
         left join teams t on t.id = e.team_id
         -- Not 'user:' || u.id = e.recipient: that would read all users.
         left join users u on e.recipient like 'user:%' and u.id = substr(e.recipient, length('user:') + 1) and u.erased_at is null
        cross join lateral (select ${category} as category) c
     ), by_recipient as (
       -- Invitations are counted separately. Otherwise strangers could use up the limit of a user's other e-mails.
       select *, row_number() over (partition by recipient, is_invitation, skipped is null order by created_at, id)
                   + (select count(*) from emails s where s.recipient = checked.recipient and s.status = 'sent'
                         and (s.invitation_id is not null) = checked.is_invitation
                         and s.settled_at > billing_now() - interval '1 day') > ? as is_over
         from checked
     ), by_team as (
       select *, row_number() over (partition by team_id, skipped is null and not is_over order by created_at, id)
                   + (select count(*) from emails s where s.team_id = by_recipient.team_id and s.status = 'sent'
                         and s.settled_at > billing_now() - interval '1 day') > ? as is_team_over
         from by_recipient
     )
     select id, recipient, attempts, extract(epoch from created_at) * 1000 as created_at, type, data, team_name, role,
            extract(epoch from expires_at) * 1000 as expires_at, address, category,
            case when skipped is not null then skipped
                 when is_over then 'limit of the recipient'
                 when is_team_over then 'limit of the team' end as skipped
       from by_team order by created_at, id`,
    [limit, emailsPerRecipientAndDay, emailsPerTeamAndDay],
  );
  const [send, skip] = [rows.filter((row) => row.skipped === null), rows.filter((row) => row.skipped)];
  for (const [reason, ofReason] of Map.groupBy(skip, (row) => row.skipped)) {
    await em.execute(
      `update emails set status = 'skipped', reason = ?, settled_at = billing_now()
        where id = any(?::uuid[]) and status = 'pending'`,
      [reason, idsOf(ofReason)],
    );
  }
  return { due: send.map(toDueEmail), skipped: skip.length };
}

/** When the next e-mail is due; null if none waits. */
export async function readNextEmailAt(em: EntityManager): Promise<Date | null> {
  const [row] = await em.execute<{ at: string | null }[]>(
    `select extract(epoch from min(next_attempt_at)) * 1000 as at from emails where status = 'pending'`,
  );
  return row?.at ? new Date(Number(row.at)) : null;
}

/** Settles an e-mail: sent, or not. */
export async function settleEmail(
  em: EntityManager,
  id: string,
  status: 'sent' | 'refused' | 'skipped',
  reason: string | null,
): Promise<void> {
  await em.execute(
    `update emails set status = ?, reason = ?, attempts = attempts + 1, settled_at = billing_now()
      where id = ? and status = 'pending'`,
    [status, reason, id],
  );
}

/** Sets the time of the next attempt. @param isServerDown  the server failed, not this e-mail */
export async function postponeEmail(
  em: EntityManager,
  { id, attempts }: Pick<DueEmail, 'id' | 'attempts'>,
  reason: string,
  isServerDown: boolean,
): Promise<void> {
  const pauseMs = isServerDown ? failurePauseMs : (retryPausesMs[attempts] ?? retryPausesMs.at(-1) ?? 0);
  await em.execute(
    `update emails set reason = ?, attempts = attempts + ?, next_attempt_at = billing_now() + make_interval(secs => ?)
      where id = ? and status = 'pending'`,
    [reason, isServerDown ? 0 : 1, pauseMs / 1_000, id],
  );
}

interface DueRow {
  id: string;
  recipient: string;
  attempts: number;
  created_at: string;
  type: string | null;
  data: unknown;
  team_name: string | null;
  role: string | null;
  expires_at: string | null;
  address: string | null;
  category: EmailCategory | null;
  skipped: string | null;
}

function toDueEmail(row: DueRow): DueEmail {
  const { id, recipient, attempts, address, category, data } = row;
  const stored = {
    at: new Date(Number(row.created_at)),
    data,
    teamName: row.team_name ?? '',
    role: row.role ?? '',
    expiresAt: new Date(Number(row.expires_at)),
  };
  return { id, recipient, attempts, address, type: row.type ?? 'invitation', category, stored };
}

/**
 * What an e-mail is about.
 * @throws Error if its message does not fit the schema of its type: another release wrote it
 */
export function readCause({ type, stored: { at, data, teamName, role, expiresAt } }: DueEmail): EmailCause {
  if (type === 'invitation') return { type, at, teamName, role, expiresAt };
  return { ...parseEmailMessage(type, data), at, teamName };
}

function idsOf(rows: readonly { id: string }[]): string {
  return `{${rows.map(({ id }) => id).join(',')}}`;
}
