import { formatCredits } from '../catalog/credits.ts';
import { forfeitCredits } from '../ledger/lifecycle/forfeit-credits.ts';
import { endSubscriptions } from '../polar/end-subscriptions.ts';
import { syncMembers as syncMembersAtPolar } from '../polar/sync-members.ts';
import { type EventStep, needsPolar, teamOf } from './step.ts';

/**
 * The team was deleted: its subscriptions and members at Polar are ended first, then its holds are released and its
 * credits forfeited.
 */
export const closeTeam: EventStep<null> = {
  async read(em, event, fetching) {
    const { id } = await teamOf(em, event);
    if (!fetching) return needsPolar;
    await endSubscriptions(fetching.polar, fetching.database, id);
    await syncMembersAtPolar(fetching.polar, fetching.database, id);
    return null;
  },
  carryOut: async (em, team, _none, now) =>
    `Closed the team: ${formatCredits(await forfeitCredits(em, team, now))} credits are forfeited`,
};
