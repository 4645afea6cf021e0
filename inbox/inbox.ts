import type { EntityManager } from '@mikro-orm/postgresql';
import { v7 as uuidv7 } from 'uuid';
import type { Database, Executor } from '../database/connection.ts';
import type { InboxSource } from '../database/entities/inbox-event.ts';
import { type WaitingEvent, waitingEventSql } from './waiting-event.ts';

/** How long a stored event waits before the relay signals it (again), in seconds; doubled with every attempt. */
const firstRetrySeconds = 2;
const longestSignalPauseSeconds = 600;
const longestRetryPauseSeconds = 86_400;
/** How often a parked event is retried, over about four days. Then it waits for an operator and is not signalled. */
const automaticRetries = 18;
/** The code of a large repair of reconciliation: it is applied only after an operator's approval. */
export const needsApproval = 'needs_approval';
/** The code of money for a deleted team. Also used in reconciliation's findings. */
export const teamDeleted = 'team_deleted';
/** For these codes a retry is useless: the event waits for an operator at once. */
const waitsForOperator: readonly string[] = [needsApproval, teamDeleted, 'order_with_seats'];

export interface NewInboxEvent {
  /** Null while the event names no team that we know. */
  teamId: string | null;
  source: InboxSource;
  type: string;
  /** The sender's id of the message, e.g. Polar's `webhook-id`. */
  externalId: string | null;
  payload: unknown;
  /** When it happened, by the sender's clock; default: now. */
  occurredAt?: Date;
  /** `received` (the default) is to be handled; `ignored` is only recorded. */
  status?: 'received' | 'ignored';
  /** Why billing does not use an ignored event. */
  outcome?: string;
  /** Why it cannot be applied now, if that is already known. */
  parked?: { code: string; why: string };
}

const unknownTeam = {
  code: 'unknown_team',
  why: 'The event names none of our teams. It is applied when its team is known.',
};

/**
 * Stores an event for a team's workflow, in the transaction of its cause. An event without a team is parked
 * until its team is known. A message that was stored before (same `externalId`) is not stored again. Names, e-mails and
 * addresses in the payload are left out: billing does not need them, so an erasure need not touch this table.
 *
 * @param em  in the transaction of its cause; or the database, if the event has no other cause
 * @returns `event`: what to signal
 */
export async function storeInboxEvent(
  em: Executor,
  event: NewInboxEvent,
): Promise<{ id: string; stored: boolean; event: WaitingEvent }> {
  const id = uuidv7();
  const ignored = event.status === 'ignored';
  const waits = ignored || (event.parked !== undefined && waitsForOperator.includes(event.parked.code));
  const parked = ignored ? undefined : (event.parked ?? (event.teamId === null ? unknownTeam : undefined));
  const [row] = await em.execute<{ event: WaitingEvent }[]>(
    `insert into inbox (id, team_id, source, type, external_id, payload, occurred_at, received_at, status,
                        parked_code, outcome, next_signal_at, handled_at)
     values (?, ?, ?, ?, ?, ?::jsonb, coalesce(?, billing_now()), billing_now(), ?, ?, ?,
             case when ? then null else clock_timestamp() + make_interval(secs => ?) end,
             case when ? then billing_now() end)
     on conflict (external_id) do nothing
     returning ${waitingEventSql} as event`,
    [
      id,
      event.teamId,
      event.source,
      event.type,
      event.externalId,
      JSON.stringify(withoutPersonalData(event.payload)),
      event.occurredAt ?? null,
      ignored ? 'ignored' : parked ? 'parked' : 'received',
      parked?.code ?? null,
      parked?.why ?? event.outcome ?? null,
      waits,
      firstRetrySeconds,
      ignored,
    ],
  );
  if (row) {
    if (event.type === 'team.created' && event.teamId !== null) await wakeEventsNaming(em, event.teamId);
    return { id, stored: true, event: row.event };
  }
  const [known] = await em.execute<{ id: string }[]>('select id from inbox where external_id = ?', [
    event.externalId,
  ]);
  if (!known) throw new Error(`the inbox has no message ${event.externalId}, and refuses to store it`);
  return { id: known.id, stored: false, event: { inboxId: known.id, type: event.type } };
}

