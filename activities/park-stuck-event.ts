import { parkInboxEvent } from '../inbox/inbox.ts';
import type { TeamStep } from './step.ts';

/**
 * An event that keeps failing is parked as stuck, so that it delays no other event. It stays visible and is retried
 * later.
 */
export const parkStuckEvent: TeamStep<[inboxId: string, failure: string]> = async (
  em,
  _team,
  _now,
  inboxId,
  failure,
) => {
  await parkInboxEvent(em, inboxId, 'stuck', failure);
  return `Parked an event that kept failing: ${failure}`;
};
