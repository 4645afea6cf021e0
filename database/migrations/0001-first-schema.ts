import { Migration } from '@mikro-orm/migrations';

/**
 * The first schema. All times are `timestamptz(3)`, the precision of JavaScript's `Date`, so an instant compares equal
 * in SQL and in TypeScript. All credits are `bigint` micro-credits.
 */
export class FirstSchema extends Migration {
  override name = '0001-first-schema';

  override up(): void {
    this.addSql(clock);
    this.addSql(teams);
    this.addSql(inbox);
    this.addSql(catalog);
    this.addSql(grants);
    this.addSql(partitionedHistory);
    this.addSql(payments);
    this.addSql(immutability);
  }
}

/** The one clock. Tests replace this function with one that they can set. Everything about credits uses it. */
const clock = `
create function billing_now() returns timestamptz(3) language sql volatile parallel safe
  return clock_timestamp()::timestamptz(3);
`;

const teams = `
create table teams (
  id uuid primary key,
  name text not null check (length(name) between 1 and 200),
  personal boolean not null,
  polar_customer_id text unique,
  created_at timestamptz(3) not null default billing_now(),
  deleted_at timestamptz(3),
  -- Whether the hot path must also look at the team's limits or debts; most teams have neither.
  has_limits boolean not null default false,
  has_debts boolean not null default false
) with (fillfactor = 70); -- every spend locks its team's row: room for the locks' row versions

create table users (
  id text primary key check (id ~ '^[A-Za-z0-9_-]{1,64}$'),
  email text,
  name text,
  personal_team_id uuid not null unique references teams,
  created_at timestamptz(3) not null default billing_now(),
  erased_at timestamptz(3),
  check ((erased_at is null) = (email is not null and name is not null))
);

create table members (
  team_id uuid not null references teams,
  user_id text not null references users,
  role text not null check (role in ('owner', 'admin', 'billing', 'member')),
  created_at timestamptz(3) not null default billing_now(),
  primary key (team_id, user_id)
);
create index members_by_user on members (user_id);

create table trial_claims (
  owner_id text not null,
  ordinal integer not null check (ordinal > 0),
  team_id uuid not null unique references teams,
  claimed_at timestamptz(3) not null,
  primary key (owner_id, ordinal)
);

create table service_keys (
  id uuid primary key,
  name text not null,
  hash bytea not null unique check (length(hash) = 32),
  scopes text[] not null check (scopes <@ array['onboarding', 'usage', 'billing', 'admin'] and cardinality(scopes) > 0),
  created_at timestamptz(3) not null default billing_now(),
  revoked_at timestamptz(3)
);

create table idempotency_keys (
  scope text not null,
  key text not null,
  body_hash bytea not null,
  usage_event_id uuid,
  occurred_at timestamptz(3),
  status smallint,
  response jsonb,
  created_at timestamptz(3) not null,
  primary key (scope, key),
  check ((usage_event_id is null) = (occurred_at is null)),
  check ((usage_event_id is null) = (status is not null and response is not null))
);
create index idempotency_keys_by_age on idempotency_keys using brin (created_at);
`;

const inbox = `
create table inbox (
  id uuid primary key,
  team_id uuid references teams,
  source text not null check (source in ('sign-up', 'polar', 'operator')),
  type text not null,
  external_id text unique,
  payload jsonb not null,
  occurred_at timestamptz(3) not null,
  received_at timestamptz(3) not null default billing_now(),
  status text not null check (status in ('received', 'handled', 'parked', 'ignored')),
  outcome text,
  parked_code text,
  attempts integer not null default 0,
  signals integer not null default 0,
  next_signal_at timestamptz(3),
  handled_at timestamptz(3),
  check ((status = 'parked') = (parked_code is not null)),
  check ((status in ('received', 'parked')) = (next_signal_at is not null))
);
create index inbox_to_signal on inbox (next_signal_at) where status in ('received', 'parked');
create index inbox_by_team on inbox (team_id, id);
-- For the hourly maintenance: payloads that are to be cut to ids, and (below) keys that are no longer kept.
create index inbox_to_cut on inbox (handled_at) where status in ('handled', 'ignored') and not payload ? 'cutAt';
`;

const catalog = `
create table catalog_versions (
  version integer primary key check (version > 0),
  document jsonb not null,
  published_at timestamptz(3) not null default billing_now()
);

create table polar_products (
  polar_product_id text primary key,
  catalog_key text not null,
  synced_at timestamptz(3) not null default billing_now()
);
create index polar_products_by_key on polar_products (catalog_key);
`;

