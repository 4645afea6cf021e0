import { Migration } from '@mikro-orm/migrations';

/**
 * Zero is a valid quantity: usage may cost nothing and a hold may hold nothing. And the time until which keys of usage
 * have been deleted is stored, because earlier usage must be refused: its retry could not be recognised.
 */
export class ZeroAndKeyDeletions extends Migration {
  override name = '0007-zero-and-key-deletions';

  override up(): void {
    this.addSql(`
alter table usage_events drop constraint usage_events_credits_check;
alter table usage_events add constraint usage_events_credits_check check (credits >= 0);
alter table holds drop constraint holds_credits_check;
alter table holds add constraint holds_credits_check check (credits >= 0);

create table key_deletions (
  only_row boolean primary key default true check (only_row),
  up_to timestamptz(3) not null
);
-- What earlier catalogs let maintenance delete.
insert into key_deletions (up_to)
  select coalesce(max(until - kept), 'epoch')
    from (select coalesce(lead(published_at) over (order by version), billing_now()) as until,
                 make_interval(secs => extract(epoch from (document->'policies'->>'idempotencyKeysKept')::interval)::float8) as kept
            from catalog_versions) as versions;
`);
  }
}
