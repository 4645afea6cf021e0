import { syncMembers as syncMembersAtPolar } from '../polar/sync-members.ts';
import { type EventStep, needsPolar, teamOf } from './step.ts';

/** Roles changed, here or at Polar: the members at Polar are set to the team's roles. */
export const syncMembers: EventStep<string> = {
  async read(em, event, fetching) {
    const team = await teamOf(em, event);
    // The members of a deleted team's customer are not needed any more.
    if (team.polarCustomerId === null || (team.deletedAt && event.source === 'polar'))
      return 'The team has no customer at Polar';
    return fetching ? syncMembersAtPolar(fetching.polar, fetching.database, team.id) : needsPolar;
  },
  carryOut: async (_em, _team, outcome) => outcome,
};
