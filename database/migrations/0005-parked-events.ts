import { Migration } from '@mikro-orm/migrations';

/**
 * Every parked event ends. An operator may dismiss or assign it, its retries are limited (`next_signal_at` is null
 * while it waits for an operator), and operators' decisions are stored with the row. Unpaid orders are stored, so that
 * a reconciliation finds those that are paid late.
 */
export class ParkedEvents extends Migration {
  override name = '0005-parked-events';

  override up(): void {
    this.addSql(`
alter table inbox drop constraint inbox_source_check;
update inbox set source = 'sign_up' where source = 'sign-up';
alter table inbox add constraint inbox_source_check check (source in ('sign_up', 'polar', 'operator'));

alter table inbox drop constraint inbox_status_check;
alter table inbox add constraint inbox_status_check
  check (status in ('received', 'handled', 'parked', 'ignored', 'dismissed'));

-- The first schema's check of next_signal_at has no name of its own.
do $$
declare constraint_name text;
begin
  for constraint_name in
    select conname from pg_constraint
     where conrelid = 'inbox'::regclass and contype = 'c' and pg_get_constraintdef(oid) like '%next_signal_at%'
  loop
    execute format('alter table inbox drop constraint %I', constraint_name);
  end loop;
end $$;
alter table inbox add constraint inbox_next_signal_check
  check (case status when 'received' then next_signal_at is not null when 'parked' then true else next_signal_at is null end);
update inbox set next_signal_at = null where parked_code in ('needs_approval', 'team_deleted', 'order_with_seats');

alter table inbox add column assigned_product text;
alter table inbox add column decisions jsonb not null default '[]' check (jsonb_typeof(decisions) = 'array');

drop index inbox_to_signal;
create index inbox_to_signal on inbox (next_signal_at) where next_signal_at is not null;
drop index inbox_to_cut;
create index inbox_to_cut on inbox (handled_at)
  where status in ('handled', 'ignored', 'dismissed') and not payload ? 'cutAt';
create index inbox_parked on inbox (parked_code, team_id) where status = 'parked';
-- All events about one object of Polar's: which of them wait, which were dismissed.
create index inbox_by_object on inbox ((payload->'data'->>'id')) where source = 'polar';
create index inbox_by_reconciliation on inbox ((payload->'reconciliation'->>'run'))
  where payload->'reconciliation'->>'run' is not null;
create index inbox_to_delete on inbox (handled_at) where status = 'ignored' and team_id is null;

create table unpaid_orders (
  id text primary key,
  -- The last run of the reconciliation that found it unpaid at Polar.
  seen_in_run uuid not null
);
`);
  }
}
