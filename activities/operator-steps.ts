import type { Database } from '../database/connection.ts';
import { DomainError } from '../domain-error.ts';
import { type Decider, dismissEventOfTeam } from '../inbox/operator-decisions.ts';
import { readWaitingEvent, type WaitingEvent } from '../inbox/waiting-event.ts';
import { assignEvent } from '../polar/assign-event.ts';
import { throwAsFailure } from './failures.ts';

/** Who decides by an update of Temporal's, in their own words, and why. */
type Operator = Pick<Decider, 'by' | 'reason'>;

/** What operators decide about the parked events of a team. Each answers with the event, for the team's queue. */
export function createOperatorSteps(database: Database) {
  return {
    /** An operator wants the event retried. */
    findEvent: (_teamId: string, inboxId: string): Promise<WaitingEvent> =>
      throwAsFailure(() => findWaiting(inboxId)),

    /** An operator settles a parked event of the team without applying it. */
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
