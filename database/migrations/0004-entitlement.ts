import { Migration } from '@mikro-orm/migrations';

/**
 * The lines of its paid orders decide a subscription's credits: the lines and the billing periods are stored, and each
 * cycle has one clawback and one debt. A grant stores which part of its revoked credits counts as use or was given up.
 */
export class Entitlement extends Migration {
  override name = '0004-entitlement';

  override up(): void {
    this.addSql(billing);
    this.addSql(grants);
    this.addSql(debts);
    this.addSql(orders);
    this.addSql(kinds);
  }
}

const iso = (column: string) => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

const billing = `
create table order_lines (
  order_id text not null references orders,
  line smallint not null,
  subscription_id text not null,
  amount bigint not null,
  proration boolean not null,
  price_id text,
  starts_at timestamptz(3),
  ends_at timestamptz(3),
  in_trial boolean not null,
  primary key (order_id, line),
  check ((starts_at is null) = (ends_at is null)),
  check (starts_at < ends_at)
);
create index order_lines_by_subscription on order_lines (subscription_id);

create table subscription_periods (
  subscription_id text not null,
  starts_at timestamptz(3) not null,
  ends_at timestamptz(3) not null,
  state_at timestamptz(3) not null,
  primary key (subscription_id, starts_at),
  check (starts_at < ends_at)
);

create table polar_prices (
  price_id text primary key,
  catalog_key text not null
);

insert into subscription_periods (subscription_id, starts_at, ends_at, state_at)
select distinct on (subscription_id, period_start) subscription_id, period_start, period_end, created_at
  from grants where subscription_id is not null and period_start < period_end
 order by subscription_id, period_start, created_at desc;
insert into subscription_periods (subscription_id, starts_at, ends_at, state_at)
select id, current_period_start, current_period_end, state_at from subscriptions
    on conflict (subscription_id, starts_at) do update set ends_at = excluded.ends_at, state_at = excluded.state_at;
insert into order_lines (order_id, line, subscription_id, amount, proration, starts_at, ends_at, in_trial)
select id, 0, subscription_id, paid_amount, false, period_start, period_end, false
  from orders where subscription_id is not null and period_start < period_end;
`;

const grants = `
alter table grants
  add column debt_key text,
  add column adjusted bigint not null default 0 check (adjusted >= 0),
  add column written_off bigint not null default 0 check (written_off >= 0),
  add constraint revoked_says_why check (revoked >= adjusted + written_off);
update grants set debt_key = case when subscription_id is null then 'order:' || order_id
                                  else 'cycle:' || subscription_id || ':' || ${iso('period_start')} end
 where order_id is not null;
update grants g set adjusted = t.adjusted, written_off = t.written_off
  from (select grant_id, sum(amount) filter (where kind = 'adjust') as adjusted, sum(amount) filter (where kind = 'forfeit') as written_off
          from (select grant_id, kind, amount from transfers where kind in ('adjust', 'forfeit')
                union all select id, 'adjust', 0 from grants union all select id, 'forfeit', 0 from grants) moved
         group by 1) t
 where t.grant_id = g.id and t.adjusted + t.written_off > 0;
alter table adjustments add column order_id text;
create index grants_by_debt_key on grants (debt_key) where debt_key is not null;
`;

/** Debts of a subscription's orders become debts of its cycles. Their history and their transfers get the new names. */
const debts = `
create temporary table new_keys on commit drop as
select d.order_id, coalesce((select min(g.debt_key) from grants g where g.order_id = d.order_id), 'order:' || d.order_id) as key from debts d;
alter table debt_changes drop constraint debt_changes_order_id_fkey;
alter table debt_changes rename column order_id to key;
alter table debts rename column order_id to key;
alter table debts rename to order_debts;
create table debts (
  key text primary key,
  team_id uuid not null references teams,
  owed bigint not null check (owed >= 0),
  settled bigint not null default 0 check (settled between 0 and owed),
  lifetime boolean not null,
  created_at timestamptz(3) not null
);
insert into debts select n.key, min(d.team_id::text)::uuid, sum(d.owed), sum(d.settled), bool_and(d.lifetime), min(d.created_at)
  from order_debts d join new_keys n on n.order_id = d.key group by n.key;
drop table order_debts;
create index debts_outstanding on debts (team_id) where owed > settled;
alter table debt_changes disable trigger debt_changes_are_immutable;
update debt_changes c set key = n.key from new_keys n where n.order_id = c.key;
alter table debt_changes enable trigger debt_changes_are_immutable;
insert into debt_changes (key, team_id, owed, settled, at) select key, team_id, owed, settled, billing_now() from debts;
alter table debt_changes add constraint debt_changes_key_fkey foreign key (key) references debts;
alter table transfers disable trigger transfers_are_immutable;
update transfers t set reference = 'debt:' || n.key from new_keys n where t.kind = 'settle' and t.reference = 'debt:' || n.order_id;
alter table transfers enable trigger transfers_are_immutable;

create table debt_payments (
  key text not null references debts,
  grant_id uuid not null,
  credits bigint not null check (credits >= 0),
  primary key (key, grant_id)
);
insert into debt_payments (key, grant_id, credits)
select substr(reference, 6), grant_id, sum(case to_account when 'settled' then amount else -amount end)
  from transfers where kind = 'settle' group by 1, 2;
`;

const orders = `
alter table orders rename column paid_at to granted_at;
alter table orders
  add column paid_at timestamptz(3),
  add column bills_usage boolean not null default false,
  drop column period_start,
  drop column period_end,
  drop column allotment,
  drop column catalog_version;
update orders set paid_at = state_at where granted_at is not null;
create index orders_that_drip on orders (team_id) where drips_monthly;
create index orders_by_subscription on orders (subscription_id) where subscription_id is not null;
`;

const kinds = `
alter table transfers drop constraint transfers_kind_check;
alter table transfers add constraint transfers_kind_check
  check (kind in ('grant', 'spend', 'expire', 'reinstate', 'clawback', 'settle', 'hold', 'capture', 'release', 'adjust', 'forfeit'));
`;
