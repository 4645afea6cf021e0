import { retryEventOfTeam } from '../inbox/operator-decisions.ts';
import { deciderOf, type OperatorStep } from './operator-step.ts';

/** An operator requests a retry of a parked event of the team: it goes into the team's queue. */
export const findEvent: OperatorStep<[by: string]> = (em, teamId, inboxId, by) =>
  retryEventOfTeam(em, inboxId, teamId, deciderOf({ by, reason: null }).actor);
