import type { EntityManager } from '@mikro-orm/postgresql';
import { v7 as uuidv7 } from 'uuid';
import type { Database } from '../database/connection.ts';
import { InboxEvent } from '../database/entities/inbox-event.ts';
import { withoutPersonalData } from './without-personal-data.ts';

/** How long a stored event waits before the relay signals it (again), in seconds: doubled with every attempt. */
const firstRetrySeconds = 2;
const longestRetrySeconds = 600;
/** Parked under one of these, an event waits for a person: trying again sooner than once a day is of no use. */
const waitsForPeople = ['team_deleted'];
const dailySeconds = 86_400;
/** A large repair of reconciliation's is parked under this code: nothing but an operator's approval lets it through. */
export const needsApproval = 'needs_approval';

export interface NewInboxEvent {
  /** Null while the event names no team that we know. */
  teamId: string | null;
  source: 'sign-up' | 'polar' | 'operator';
  type: string;
  /** The sender's id of the message, e.g. Polar's `webhook-id`. */
  externalId: string | null;
  payload: unknown;
  /** When it happened, by the sender's clock; now where the sender says nothing. */
  occurredAt?: Date;
  /** `received` (the default) is to be handled; `ignored` is kept for the record only. */
  status?: 'received' | 'ignored';
  /** Why it cannot be applied now, where that is known already. */
  parked?: { code: string; why: string };
}

const unknownTeam = {
  code: 'unknown_team',
  why: 'No team of ours is named by this event; it is applied once there is one.',
};

/**
 * Stores what a team's workflow must hear, in the transaction of its cause. An event without a team is parked
 * until its team is known. A message that was stored before (same `externalId`) is not stored again. Names, e-mails and
 * addresses in the payload are left out: nothing of billing needs them, so nobody need ever be erased from here.
 */
export async function storeInboxEvent(
  em: EntityManager,
  event: NewInboxEvent,
): Promise<{ id: string; stored: boolean }> {
  const id = uuidv7();
  const ignored = event.status === 'ignored';
  const parked = ignored ? undefined : (event.parked ?? (event.teamId === null ? unknownTeam : undefined));
  const [row] = await em.execute<{ id: string }[]>(
    `insert into inbox (id, team_id, source, type, external_id, payload, occurred_at, received_at, status,
                        parked_code, outcome, next_signal_at, handled_at)
     values (?, ?, ?, ?, ?, ?::jsonb, coalesce(?, billing_now()), billing_now(), ?, ?, ?,
             case when ? then null else clock_timestamp() + make_interval(secs => ?) end,
             case when ? then billing_now() end)
     on conflict (external_id) do nothing
     returning id`,
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
      parked?.why ?? null,
      ignored,
      firstRetrySeconds,
      ignored,
    ],
  );
  if (row) return { id: row.id, stored: true };
  const known = await em.findOneOrFail(InboxEvent, { externalId: event.externalId });
  return { id: known.id, stored: false };
}

/** The event was applied, or found to change nothing. `outcome` says which, in plain words. */
export async function markHandled(em: EntityManager, id: string, outcome: string): Promise<void> {
  await em.execute(
    `update inbox set status = 'handled', parked_code = null, next_signal_at = null,
                      handled_at = billing_now(), attempts = attempts + 1,
                      outcome = ? || coalesce(', approved by ' || (payload->'reconciliation'->>'approvedBy'), '')
      where id = ?`,
    [outcome, id],
  );
}

/** The event cannot be applied now: it stays visible under a stable code and is tried again with growing pauses. */
export async function parkInboxEvent(
  em: EntityManager,
  id: string,
  code: string,
  why: string,
): Promise<void> {
  await em.execute(
    `update inbox set status = 'parked', parked_code = ?, outcome = ?, attempts = attempts + 1,
                      next_signal_at = clock_timestamp() + make_interval(secs => greatest(?, least(${longestRetrySeconds}, ${firstRetrySeconds} * power(2, least(attempts, 20)))))
      where id = ? and status in ('received', 'parked')`,
    [code, why, waitsForPeople.includes(code) ? dailySeconds : 0, id],
  );
}

/** A stored event that its team's workflow is to be told of. */
export interface DueEvent {
  id: string;
  /** Null: it named no team of ours so far. */
  teamId: string | null;
  type: string;
  payload: unknown;
}

/**
 * Takes up to `limit` events that are due to be signalled, for this caller alone: what is taken is due again only after
 * a pause that grows with each time, should the signal or the worker be lost.
 */
export async function claimDueEvents(database: Database, limit: number): Promise<DueEvent[]> {
  return database.fork().execute<DueEvent[]>(
    `update inbox
        set next_signal_at = clock_timestamp() + make_interval(secs => least(?, ? * power(2, least(signals, 20)))),
            signals = signals + 1
      where id in (select id from inbox
                    where status in ('received', 'parked') and next_signal_at <= clock_timestamp()
                      and parked_code is distinct from '${needsApproval}'
                    order by next_signal_at
                    limit ?
                      for update skip locked)
      returning id, team_id as "teamId", type, payload`,
    [longestRetrySeconds, firstRetrySeconds, limit],
  );
}

/** The signal of a claimed event failed: it is due again in a moment. */
export async function postponeInboxEvent(database: Database, id: string): Promise<void> {
  await database.fork().execute(
    `update inbox set next_signal_at = clock_timestamp() + interval '500 milliseconds', signals = signals - 1
      where id = ? and status in ('received', 'parked')`,
    [id],
  );
}

/** The team that an event names has become known. */
export async function giveInboxEventTeam(database: Database, id: string, teamId: string): Promise<void> {
  await database.fork().execute(
    `update inbox set team_id = ?, status = 'received', parked_code = null, outcome = null
      where id = ? and team_id is null and status = 'parked'`,
    [teamId, id],
  );
}

/**
 * Something has changed that parked events, of one team or of all, were waiting for (a product was synced, a cycle was
 * paid): try them now.
 */
export async function retryParked(em: EntityManager, code: string, teamId?: string): Promise<void> {
  await em.execute(
    `update inbox set next_signal_at = clock_timestamp()
      where status = 'parked' and parked_code = ? and (?::uuid is null or team_id = ?)`,
    [code, teamId ?? null, teamId ?? null],
  );
}
