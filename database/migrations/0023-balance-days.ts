import { Migration } from '@mikro-orm/migrations';

/** The sums of a team's transfers by local day, so that a balance history adds up days instead of transfers. */
export class BalanceDays extends Migration {
  override name = '0023-balance-days';

  override up(): void {
    this.addSql(`
create table balance_days (
  team_id uuid not null,
  timezone text not null check (length(timezone) between 1 and 64),
  day date not null,
  -- Changes of the grants' columns on the day, so they may be negative.
  granted bigint not null,
  available bigint not null,
  held bigint not null,
  consumed bigint not null,
  expired bigint not null,
  revoked bigint not null,
  settled bigint not null,
  primary key (team_id, timezone, day),
  check (granted = available + held + consumed + expired + revoked + settled)
);
`);
  }
}
