import { readCatalog } from '../catalog/versions.ts';
import { grantDueDrips } from '../ledger/lifecycle/grant-due-drips.ts';
import type { TeamStep } from './step.ts';

/** The parts of a yearly allotment that are due. */
export const grantDrips: TeamStep = async (em, team, now) => {
  if (team.deletedAt) return null;
  const { catalog } = await readCatalog(em);
  const drips = await grantDueDrips(em, team.id, catalog.policies, now);
  if (drips === 0) return null;
  return `Granted ${drips} due ${drips === 1 ? 'drip' : 'drips'} of the yearly allotment`;
};
