import type { EntityManager } from '@mikro-orm/postgresql';
import type { Database } from '../database/connection.ts';
import { DomainError } from '../domain-error.ts';
import type { Decider } from '../inbox/operator-decisions.ts';
import { readWaitingEvent, type WaitingEvent } from '../inbox/waiting-event.ts';
import { throwAsFailure } from './throw-as-failure.ts';

/** The operator of a Temporal update, as they name themselves, and the reason. */
export type Operator = Pick<Decider, 'by' | 'reason'>;

/** A step that an operator requests for an event of the team, in one transaction. */
export type OperatorStep<Args extends unknown[] = []> = (
  em: EntityManager,
  teamId: string,
  inboxId: string,
  ...args: Args
) => Promise<unknown>;

/** Makes an activity of a step. It returns the event, for the team's queue. */
export function createOperatorStep<Args extends unknown[]>(database: Database, step: OperatorStep<Args>) {
  return (teamId: string, inboxId: string, ...args: Args): Promise<WaitingEvent> =>
    throwAsFailure(() =>
      database.transaction(async (em) => {
        await step(em, teamId, inboxId, ...args);
        const event = await readWaitingEvent(em, inboxId);
        if (event) return event;
        throw new DomainError('unknown_event', `The inbox has no event ${inboxId}`);
      }),
    );
}

/** The operator as the inbox and the audit record name them. */
export function deciderOf({ by, reason }: Operator): Decider {
  return { by, actor: `operator:${by}`, reason };
}
