import { recordEvents as settleEvents } from '../inbox/inbox.ts';
import type { TeamStep } from './step.ts';

/**
 * Settles events that cause no step: a team was created, an operator made an adjustment, or Polar reported something
 * that billing does not use.
 */
export const recordEvents: TeamStep<[inboxIds: readonly string[]]> = async (em, team, _now, inboxIds) => {
  await settleEvents(em, team.id, inboxIds, 'No lifecycle step follows from it');
  return null;
};
