import { Migration } from '@mikro-orm/migrations';

/**
 * Trials are claimed when a team is created; users join teams by invitation; an e-mail belongs to one user;
 * administrative actions are recorded.
 */
export class People extends Migration {
  override name = '0008-people';

  override up(): void {
    this.addSql(claimsOfNewTeams);
    this.addSql(uniqueEmails);
    this.addSql(invitations);
    this.addSql(auditEvents);
  }
}

/** Teams whose `team.created` was not handled before this migration: their first owner created them. */
const claimsOfNewTeams = `
insert into trial_claims (owner_id, ordinal, team_id, claimed_at)
select owner_id, ordinal, team_id, billing_now()
  from (select m.user_id as owner_id, i.team_id,
               row_number() over (partition by m.user_id order by i.id)
               + (select count(*) from trial_claims c where c.owner_id = m.user_id) as ordinal
          from inbox i
          join lateral (select user_id from members
                         where members.team_id = i.team_id and role = 'owner'
                         order by created_at, user_id limit 1) m on true
         where i.type = 'team.created' and i.status in ('received', 'parked')
           and not exists (select from trial_claims c where c.team_id = i.team_id)) pending
 where ordinal <= (select (document->'trial'->>'perOwner')::integer from catalog_versions order by version desc limit 1);
`;

/** The index names the first duplicate e-mail in its error: give one of the two users another e-mail, then migrate again. */
const uniqueEmails = `
create unique index users_by_email on users (lower(email));
`;

const invitations = `
create table invitations (
  id uuid primary key,
  team_id uuid not null references teams,
  -- Whom it invites: one of the two while it is open. Settled, it keeps no e-mail.
  user_id text,
  email text,
  role text not null check (role in ('owner', 'admin', 'billing', 'member')),
  -- Who invites: person:… or service:…
  invited_by text not null,
  status text not null check (status in ('open', 'accepted', 'declined', 'revoked')),
  created_at timestamptz(3) not null,
  expires_at timestamptz(3) not null,
  check (case when status = 'open' then num_nonnulls(user_id, email) = 1 else email is null end)
);
create index invitations_by_team on invitations (team_id, id);
create index invitations_by_user on invitations (user_id, id) where status = 'open';
create index invitations_by_email on invitations (lower(email), id) where status = 'open';
`;

const auditEvents = `
create table audit_events (
  id uuid primary key,
  at timestamptz(3) not null,
  -- person:… or service:…
  actor text not null,
  action text not null,
  team_id uuid,
  subject text,
  reason text,
  before jsonb,
  after jsonb
);
create index audit_events_by_team on audit_events (team_id, id);
create trigger audit_events_are_immutable before update or delete or truncate on audit_events
  for each statement execute function refuse_rewriting_history();
`;