const grants = `
create table grants (
  id uuid primary key,
  team_id uuid not null references teams,
  source text not null check (source in ('trial', 'subscription', 'adjustment', 'purchase')),
  business_key text not null unique,
  granted bigint not null check (granted > 0),
  available bigint not null check (available >= 0),
  held bigint not null default 0 check (held >= 0),
  consumed bigint not null default 0 check (consumed >= 0),
  expired bigint not null default 0 check (expired >= 0),
  revoked bigint not null default 0 check (revoked >= 0),
  settled bigint not null default 0 check (settled >= 0),
  effective_at timestamptz(3) not null,
  expires_at timestamptz(3),
  lives_until timestamptz(3),
  product text,
  catalog_version integer not null references catalog_versions,
  order_id text,
  subscription_id text,
  period_start timestamptz(3),
  period_end timestamptz(3),
  allotment bigint,
  actor text,
  reason text,
  created_at timestamptz(3) not null,
  -- What the hot path looks for. A column of its own, because an index on \`available\` would make every
  -- spend's update touch the indexes (no HOT update); this one changes only when the grant runs dry.
  open boolean not null generated always as (available + held > 0) stored,
  constraint grant_is_balanced check (granted = available + held + consumed + expired + revoked + settled),
  check (source <> 'adjustment' or (actor is not null and reason is not null))
) with (fillfactor = 60);
create index grants_open on grants (team_id) where open;
create index grants_by_team on grants (team_id, id);
create index grants_by_order on grants (order_id) where order_id is not null;
create index grants_by_subscription on grants (subscription_id, period_start) where subscription_id is not null;

create table holds (
  id uuid primary key,
  team_id uuid not null references teams,
  action text not null,
  credits bigint not null check (credits > 0),
  price_version integer not null,
  member_id text,
  api_key_id text,
  status text not null check (status in ('open', 'captured', 'released', 'lapsed')),
  expires_at timestamptz(3) not null,
  latest_expiry timestamptz(3) not null,
  usage_event_id uuid,
  occurred_at timestamptz(3),
  created_at timestamptz(3) not null,
  check (expires_at <= latest_expiry),
  check ((status = 'captured') = (usage_event_id is not null)),
  check ((usage_event_id is null) = (occurred_at is null))
) with (fillfactor = 80);
create index holds_open on holds (expires_at) where status = 'open';
create index holds_open_by_team on holds (team_id, expires_at) where status = 'open';

create table hold_draws (
  hold_id uuid not null,
  grant_id uuid not null,
  credits bigint not null check (credits > 0),
  primary key (hold_id, grant_id)
);

create table limits (
  team_id uuid not null references teams,
  subject text not null check (subject in ('member', 'key')),
  subject_id text not null,
  credits bigint not null check (credits >= 0),
  per text not null check (per in ('day', 'month', 'cycle')),
  window_start timestamptz(3) not null,
  consumed bigint not null default 0 check (consumed >= 0),
  held bigint not null default 0 check (held >= 0),
  primary key (team_id, subject, subject_id)
);

create table adjustments (
  id uuid primary key,
  team_id uuid not null references teams,
  credits bigint not null check (credits <> 0),
  reason text not null,
  actor text not null,
  expires_at timestamptz(3),
  created_at timestamptz(3) not null
);
create index adjustments_by_team on adjustments (team_id, id);

create table grant_expiry_changes (
  id bigint generated always as identity primary key,
  grant_id uuid not null references grants,
  team_id uuid not null references teams,
  from_expires_at timestamptz(3),
  to_expires_at timestamptz(3),
  reason text not null,
  at timestamptz(3) not null
);
create index grant_expiry_changes_by_grant on grant_expiry_changes (grant_id);
`;

/**
 * Tables that grow with usage are partitioned by month (UTC). These two have no foreign keys: at thousands of rows a
 * second each check costs more than the row. \`npm run ledger:verify\` finds orphans instead. A month's partitions are
 * created in advance, or by the first writer that finds them missing (see ../partitions.ts).
 */
