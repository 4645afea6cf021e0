import { syncMembers as syncMembersAtPolar } from '../polar/sync-members.ts';
import { type EventStep, needsPolar } from './event-step.ts';
import { teamOf } from './subscription-event.ts';

/** Roles changed, here or at Polar: the team's roles decide who may act for it there. */
export const syncMembers: EventStep<string> = {
  async read(em, event, fetching) {
    const team = await teamOf(em, event);
    // Members of a deleted team's customer do not matter any more.
    if (team.polarCustomerId === null || (team.deletedAt && event.source === 'polar'))
      return 'The team has no customer at Polar';
    return fetching ? syncMembersAtPolar(fetching.polar, fetching.database, team.id) : needsPolar;
  },
  carryOut: async (_em, _team, outcome) => outcome,
};
