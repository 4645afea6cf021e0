import { Migration } from '@mikro-orm/migrations';

/**
 * Endpoints of other systems, and one delivery for each endpoint and message. The deliveries of a message are created
 * with it, in the transaction of its cause, so an endpoint gets every message that is committed while it exists.
 */
export class WebhookEndpoints extends Migration {
  override name = '0017-webhook-endpoints';

  override up(): void {
    this.addSql(`
create table webhook_endpoints (
  id uuid primary key,
  url text not null,
  -- Null: the messages of all teams.
  team_id uuid references teams (id),
  -- Encrypted with WEBHOOK_SIGNING_KEY.
  secret bytea not null,
  previous_secret bytea,
  previous_secret_until timestamptz(3),
  -- Every attempt has failed since then.
  failing_since timestamptz(3),
  disabled_at timestamptz(3),
  disabled_reason text check (disabled_reason in ('gone', 'failing', 'operator')),
  created_at timestamptz(3) not null,
  deleted_at timestamptz(3),
  check ((disabled_at is null) = (disabled_reason is null)),
  check ((previous_secret is null) = (previous_secret_until is null))
);

create table webhook_deliveries (
  endpoint_id uuid not null references webhook_endpoints (id),
  message_id uuid not null references outbox (id),
  -- Messages with the same order key are delivered in the order of seq: those of a team.
  order_key uuid not null,
  seq bigint not null,
  status text not null default 'pending' check (status in ('pending', 'delivered', 'failed')),
  attempts int not null default 0 check (attempts >= 0),
  next_attempt_at timestamptz(3) not null,
  last_attempt_at timestamptz(3),
  -- The HTTP status of the last answer, or why there was none.
  last_status int,
  last_error text,
  -- The endpoint's workflow was signalled.
  signalled boolean not null default false,
  primary key (endpoint_id, message_id)
);
create unique index webhook_deliveries_in_order on webhook_deliveries (endpoint_id, order_key, seq) where status = 'pending';
create index webhook_deliveries_to_signal on webhook_deliveries (endpoint_id) where status = 'pending' and not signalled;
create index webhook_deliveries_by_endpoint on webhook_deliveries (endpoint_id, seq);

create function create_webhook_deliveries() returns trigger language plpgsql as $$
begin
  insert into webhook_deliveries (endpoint_id, message_id, order_key, seq, next_attempt_at)
  select e.id, m.id, coalesce(m.team_id, '00000000-0000-0000-0000-000000000000'), m.seq, m.at
    from added m
    join webhook_endpoints e on e.deleted_at is null and (e.team_id is null or e.team_id = m.team_id);
  return null;
end $$;
create trigger create_webhook_deliveries after insert on outbox
  referencing new table as added for each statement execute function create_webhook_deliveries();
`);
  }
}
