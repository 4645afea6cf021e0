import type { EntityManager } from '@mikro-orm/postgresql';
import { formatCredits } from '../catalog/credits.ts';
import { readCatalog } from '../catalog/versions.ts';
import type { Database } from '../database/connection.ts';
import { InboxEvent } from '../database/entities/inbox-event.ts';
import { Team } from '../database/entities/team.ts';
import {
  giveInboxEventTeam,
  needsApproval,
  parkInboxEvent,
  refreshParkedEvent,
  storeInboxEvent,
  teamDeleted,
  wakeParkedEvent,
} from '../inbox/inbox.ts';
import { isForeign } from '../polar/foreign-event.ts';
import { resolveEventTeam } from '../polar/resolve-team.ts';
import { storable } from '../polar/verify-webhook.ts';
import type { Difference } from './find-differences.ts';
import type { Run } from './reports.ts';

/**
 * The result for a difference: `repaired` by this run, after the team's workflow has applied the event · `waiting`:
 * known and not applied yet, the inbox says why · `needs_approval` of an operator · `not_repaired`: its event was
 * applied and it still differs, so an operator must check it · `needs_operator`: an operator must act at Polar, as
 * `what` says · `unreadable`.
 */
export const findingStates = [
  'repaired',
  'waiting',
  'needs_approval',
  'not_repaired',
  'needs_operator',
  'unreadable',
] as const;
export type FindingState = (typeof findingStates)[number];

/** A difference in a report: plain JSON, no personal data. */
export interface ReconciliationFinding {
  state: FindingState;
  what: string;
  teamId: string | null;
  inboxId: string | null;
  /** The maximum that is granted or taken, as a decimal. */
  credits: string;
}

/**
 * Puts a difference into its team's inbox, as the event that would have reported it, so that the team's own workflow
 * repairs it. If it is found again, in this or a later run, it is not stored again: a parked event gets the object's
 * current state.
 *
 * @returns null if nothing must be done: the object is not ours, or an operator dismissed it
 */
export async function storeRepair(
  database: Database,
  difference: Difference,
  run: Run,
): Promise<ReconciliationFinding | null> {
  const { type, sameAs, id, version, occurredAt, credits, what } = difference;
  const data: unknown = JSON.parse(JSON.stringify(difference.data), storable);
  return database.transaction(async (em) => {
    const resolved = await resolveEventTeam(em, type, data);
    if ('unknown' in resolved && (await isForeign(em, type, data))) return null;
    const teamId = 'teamId' in resolved ? resolved.teamId : null;
    const told = { what, teamId, credits: formatCredits(credits) };
    const [subject = ''] = type.split('.');
    const externalId = `reconcile:${subject}:${id}:${type}:${version}`;
    const waiting = await findWaiting(em, id, sameAs, externalId);
    if (waiting) {
      const found = await refreshWaiting(em, waiting, teamId, data);
      return { ...told, state: found, inboxId: waiting.id };
    }
    if (await isDismissed(em, difference, subject)) return null;

    const payload = {
      type,
      timestamp: occurredAt.toISOString(),
      data,
      reconciliation: { run: run.id, credits: String(credits) },
    };
    const { id: inboxId, stored } = await storeInboxEvent(em, {
      teamId,
      source: 'polar',
      type,
      externalId,
      payload,
      occurredAt,
    });
    const deleted = teamId !== null && (await isDeleted(em, teamId));
    if (!stored) {
      const event = await em.findOneOrFail(InboxEvent, { id: inboxId });
      // The refunded money of a deleted team is settled, and grants nothing.
      if (event.status === 'handled' && deleted && subject !== 'subscription') return null;
      if (event.status === 'parked' && event.receivedAt < new Date(run.startedAt))
        return { state: await refreshWaiting(em, event, teamId, data), inboxId, ...told };
      return { state: stateOf(event, run), inboxId, ...told };
    }
    if ('doubtful' in resolved) {
      await parkInboxEvent(em, inboxId, 'doubtful_team', resolved.doubtful);
      return { state: 'waiting', inboxId, ...told };
    }
    if (teamId === null) return { state: 'waiting', inboxId, ...told };
    if (deleted) {
      const state = type === 'order.paid' ? 'needs_operator' : 'repaired';
      return { state, inboxId, ...told, what: `${what}; its team ${teamId} is deleted` };
    }
    const excess = await findExcess(em, teamId, run);
    if (credits === 0n || excess === null) return { state: 'repaired', inboxId, ...told };
    await parkInboxEvent(
      em,
      inboxId,
      needsApproval,
      `An operator must approve it, because ${excess}: ${what}`,
    );
    return { state: 'needs_approval', inboxId, ...told };
  });
}