const partitionedHistory = `
create table usage_events (
  team_id uuid not null,
  occurred_at timestamptz(3) not null,
  id uuid not null,
  recorded_at timestamptz(3) not null,
  action text not null,
  lines jsonb not null,
  credits bigint not null check (credits > 0),
  price_version integer not null,
  balance_after bigint not null check (balance_after >= 0),
  member_id text,
  api_key_id text,
  hold_id uuid,
  metadata jsonb,
  primary key (team_id, occurred_at, id)
) partition by range (occurred_at);

create table transfers (
  team_id uuid not null,
  at timestamptz(3) not null,
  id bigint generated by default as identity,
  grant_id uuid not null,
  kind text not null check (kind in ('grant', 'spend', 'expire', 'clawback', 'settle', 'hold', 'capture', 'release', 'adjust', 'forfeit')),
  from_account text not null,
  to_account text not null,
  amount bigint not null check (amount > 0),
  usage_event_id uuid,
  reference text,
  primary key (team_id, at, id),
  check (from_account <> to_account),
  check (from_account in ('issued', 'available', 'held', 'consumed', 'expired', 'revoked', 'settled')),
  check (to_account in ('available', 'held', 'consumed', 'expired', 'revoked', 'settled')),
  check ((usage_event_id is null) <> (reference is null))
) partition by range (at);

create function create_partitions(month date) returns void language plpgsql as $$
declare
  first timestamptz := date_trunc('month', month)::timestamp at time zone 'UTC';
  next timestamptz := (date_trunc('month', month) + interval '1 month')::timestamp at time zone 'UTC';
  suffix text := to_char(month, 'YYYY_MM');
begin
  perform pg_advisory_xact_lock(hashtext('create_partitions'));
  execute format('create table if not exists %I partition of usage_events for values from (%L) to (%L)', 'usage_events_' || suffix, first, next);
  execute format('create table if not exists %I partition of transfers for values from (%L) to (%L)', 'transfers_' || suffix, first, next);
end $$;
`;

const payments = `
create table subscriptions (
  id text primary key,
  team_id uuid not null references teams,
  plan text not null,
  next_plan text,
  status text not null,
  current_period_start timestamptz(3) not null,
  current_period_end timestamptz(3) not null,
  cancel_at_period_end boolean not null,
  started_at timestamptz(3),
  ended_at timestamptz(3),
  anchor_day smallint not null check (anchor_day between 1 and 31),
  state_at timestamptz(3) not null,
  check (current_period_start < current_period_end)
);
create index subscriptions_by_team on subscriptions (team_id);

create table orders (
  id text primary key,
  team_id uuid not null references teams,
  paid_at timestamptz(3),
  product text,
  subscription_id text,
  currency text,
  paid_amount bigint not null check (paid_amount >= 0),
  refunded_amount bigint not null default 0 check (refunded_amount >= 0),
  disputed_amount bigint not null default 0 check (disputed_amount >= 0),
  period_start timestamptz(3),
  period_end timestamptz(3),
  allotment bigint,
  drips_monthly boolean not null default false,
  catalog_version integer references catalog_versions,
  state_at timestamptz(3) not null,
  created_at timestamptz(3) not null default billing_now()
);
create index orders_by_team on orders (team_id);
create index orders_that_drip on orders (team_id, period_end) where drips_monthly;

create table debts (
  order_id text primary key,
  team_id uuid not null references teams,
  owed bigint not null check (owed >= 0),
  settled bigint not null default 0 check (settled between 0 and owed),
  lifetime boolean not null,
  created_at timestamptz(3) not null
);
create index debts_outstanding on debts (team_id) where owed > settled;

create table debt_changes (
  id bigint generated always as identity primary key,
  order_id text not null references debts,
  team_id uuid not null references teams,
  owed bigint not null,
  settled bigint not null,
  at timestamptz(3) not null
);
create index debt_changes_by_team on debt_changes (team_id, at);
`;

/** History cannot be changed, not even by our own code. */
const immutability = `
create function refuse_rewriting_history() returns trigger language plpgsql as $$
begin
  raise exception 'rows of % are immutable: % is refused', tg_table_name, lower(tg_op) using errcode = 'restrict_violation';
end $$;
create trigger transfers_are_immutable before update or delete or truncate on transfers
  for each statement execute function refuse_rewriting_history();
create trigger usage_events_are_immutable before update or delete or truncate on usage_events
  for each statement execute function refuse_rewriting_history();
create trigger adjustments_are_immutable before update or delete or truncate on adjustments
  for each statement execute function refuse_rewriting_history();
create trigger hold_draws_are_immutable before update or delete or truncate on hold_draws
  for each statement execute function refuse_rewriting_history();
create trigger catalog_versions_are_immutable before update or delete or truncate on catalog_versions
  for each statement execute function refuse_rewriting_history();
create trigger debt_changes_are_immutable before update or delete or truncate on debt_changes
  for each statement execute function refuse_rewriting_history();
create trigger grant_expiry_changes_are_immutable before update or delete or truncate on grant_expiry_changes
  for each statement execute function refuse_rewriting_history();
`;
