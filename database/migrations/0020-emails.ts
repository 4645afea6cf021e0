import { Migration } from '@mikro-orm/migrations';

/**
 * One row for each e-mail: a person and an event. It is created with its cause, in the cause's transaction. It stores no
 * address and no name: they are read when the e-mail is sent.
 */
export class Emails extends Migration {
  override name = '0020-emails';

  override up(): void {
    this.addSql(`
-- Names an address without storing it.
create function email_recipient_of(address text) returns text language sql immutable strict as $$
  select 'address:' || encode(sha256(convert_to(lower(address), 'UTF8')), 'hex')
$$;

create table emails (
  id uuid primary key default gen_random_uuid(),
  -- The cause is one of them.
  message_id uuid references outbox (id),
  invitation_id uuid references invitations (id) on delete cascade,
  team_id uuid references teams (id),
  -- 'user:{id}', 'operator', or email_recipient_of(…) for an invited address that is no user's.
  recipient text not null,
  status text not null default 'pending' check (status in ('pending', 'sent', 'refused', 'skipped')),
  -- Why it is not sent, or not sent yet. Without personal data.
  reason text,
  attempts int not null default 0 check (attempts >= 0),
  created_at timestamptz(3) not null,
  next_attempt_at timestamptz(3) not null,
  settled_at timestamptz(3),
  -- The workflow was signalled.
  signalled boolean not null default false,
  check ((message_id is null) <> (invitation_id is null)),
  check ((status = 'pending') = (settled_at is null)),
  unique (message_id, recipient),
  unique (invitation_id, recipient)
);
create index emails_due on emails (next_attempt_at) where status = 'pending';
create index emails_to_signal on emails (id) where status = 'pending' and not signalled;
create index emails_sent_by_team on emails (team_id, settled_at) where status = 'sent';
create index emails_sent_by_recipient on emails (recipient, settled_at) where status = 'sent';

-- E-mails that a person does not want.
create table email_opt_outs (
  recipient text not null,
  category text not null check (category in ('credits', 'payments', 'invitations')),
  at timestamptz(3) not null,
  primary key (recipient, category)
);

create function create_emails() returns trigger language plpgsql as $$
begin
  insert into emails (message_id, team_id, recipient, created_at, next_attempt_at)
  select a.id, a.team_id, 'user:' || m.user_id, a.at, a.at
    from added a
    join members m on m.team_id = a.team_id and m.role in ('owner', 'admin', 'billing')
   where a.type in ('credits.low', 'credits.exhausted', 'credits.expiring', 'limit.reached', 'payment.past_due')
     -- If both are sent by one commit, the second says it all.
     and not (a.type = 'credits.low'
              and exists (select from added e where e.team_id = a.team_id and e.type = 'credits.exhausted'))
  union all
  select a.id, null, 'operator', a.at, a.at from added a where a.type = 'webhook_endpoint.disabled';
  return null;
end $$;
create trigger create_emails after insert on outbox
  referencing new table as added for each statement execute function create_emails();

create function create_invitation_email() returns trigger language plpgsql as $$
begin
  insert into emails (invitation_id, team_id, recipient, created_at, next_attempt_at)
  select new.id, new.team_id, coalesce('user:' || u.id, email_recipient_of(new.email)), new.created_at, new.created_at
    from (values (1)) as one
    left join users u on u.erased_at is null and (u.id = new.user_id or lower(u.email) = lower(new.email))
   where new.status = 'open' and coalesce(u.id, new.email) is not null;
  return null;
end $$;
create trigger create_invitation_email after insert on invitations
  for each row execute function create_invitation_email();
`);
  }
}
