import { Migration } from '@mikro-orm/migrations';

/**
 * The sums of a team's usage by local day, for reports. `usage_zones` has the time zones in which a team reads reports,
 * and the local days that are counted. An event is late if it was recorded more than an hour after it occurred: only such
 * an event can belong to a day that was counted before, and an index finds it.
 */
export class UsageDays extends Migration {
  override name = '0015-usage-days';

  override up(): void {
    this.addSql(`
create table usage_zones (
  team_id uuid not null references teams,
  timezone text not null check (length(timezone) between 1 and 64),
  -- The local days [first_day, next_day) are counted.
  first_day date not null,
  next_day date not null check (next_day >= first_day),
  counted_at timestamptz(3) not null,
  used_at timestamptz(3) not null,
  primary key (team_id, timezone)
);
create table usage_days (
  team_id uuid not null,
  timezone text not null,
  dimension text not null check (dimension in ('action', 'member', 'key')),
  day date not null,
  value text,
  -- The model of an action depends on its price version.
  price_version integer check ((price_version is not null) = (dimension = 'action')),
  credits bigint not null check (credits >= 0),
  events bigint not null check (events > 0)
);
create unique index usage_days_by_dimension on usage_days (team_id, timezone, dimension, day, value, price_version)
  nulls not distinct;
create index usage_events_late on usage_events (team_id, recorded_at) where recorded_at - occurred_at > interval '1 hour';
`);
  }
}
