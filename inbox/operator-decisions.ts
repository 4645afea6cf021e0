import type { EntityManager } from '@mikro-orm/postgresql';
import { lockTeam } from '../database/connection.ts';
import { InboxEvent } from '../database/entities/inbox-event.ts';
import { Team } from '../database/entities/team.ts';
import { recordAuditEvent } from '../database/record-audit-event.ts';
import { DomainError } from '../domain-error.ts';
import { needsApproval, wakeParkedEvent } from './inbox.ts';

/** Who decides, and why. */
export interface Decider {
  /** The name in the event's `decisions`. */
  by: string;
  /** The name in audit records: `service:{keyId}` for the API, `operator:{by}` for a Temporal update. */
  actor: string;
  reason: string | null;
}

/** The team, the catalog key, or both, to which a parked event is assigned. */
export interface Assignment {
  teamId: string | null;
  /** A catalog key that fits the event (`fitsProduct` of the caller). */
  product: string | null;
}

/** The teams whose workflows must be signalled: the previous team of the event and the current one. */
export interface Decided {
  teamIds: string[];
}

/**
 * Retries a parked event now. The relay signals it at once. Call it in a transaction.
 *
 * @param actor  who retries it, as in audit records
 * @returns the team to signal; null if the event names no team that we know
 * @throws DomainError `unknown_event`, `not_parked`, `needs_approval`
 */
export async function retryParkedEvent(
  em: EntityManager,
  id: string,
  actor: string,
): Promise<{ teamId: string | null }> {
  const event = await findRetriable(em, id);
  await wakeParkedEvent(em, id);
  await recordDecision(em, event, { actor, decision: 'retried' });
  return { teamId: event.teamId };
}

/**
 * As `retryParkedEvent`, for an event of this team.
 *
 * @throws DomainError `unknown_event` also for an event of another team
 */
export async function retryEventOfTeam(
  em: EntityManager,
  id: string,
  teamId: string,
  actor: string,
): Promise<void> {
  await requireEventOfTeam(em, id, teamId);
  await retryParkedEvent(em, id, actor);
}

/**
 * Dismisses a parked event: it is never signalled, retried or applied, and reconciliation does not report its object
 * again. A repetition changes nothing. Call it in a transaction.
 *
 * @throws DomainError `unknown_event`, `not_parked`
 */
export async function dismissParkedEvent(
  em: EntityManager,
  id: string,
  { by, actor, reason }: Decider,
): Promise<Decided> {
  const event = await findLocked(em, id);
  const { status, teamId } = event;
  const teamIds = teamId === null ? [] : [teamId];
  if (status === 'dismissed') return { teamIds };
  if (status !== 'parked') throw notParked(status);
  await em.execute(
    `update inbox set status = 'dismissed', parked_code = null, next_signal_at = null, handled_at = billing_now(),
                      outcome = ?, decisions = decisions || ${decision}
      where id = ?`,
    [`Dismissed by ${by}: ${reason}`, by, 'dismissed', reason, null, null, id],
  );
  await recordDecision(em, event, { actor, decision: 'dismissed', reason });
  return { teamIds };
}

/**
 * As `dismissParkedEvent`, for an event of this team.
 *
 * @throws DomainError `unknown_event` also for an event of another team
 */
export async function dismissEventOfTeam(
  em: EntityManager,
  id: string,
  teamId: string,
  decider: Decider,
): Promise<void> {
  await requireEventOfTeam(em, id, teamId);
  await dismissParkedEvent(em, id, decider);
}

/**
 * Assigns a parked event to a team, a catalog key or both, whatever its payload says, and retries it now. Call it in a
 * transaction.
 *
 * @throws DomainError `unknown_event`, `unknown_team`, `not_parked`, `needs_approval`, `team_needed`
 */
