import { assignEvent } from '../polar/assign-event.ts';
import { deciderOf, type Operator, type OperatorStep } from './operator-step.ts';

/** An operator assigns a parked event to the team, or one of the team's to a product. */
export const assignParkedEvent: OperatorStep<[product: string | null, operator: Operator]> = (
  em,
  teamId,
  inboxId,
  product,
  operator,
) => assignEvent(em, inboxId, { teamId, product }, deciderOf(operator));
