import type { Polar } from '@polar-sh/sdk/2026-10';
import type { Database } from '../database/connection.ts';
import { parkInboxEvent, recordEvents } from '../inbox/inbox.ts';
import { skipOlderStates } from '../inbox/older-states.ts';
import { clawBackOrder } from './claw-back-order.ts';
import { closeTeam } from './close-team.ts';
import { createEventStep, type EventStep, lockedTeam } from './event-step.ts';
import { expireCredits } from './expire-credits.ts';
import { failAtOnce } from './failures.ts';
import { followOrder } from './follow-order.ts';
import { followSubscription } from './follow-subscription.ts';
import { grantDrips } from './grant-drips.ts';
import { grantTrialCredits } from './grant-trial-credits.ts';
import { createOperatorSteps } from './operator-steps.ts';
import { changePlan, fulfillPurchase, startCycle } from './paid-order.ts';
import { renameCustomer } from './rename-customer.ts';
import { syncMembers } from './sync-members.ts';
import { createTeamStep, type TeamStep } from './team-step.ts';
import { unlinkCustomer } from './unlink-customer.ts';

export type Activities = ReturnType<typeof createActivities>;

export interface ActivityDependencies {
  database: Database;
  polar: Polar;
}

/** The steps of a team's life. Each is idempotent and returns the team after it. */
export function createActivities({ database, polar }: ActivityDependencies) {
  const onEvent = <Facts>(step: EventStep<Facts>) => createEventStep({ database, polar }, step);
  const onTeam = <Args extends unknown[]>(step: TeamStep<Args>) => createTeamStep(database, step);
  return {
    grantTrialCredits: onTeam(grantTrialCredits),
    fulfillPurchase: onEvent(fulfillPurchase),
    startCycle: onEvent(startCycle),
    changePlan: onEvent(changePlan),
    followSubscription: onEvent(followSubscription),
    grantDrips: onTeam(grantDrips),
    expireCredits: onTeam(expireCredits),
    followOrder: onEvent(followOrder),
    clawBackOrder: onEvent(clawBackOrder),
    syncMembers: onEvent(syncMembers),
    renameCustomer: onEvent(renameCustomer),
    unlinkCustomer: onEvent(unlinkCustomer),
    closeTeam: onEvent(closeTeam),

    /**
     * Events without a step: a team was created, an operator made an adjustment, or Polar reported something that
     * billing does not use.
     */
    recordEvents: (teamId: string, inboxIds: readonly string[]) =>
      failAtOnce(() =>
        onTeam(async (em) => {
          await recordEvents(em, teamId, inboxIds, 'No lifecycle step follows from it');
          return null;
        })(teamId),
      ),

    /** @returns ids of the events that a newer state of the same object makes superfluous */
    skipOlderStates: (teamId: string, inboxIds: readonly string[]) =>
      lockedTeam(database, teamId)((em) => skipOlderStates(em, teamId, inboxIds)),

    /**
     * An event that keeps failing is parked as stuck, so that it delays no other event. It stays visible and is
     * retried later.
     */
    parkStuckEvent: (teamId: string, inboxId: string, failure: string) =>
      onTeam(async (em) => {
        await parkInboxEvent(em, inboxId, 'stuck', failure);
        return `Parked an event that kept failing: ${failure}`;
      })(teamId),

    /** Reads the team again. */
    reviewTeam: onTeam(async () => null),

    ...createOperatorSteps(database),
  };
}
