import { formatCredits } from '../catalog/credits.ts';
import { expireCredits as expireDue } from '../ledger/lifecycle/expire-credits.ts';
import type { TeamStep } from './step.ts';

/** Credits have expired. They could no longer be spent; this writes their transfers. */
export const expireCredits: TeamStep = async (em, team, now) => {
  const expired = await expireDue(em, team.id, now);
  return expired > 0n ? `Expired ${formatCredits(expired)} credits` : null;
};
