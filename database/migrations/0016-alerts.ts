import { Migration } from '@mikro-orm/migrations';

/**
 * The state of each team's alerts, which the hot path reads with the team's lock; and the outbox: one row for each
 * message to other systems, written in the transaction of its cause.
 */
export class Alerts extends Migration {
  override name = '0016-alerts';

  override up(): void {
    this.addSql(`
alter table teams
  -- Thresholds of credits.low: credits ('12.5'), or a percentage of alert_base ('20%').
  add column low_balance text[] not null default '{20%,5%}' check (cardinality(low_balance) <= 5),
  -- The balance after credits last came in.
  add column alert_base bigint not null default 0 check (alert_base >= 0),
  -- The lowest balance that was reported since then. Only lower thresholds can be crossed.
  add column alert_watermark bigint not null default 0 check (alert_watermark >= 0),
  -- Whether credits.exhausted was sent since then.
  add column exhaustion_sent boolean not null default false,
  -- Credits came in, and the next commit must set the columns above. True for all existing teams.
  add column credits_came_in boolean not null default true;
alter table teams alter column credits_came_in set default false;

-- The window for which limit.reached was sent.
alter table limits add column announced_window timestamptz(3);

create table outbox (
  id uuid primary key,
  -- Within a team in the order of the commits, because each holds the team's lock.
  seq bigint not null unique generated always as identity,
  team_id uuid references teams (id),
  type text not null,
  at timestamptz(3) not null,
  data jsonb not null
);
create index outbox_of_team on outbox (team_id, seq);

-- Each expiry of a team's credits, and how many days before it its notice was decided.
create table expiry_notices (
  team_id uuid not null references teams (id),
  expires_at timestamptz(3) not null,
  days_ahead int not null check (days_ahead > 0),
  decided_at timestamptz(3) not null,
  primary key (team_id, expires_at, days_ahead)
);
-- Finds the credits that expire soon, in all teams.
create index grants_expiring on grants (expires_at) where open and expires_at is not null;
`);
  }
}