export async function assignParkedEvent(
  em: EntityManager,
  id: string,
  { teamId, product }: Assignment,
  { by, actor, reason }: Decider,
): Promise<Decided> {
  const event = await findLocked(em, id);
  if (event.status !== 'parked') throw notParked(event.status);
  if (event.parkedCode === needsApproval) throw approvalNeeded();
  if (teamId !== null && !(await em.findOne(Team, { id: teamId })))
    throw new DomainError('unknown_team', `There is no team ${teamId}`);
  const assignedTeam = teamId ?? event.teamId;
  if (assignedTeam === null)
    throw new DomainError('team_needed', 'The event has no team: assign one together with the product');
  await em.execute(
    `update inbox set team_id = ?, assigned_product = coalesce(?, assigned_product), status = 'received',
                      parked_code = null, outcome = null, signals = 0, next_signal_at = clock_timestamp(),
                      decisions = decisions || ${decision}
      where id = ?`,
    [assignedTeam, product, by, 'assigned', reason, teamId, product, id],
  );
  const assigned = { teamId: assignedTeam, product: product ?? event.assignedProduct };
  await recordDecision(em, event, { actor, decision: 'assigned', reason, assigned });
  return { teamIds: [...new Set([assignedTeam, ...(event.teamId === null ? [] : [event.teamId])])] };
}

/**
 * Approves a large repair. A repetition changes nothing. Call it in a transaction.
 *
 * @returns the team to signal
 * @throws DomainError `unknown_event`, `not_awaiting_approval`
 */
export async function approveRepair(
  em: EntityManager,
  id: string,
  { by, actor }: Omit<Decider, 'reason'>,
): Promise<{ teamId: string | null }> {
  const event = await findLocked(em, id);
  const { teamId, parkedCode, decisions } = event;
  if (parkedCode !== needsApproval) {
    if (decisions.some(({ decision }) => decision === 'approved')) return { teamId };
    throw new DomainError('not_awaiting_approval', 'The event must be parked as needs_approval');
  }
  await em.execute(
    `update inbox set status = 'received', parked_code = null, outcome = null, next_signal_at = clock_timestamp(),
                      payload = jsonb_set(payload, '{reconciliation,approvedBy}', to_jsonb(?::text)),
                      decisions = decisions || ${decision}
      where id = ? and parked_code = ?`,
    [by, by, 'approved', null, null, null, id, needsApproval],
  );
  await recordDecision(em, event, { actor, decision: 'approved' });
  return { teamId };
}

/** Records an operator's decision about an event, for the event's team after it. */
async function recordDecision(
  em: EntityManager,
  event: InboxEvent,
  made: {
    actor: string;
    decision: 'retried' | 'approved' | 'assigned' | 'dismissed';
    reason?: string | null;
    assigned?: Assignment;
  },
): Promise<void> {
  const { id, type, teamId, parkedCode, assignedProduct } = event;
  await recordAuditEvent(em, {
    actor: made.actor,
    action: `event.${made.decision}`,
    teamId: made.assigned?.teamId ?? teamId,
    subject: id,
    ...(made.reason ? { reason: made.reason } : {}),
    before: { type, parkedCode, teamId, product: assignedProduct },
    after: made.assigned ?? null,
  });
}

/** SQL for one entry of `decisions`: by, decision, reason, team, product. */
const decision = `jsonb_build_object('at', billing_now(), 'by', ?::text, 'decision', ?::text, 'reason', ?::text,
                                     'teamId', ?::text, 'product', ?::text)`;

async function findRetriable(em: EntityManager, id: string): Promise<InboxEvent> {
  const event = await findEvent(em, id);
  if (event.status !== 'parked') throw notParked(event.status);
  if (event.parkedCode === needsApproval) throw approvalNeeded();
  return event;
}

/** The event, locked under its team's lock, so that its team's workflow does not apply it at the same time. */
async function findLocked(em: EntityManager, id: string): Promise<InboxEvent> {
  const { teamId } = await findEvent(em, id);
  if (teamId !== null) await lockTeam(em, teamId);
  await em.execute('select from inbox where id = ? for no key update', [id]);
  return findEvent(em, id);
}

/** @throws DomainError `unknown_event` */
export async function findEvent(em: EntityManager, id: string): Promise<InboxEvent> {
  const event = await em.findOne(InboxEvent, { id }, { disableIdentityMap: true });
  if (!event) throw new DomainError('unknown_event', `The inbox has no event ${id}`);
  return event;
}

async function requireEventOfTeam(em: EntityManager, id: string, teamId: string): Promise<void> {
  const event = await findEvent(em, id);
  if (event.teamId !== teamId)
    throw new DomainError('unknown_event', `The team ${teamId} has no event ${id}`);
}

function notParked(status: string): DomainError {
  return new DomainError('not_parked', `The event must be parked, but is ${status}`, {
    status,
  });
}

function approvalNeeded(): DomainError {
  return new DomainError('needs_approval', 'This repair is large: approve or dismiss it');
}
