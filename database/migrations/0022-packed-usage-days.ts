import { Migration } from '@mikro-orm/migrations';

/**
 * One row for all values of a dimension on a day, instead of a row per value: a report by day and member reads 366 rows
 * instead of 9,000. The stored sums are deleted, and the next report counts them again: no release has stored any.
 */
export class PackedUsageDays extends Migration {
  override name = '0022-packed-usage-days';

  override up(): void {
    this.addSql(`
drop table usage_days;
delete from usage_zones;
create table usage_days (
  team_id uuid not null,
  timezone text not null,
  dimension text not null check (dimension in ('action', 'member', 'key')),
  day date not null,
  -- Element n of each array belongs to the same value. The price version, because an action's model depends on it, is null
  -- for members and keys.
  values text[] not null,
  price_versions integer[] not null check (cardinality(price_versions) = cardinality(values)),
  credits bigint[] not null check (cardinality(credits) = cardinality(values) and 0 <= all (credits)),
  events bigint[] not null check (cardinality(events) = cardinality(values) and 0 < all (events)),
  primary key (team_id, timezone, dimension, day)
);
`);
  }
}
