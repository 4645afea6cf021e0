import { Migration } from '@mikro-orm/migrations';

/**
 * The sums of each grant's transfers in a closed month, so that a past balance adds up months instead of transfers.
 * Also lets a role without DDL rights create a month's partitions.
 */
export class ClosedMonths extends Migration {
  override name = '0009-closed-months';

  override up(): void {
    this.addSql(`
create table closed_months (
  month date primary key check (month = date_trunc('month', month)),
  closed_at timestamptz(3) not null default billing_now()
);
-- Changes of the grant's columns during the month: sums of its transfers, so they may be negative.
create table grant_months (
  team_id uuid not null,
  month date not null references closed_months,
  grant_id uuid not null,
  granted bigint not null,
  available bigint not null,
  held bigint not null,
  consumed bigint not null,
  expired bigint not null,
  revoked bigint not null,
  settled bigint not null,
  primary key (team_id, month, grant_id),
  check (granted = available + held + consumed + expired + revoked + settled)
);
alter function create_partitions(date) security definer set search_path = public, pg_temp;
`);
  }
}
