import { Migration } from '@mikro-orm/migrations';

/**
 * Open grants in burn order, so that a debit reads only the first ones, however many the team has. Replaces the index
 * of open grants by team.
 *
 * A limit from before limits had marks has no mark of its total, and gets one.
 */
export class GrantsInBurnOrder extends Migration {
  override name = '0011-grants-in-burn-order';

  override up(): void {
    this.addSql(`
create index grants_in_burn_order on grants (
  team_id,
  coalesce(expires_at, 'infinity'),
  (case source when 'trial' then 1 when 'subscription' then 2 when 'adjustment' then 3 when 'purchase' then 4 end),
  effective_at,
  business_key collate "C"
) where open;
drop index grants_open;

insert into limit_marks (counter_id, at, total)
select l.counter_id, billing_now(), l.total
  from limits l
 where l.total > 0 and not exists (select from limit_marks m where m.counter_id = l.counter_id and m.total >= l.total);
`);
  }
}
