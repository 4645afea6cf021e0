import { readCatalog } from '../catalog/versions.ts';
import { recordEvents } from '../inbox/inbox.ts';
import { grantTrialCredits as grantTrial } from '../ledger/lifecycle/grant-trial-credits.ts';
import type { TeamStep } from './step.ts';

/** Grants the trial that the team's creator claimed, once. Settles the team's own `team.created`. */
export const grantTrialCredits: TeamStep<[inboxIds: readonly string[]]> = async (em, team, now, inboxIds) => {
  const did = team.deletedAt ? null : await grantTrial(em, team.id, await readCatalog(em), now);
  await recordEvents(em, team.id, inboxIds, 'The team’s workflow runs');
  return did;
};
