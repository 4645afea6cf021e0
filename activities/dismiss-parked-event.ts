import { dismissEventOfTeam } from '../inbox/operator-decisions.ts';
import { deciderOf, type Operator, type OperatorStep } from './operator-step.ts';

/** An operator dismisses a parked event of the team: it is never applied. */
export const dismissParkedEvent: OperatorStep<[operator: Operator]> = (em, teamId, inboxId, operator) =>
  dismissEventOfTeam(em, inboxId, teamId, deciderOf(operator));
