import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/**
 * The n-th trial of a user who created a team. It remains after the team is deleted or handed over, so that nobody
 * gets unlimited trials.
 */
export const TrialClaim = defineEntity({
  name: 'TrialClaim',
  tableName: 'trial_claims',
  properties: {
    ownerId: p.text().primary(),
    ordinal: p.integer().primary(),
    teamId: p.uuid(),
    claimedAt: p.datetime(),
  },
});

export type TrialClaim = InferEntity<typeof TrialClaim>;