/** The event was applied, or nothing had to change. `outcome` says which, as a sentence. */
export async function markHandled(em: EntityManager, id: string, outcome: string): Promise<void> {
  await em.execute(
    `update inbox set status = 'handled', parked_code = null, next_signal_at = null,
                      handled_at = billing_now(), attempts = attempts + 1,
                      outcome = ? || coalesce(', approved by ' || (payload->'reconciliation'->>'approvedBy'), '')
      where id = ?`,
    [outcome, id],
  );
}

/**
 * Settles a team's waiting events of a type whose row only says that something has changed, because a new row will say it
 * again. The new row is not merged into a waiting one, because that one may be applied at this moment, from an older state.
 */
export async function supersedeWaiting(em: EntityManager, teamId: string, type: string): Promise<void> {
  await em.execute(
    `update inbox set status = 'handled', parked_code = null, next_signal_at = null, handled_at = billing_now(),
                      outcome = 'Superseded by a newer change'
      where team_id = ? and type = ? and status in ('received', 'parked')`,
    [teamId, type],
  );
}

/**
 * Settles waiting events of the team that have no step. Events that are settled, or parked for an approval, are not
 * changed. Call it in a transaction under the team's lock.
 */
export async function recordEvents(
  em: EntityManager,
  teamId: string,
  ids: readonly string[],
  outcome: string,
): Promise<void> {
  if (ids.length === 0) return;
  await em.execute(
    `update inbox set status = 'handled', parked_code = null, next_signal_at = null, handled_at = billing_now(),
                      attempts = attempts + 1, outcome = ?
      where team_id = ? and status in ('received', 'parked') and parked_code is distinct from '${needsApproval}'
        and id in (select value::uuid from jsonb_array_elements_text(?::jsonb))`,
    [outcome, teamId, JSON.stringify(ids)],
  );
}

/**
 * Parks an event that cannot be applied now: it stays visible with a stable code. It is retried a limited number of
 * times with growing pauses. Then it waits for an operator.
 */
export async function parkInboxEvent(
  em: EntityManager,
  id: string,
  code: string,
  why: string,
): Promise<void> {
  await em.execute(
    `update inbox set status = 'parked', parked_code = ?, outcome = ?, attempts = attempts + 1,
                      next_signal_at = case when not ? and attempts < ${automaticRetries} then clock_timestamp() + make_interval(
                        secs => least(${longestRetryPauseSeconds}, ${firstRetrySeconds} * power(2, attempts))) end
      where id = ? and status in ('received', 'parked')`,
    [code, why, waitsForOperator.includes(code), id],
  );
}

/** A stored event to signal to its team's workflow. */
export interface DueEvent {
  teamId: string;
  event: WaitingEvent;
}

/** A parked event without a known team, whose team must be looked up again. */
export interface TeamlessEvent {
  id: string;
  type: string;
  payload: unknown;
}

/**
 * Claims up to `limit` events of known teams that are due to be signalled. A claimed event is due again only after a
 * pause that grows each time, in case the signal or the worker is lost. Events that are claimed together are due again
 * at the same time, so that the next signal of a team contains all of them.
 */
export async function claimDueEvents(database: Database, limit: number): Promise<DueEvent[]> {
  return claim<DueEvent>(
    database,
    limit,
    'team_id is not null',
    `team_id as "teamId", ${waitingEventSql} as event`,
  );
}

/** As `claimDueEvents`, for events whose team is not known yet. */
export async function claimTeamlessEvents(database: Database, limit: number): Promise<TeamlessEvent[]> {
  return claim<TeamlessEvent>(database, limit, 'team_id is null', 'id, type, payload');
}

function claim<Row extends object>(
  database: Database,
  limit: number,
  condition: string,
  columns: string,
): Promise<Row[]> {
  return database.execute<Row[]>(
    `update inbox
        set next_signal_at = statement_timestamp() + make_interval(secs => least(?::float8, ?::float8 * power(2, least(signals, 20)))),
            signals = signals + 1
      where id in (select id from inbox
                    where next_signal_at <= statement_timestamp() and ${condition}
                    order by next_signal_at
                    limit ?
                      for update skip locked)
      returning ${columns}`,
    [longestSignalPauseSeconds, firstRetrySeconds, limit],
  );
}

