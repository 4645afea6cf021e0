import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

/** The owner's n-th trial. Survives deleting and handing over teams, so that trials cannot be farmed. */
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
