import type { Database } from '../database/connection.ts';
import { DomainError } from '../domain-error.ts';
import { type Decider, dismissEventOfTeam } from '../inbox/operator-decisions.ts';
import { readWaitingEvent, type WaitingEvent } from '../inbox/waiting-event.ts';
import { assignEvent } from '../polar/assign-event.ts';
import { throwAsFailure } from './failures.ts';

/** The operator of a Temporal update, as they name themselves, and the reason. */
type Operator = Pick<Decider, 'by' | 'reason'>;

/** Operators' decisions about the parked events of a team. Each returns the event, for the team's queue. */
export function createOperatorSteps(database: Database) {
  return {
    /** An operator requests a retry of the event. */
    findEvent: (_teamId: string, inboxId: string): Promise<WaitingEvent> =>
      throwAsFailure(() => findWaiting(inboxId)),

    /** An operator dismisses a parked event of the team: it is never applied. */
    dismissParkedEvent: (teamId: string, inboxId: string, operator: Operator): Promise<WaitingEvent> =>
      throwAsFailure(async () => {
        await database.transaction((em) => dismissEventOfTeam(em, inboxId, teamId, deciderOf(operator)));
        return findWaiting(inboxId);
      }),

    /** An operator assigns a parked event to the team, or one of the team's to a product. */
    assignParkedEvent: (
      teamId: string,
      inboxId: string,
      product: string | null,
      operator: Operator,
    ): Promise<WaitingEvent> =>
      throwAsFailure(async () => {
        await database.transaction((em) =>
          assignEvent(em, inboxId, { teamId, product }, deciderOf(operator)),
        );
        return findWaiting(inboxId);
      }),
  };

  async function findWaiting(inboxId: string): Promise<WaitingEvent> {
    const event = await readWaitingEvent(database.fork(), inboxId);
    if (event) return event;
    throw new DomainError('unknown_event', `The inbox has no event ${inboxId}`);
  }
}

function deciderOf({ by, reason }: Operator): Decider {
  return { by, actor: `operator:${by}`, reason };
}
