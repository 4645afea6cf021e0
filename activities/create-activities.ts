import type { Polar } from '@polar-sh/sdk/2026-10';
import type { Database } from '../database/connection.ts';
import { assignParkedEvent } from './assign-parked-event.ts';
import { closeTeam } from './close-team.ts';
import { dismissParkedEvent } from './dismiss-parked-event.ts';
import { expireCredits } from './expire-credits.ts';
import { findEvent } from './find-event.ts';
import { followSubscription } from './follow-subscription.ts';
import { grantDrips } from './grant-drips.ts';
import { grantTrialCredits } from './grant-trial-credits.ts';
import { createOperatorStep, type OperatorStep } from './operator-step.ts';
import { changePlan, clawBackOrder, followOrder, fulfillPurchase, startCycle } from './order-steps.ts';
import { parkStuckEvent } from './park-stuck-event.ts';
import { recordEvents } from './record-events.ts';
import { renameCustomer } from './rename-customer.ts';
import { reviewTeam } from './review-team.ts';
import { skipOlderStates } from './skip-older-states.ts';
import { createEventStep, createTeamStep, type EventStep, failAtOnce, type TeamStep } from './step.ts';
import { syncMembers } from './sync-members.ts';
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
  const onOperator = <Args extends unknown[]>(step: OperatorStep<Args>) => createOperatorStep(database, step);
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

    recordEvents: (teamId: string, inboxIds: readonly string[]) =>
      failAtOnce(() => onTeam(recordEvents)(teamId, inboxIds)),
    skipOlderStates: skipOlderStates(database),
    parkStuckEvent: onTeam(parkStuckEvent),
    reviewTeam: onTeam(reviewTeam),

    findEvent: onOperator(findEvent),
    dismissParkedEvent: onOperator(dismissParkedEvent),
    assignParkedEvent: onOperator(assignParkedEvent),
  };
}
