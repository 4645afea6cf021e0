import type { EntityManager } from '@mikro-orm/postgresql';
import { InboxEvent } from '../database/entities/inbox-event.ts';
import { DomainError } from '../domain-error.ts';
import { needsApproval } from './inbox.ts';

/**
 * An operator wants a parked event tried again now: the relay signals it at once.
 *
 * @returns the team whose workflow may be told even sooner; null while the event names none that we know
 * @throws DomainError 404 `unknown_event`; 409 `not_parked`, `needs_approval`
 */
export async function retryParkedEvent(em: EntityManager, id: string): Promise<{ teamId: string | null }> {
  const { status, parkedCode, teamId } = await findEvent(em, id);
  if (status !== 'parked')
    throw new DomainError(409, 'not_parked', `The event is ${status}, not parked`, { status });
  if (parkedCode === needsApproval)
    throw new DomainError(409, 'needs_approval', 'This repair is large: it is approved, not tried again');
  await em.execute(`update inbox set next_signal_at = clock_timestamp() where id = ? and status = 'parked'`, [
    id,
  ]);
  return { teamId };
}

/**
 * An operator lets a large repair through; who did stays in the event's outcome. Approving again changes nothing.
 *
 * @param by  who approves
 * @returns the team whose workflow may be told sooner than the relay does
 * @throws DomainError 404 `unknown_event`; 409 `not_awaiting_approval`
 */
export async function approveRepair(
  em: EntityManager,
  id: string,
  by: string,
): Promise<{ teamId: string | null }> {
  const { teamId, parkedCode, payload } = await findEvent(em, id);
  if (parkedCode !== needsApproval) {
    if (isApproved(payload)) return { teamId };
    throw new DomainError(409, 'not_awaiting_approval', 'The event does not wait for an approval');
  }
  await em.execute(
    `update inbox set status = 'received', parked_code = null, outcome = null, next_signal_at = clock_timestamp(),
                      payload = jsonb_set(payload, '{reconciliation,approvedBy}', to_jsonb(?::text))
      where id = ? and parked_code = ?`,
    [by, id, needsApproval],
  );
  return { teamId };
}

async function findEvent(em: EntityManager, id: string): Promise<InboxEvent> {
  const event = await em.findOne(InboxEvent, { id });
  if (!event) throw new DomainError(404, 'unknown_event', `The inbox has no event ${id}`);
  return event;
}

function isApproved(payload: unknown): boolean {
  if (typeof payload !== 'object' || payload === null || !('reconciliation' in payload)) return false;
  const { reconciliation } = payload;
  return typeof reconciliation === 'object' && reconciliation !== null && 'approvedBy' in reconciliation;
}
