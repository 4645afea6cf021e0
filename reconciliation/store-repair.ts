import type { EntityManager } from '@mikro-orm/postgresql';
import { formatCredits } from '../catalog/credits.ts';
import { readCatalog } from '../catalog/versions.ts';
import type { Database } from '../database/connection.ts';
import { InboxEvent } from '../database/entities/inbox-event.ts';
import { Team } from '../database/entities/team.ts';
import { needsApproval, parkInboxEvent, storeInboxEvent } from '../inbox/inbox.ts';
import { resolveTeam } from '../polar/resolve-team.ts';
import { storable } from '../polar/verify-webhook.ts';
import type { Difference } from './find-differences.ts';

/**
 * What became of a difference: `repaired` by this run, as soon as the team's workflow has heard it · `waiting`: known and
 * not applied yet, the inbox says why · `needs approval` of an operator · `not repaired`: its event was applied and it still
 * differs, which is for a person to look at · `unreadable`.
 */
export type FindingState = 'repaired' | 'waiting' | 'needs approval' | 'not repaired' | 'unreadable';

/** A difference as a report tells of it: plain JSON, no personal data. */
export interface Finding {
  state: FindingState;
  what: string;
  teamId: string | null;
  inboxId: string | null;
  /** The most that is granted or taken, as a decimal. */
  credits: string;
}

/** The run that finds it. Times in ISO 8601. */
export interface Run {
  id: string;
  startedAt: string;
}

/**
 * Puts a difference into its team's inbox, as the event that would have told us: the team's own workflow repairs it. Found
 * again, in the same run or a later one, it is not stored again.
 *
 * @returns null where nothing is missing: a deleted team is granted nothing, whatever was paid for it
 */
export async function storeRepair(
  database: Database,
  { type, sameAs, id, version, teamRef, occurredAt, data, credits, what }: Difference,
  run: Run,
): Promise<Finding | null> {
  return database.transaction(async (em) => {
    const resolved = await resolveTeam(em, teamRef);
    const teamId = 'teamId' in resolved ? resolved.teamId : null;
    const told = { what, teamId, credits: formatCredits(credits) };
    const [subject] = type.split('.');
    const externalId = `reconcile:${subject}:${id}:${type}:${version}`;
    const waiting = await findWaiting(em, id, sameAs, externalId);
    if (waiting) return { state: 'waiting', inboxId: waiting, ...told };

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
      payload: JSON.parse(JSON.stringify(payload), storable),
      occurredAt,
    });
    if (!stored) {
      const state = await stateOf(em, inboxId, run);
      if (state === 'not repaired' && teamId !== null && (await isDeleted(em, teamId))) return null;
      return { state, inboxId, ...told };
    }
    if ('doubtful' in resolved) {
      await parkInboxEvent(em, inboxId, 'doubtful_team', resolved.doubtful);
      return { state: 'waiting', inboxId, ...told };
    }
    if (teamId === null) return { state: 'waiting', inboxId, ...told };
    const { catalog } = await readCatalog(em);
    const sum = await creditsOfRun(em, teamId, run);
    if (credits === 0n || sum <= catalog.policies.reconciliationApproval)
      return { state: 'repaired', inboxId, ...told };
    await parkInboxEvent(
      em,
      inboxId,
      needsApproval,
      `Waits for an operator’s approval, because this run moves ${formatCredits(sum)} credits of the team: ${what}`,
    );
    return { state: 'needs approval', inboxId, ...told };
  });
}

/** An event of Polar's own that says the same and is still to be applied. One that cannot be read says nothing. */
async function findWaiting(
  em: EntityManager,
  id: string,
  types: readonly string[],
  externalId: string,
): Promise<string | null> {
  const [row] = await em.execute<{ id: string }[]>(
    `select id from inbox
      where status in ('received', 'parked')
        and type in (${types.map(() => '?').join(', ')})
        and payload->'data'->>'id' = ?
        and coalesce(parked_code, '') <> 'unreadable_event'
        and external_id is distinct from ?
      limit 1`,
    [...types, id, externalId],
  );
  return row?.id ?? null;
}

async function stateOf(em: EntityManager, inboxId: string, run: Run): Promise<FindingState> {
  const { status, parkedCode, receivedAt } = await em.findOneOrFail(InboxEvent, { id: inboxId });
  if (parkedCode === needsApproval) return 'needs approval';
  if (receivedAt >= new Date(run.startedAt)) return 'repaired'; // this page is walked again after a failure
  return status === 'handled' ? 'not repaired' : 'waiting';
}

async function isDeleted(em: EntityManager, teamId: string): Promise<boolean> {
  return (await em.findOneOrFail(Team, { id: teamId })).deletedAt !== null;
}

/** Micro-credits that this run moves of a team, the event just stored among them. */
async function creditsOfRun(em: EntityManager, teamId: string, { id, startedAt }: Run): Promise<bigint> {
  const [row] = await em.execute<{ credits: string }[]>(
    `select coalesce(sum((payload->'reconciliation'->>'credits')::bigint), 0) as credits
       from inbox
      where team_id = ? and received_at >= ? and payload->'reconciliation'->>'run' = ?`,
    [teamId, startedAt, id],
  );
  return BigInt(row?.credits ?? 0);
}