/** Temporal could not be reached with claimed events: they are due again in a moment. */
export async function postponeInboxEvents(database: Database, ids: readonly string[]): Promise<void> {
  await database.fork().execute(
    `update inbox set next_signal_at = statement_timestamp() + interval '500 milliseconds', signals = signals - 1
      where id in (select value::uuid from jsonb_array_elements_text(?::jsonb)) and next_signal_at is not null`,
    [JSON.stringify(ids)],
  );
}

/** The team of a parked event is now known: the event is signalled now. */
export async function giveInboxEventTeam(em: EntityManager, id: string, teamId: string): Promise<void> {
  await em.execute(
    `update inbox set team_id = ?, status = 'received', parked_code = null, outcome = null,
                      next_signal_at = clock_timestamp()
      where id = ? and team_id is null and status = 'parked'`,
    [teamId, id],
  );
}

/**
 * Replaces the object in a parked event with its current state at Polar, without names and addresses.
 *
 * @returns whether it differs from the stored one
 */
export async function refreshParkedEvent(em: EntityManager, id: string, data: unknown): Promise<boolean> {
  const current = JSON.stringify(withoutPersonalData(data));
  const rows = await em.execute(
    `update inbox set payload = jsonb_set(payload, '{data}', ?::jsonb)
      where id = ? and status = 'parked' and parked_code <> '${needsApproval}' and payload->'data' is distinct from ?::jsonb
      returning id`,
    [current, id, current],
  );
  return rows.length > 0;
}

/** Signals a parked event now, even if it waits for an operator. */
export async function wakeParkedEvent(em: EntityManager, id: string): Promise<void> {
  await em.execute(
    `update inbox set next_signal_at = clock_timestamp()
      where id = ? and status = 'parked' and parked_code <> '${needsApproval}'`,
    [id],
  );
}

/** Polar's customer has changed: its parked events without a team are resolved again now. */
export async function wakeEventsOfCustomer(em: Executor, customerId: string): Promise<void> {
  await em.execute(
    `update inbox set next_signal_at = clock_timestamp()
      where status = 'parked' and team_id is null
        and coalesce(payload->'data'->>'customer_id', payload->'data'->'customer'->>'id') = ?`,
    [customerId],
  );
}

/** Money of an order was returned: this may settle parked events of the order. */
export async function wakeEventsOfOrder(em: Executor, orderId: string): Promise<void> {
  await em.execute(
    `update inbox set next_signal_at = clock_timestamp()
      where source = 'polar' and payload->'data'->>'id' = ? and status = 'parked' and parked_code <> '${needsApproval}'`,
    [orderId],
  );
}

/** A team was created: parked events that name it are resolved again now. */
async function wakeEventsNaming(em: Executor, teamId: string): Promise<void> {
  await em.execute(
    `update inbox set next_signal_at = clock_timestamp()
      where status = 'parked' and parked_code = 'unknown_team' and team_id is null
        and ? in (lower(payload->'data'->'metadata'->>'team_id'), lower(payload->'data'->'customer'->>'external_id'),
                  lower(payload->'data'->>'external_id'))`,
    [teamId],
  );
}

/** Retries the team's events that were parked with these codes: a change that they waited for has happened. */
export async function retryParked(
  em: EntityManager,
  teamId: string,
  codes: readonly string[],
): Promise<void> {
  await em.execute(
    `update inbox set next_signal_at = clock_timestamp()
      where team_id = ? and status = 'parked' and parked_code in (select jsonb_array_elements_text(?::jsonb))`,
    [teamId, JSON.stringify(codes)],
  );
}

/** Fields with names and addresses of persons: `email`, `customer_name`, `billing_address`, `tax_id`, … */
const personal = /(^|_)(e?mail|name|address|tax_id|phone|avatar_url|comment|custom_field_data)$/i;
/**
 * One character before the `@` is enough. A search for a whole word would restart at each character of a long text
 * without one, and take hours for 8 MiB. After each `@` it reads up to the next one, so the time is linear.
 */
const emailAddress = /[^\s@]@[^\s@]+\.[^\s@]/;

/** A JSON value without names, e-mails, addresses and tax numbers. Ids, amounts, times and our metadata stay. */
export function withoutPersonalData(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutPersonalData);
  if (typeof value === 'string') return emailAddress.test(value) ? null : value;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !personal.test(key))
      .map(([key, member]) => [key, withoutPersonalData(member)]),
  );
}