/**
 * An event about the same object that is not applied yet. An unreadable event does not count, because Polar's API
 * returns the object in readable form.
 */
async function findWaiting(
  em: EntityManager,
  id: string,
  types: readonly string[],
  externalId: string,
): Promise<WaitingEvent | null> {
  const [row] = await em.execute<WaitingEvent[]>(
    `select id, team_id as "teamId", status, parked_code as "parkedCode" from inbox
      where source = 'polar' and status in ('received', 'parked')
        and type in (${types.map(() => '?').join(', ')})
        and payload->'data'->>'id' = ?
        and coalesce(parked_code, '') <> 'unreadable_event'
        and external_id is distinct from ?
      limit 1`,
    [...types, id, externalId],
  );
  return row ?? null;
}

type WaitingEvent = Pick<InboxEvent, 'id' | 'teamId' | 'status' | 'parkedCode'>;

/**
 * Updates a parked event with the object's current state, and with its team if it has none. If anything changed, it is
 * retried now.
 */
async function refreshWaiting(
  em: EntityManager,
  event: WaitingEvent,
  teamId: string | null,
  data: unknown,
): Promise<FindingState> {
  if (event.status !== 'parked') return 'waiting';
  if (event.parkedCode === needsApproval) return 'needs_approval';
  const changed = await refreshParkedEvent(em, event.id, data);
  if (event.teamId === null && teamId !== null) {
    await giveInboxEventTeam(em, event.id, teamId);
    return 'repaired';
  }
  if (changed) await wakeParkedEvent(em, event.id);
  return event.parkedCode === teamDeleted ? 'needs_operator' : 'waiting';
}

/**
 * Whether an operator dismissed an event about the same object. For a payment, and for an object that we do not know,
 * a dismissal is permanent. For an object that we know, it covers the states up to the dismissed one.
 */
async function isDismissed(
  em: EntityManager,
  { id, type, known, occurredAt }: Difference,
  subject: string,
): Promise<boolean> {
  const rows = await em.execute(
    `select from inbox
      where source = 'polar' and payload->'data'->>'id' = ? and status = 'dismissed' and starts_with(type, ?)
        and (? or occurred_at >= ?)
      limit 1`,
    [id, `${subject}.`, type === 'order.paid' || !known, occurredAt],
  );
  return rows.length > 0;
}

function stateOf({ status, parkedCode, receivedAt }: InboxEvent, run: Run): FindingState {
  if (parkedCode === needsApproval) return 'needs_approval';
  if (receivedAt >= new Date(run.startedAt)) return 'repaired'; // after a failure the same page is compared again
  return status === 'handled' ? 'not_repaired' : 'waiting';
}

async function isDeleted(em: EntityManager, teamId: string): Promise<boolean> {
  return (await em.findOneOrFail(Team, { id: teamId })).deletedAt !== null;
}

/** Why this run needs an approval, including the event just stored; null if it needs none. */
async function findExcess(em: EntityManager, teamId: string, { id }: Run): Promise<string | null> {
  const [row] = await em.execute<{ team: string; total: string }[]>(
    `select coalesce(sum((payload->'reconciliation'->>'credits')::bigint) filter (where team_id = ?), 0) as team,
            coalesce(sum((payload->'reconciliation'->>'credits')::bigint), 0) as total
       from inbox
      where payload->'reconciliation'->>'run' = ?`,
    [teamId, id],
  );
  if (!row) throw new Error('a sum over the inbox returned no row');
  const { catalog } = await readCatalog(em);
  const { reconciliationApproval, reconciliationApprovalTotal } = catalog.policies;
  const [ofTeam, total] = [BigInt(row.team), BigInt(row.total)];
  if (ofTeam > reconciliationApproval) return `this run moves ${formatCredits(ofTeam)} credits of the team`;
  if (total > reconciliationApprovalTotal)
    return `this run moves ${formatCredits(total)} credits of all teams`;
  return null;
}
