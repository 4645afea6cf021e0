import type { EntityManager } from '@mikro-orm/postgresql';
import type { Database } from '../database/connection.ts';
import type { Team } from '../database/entities/team.ts';
import { describeTeam, type TeamOverview } from './describe-team.ts';
import { lockedTeam } from './event-step.ts';

/**
 * A step that no single event causes, in one transaction under the team's lock.
 * @returns what was done, as a sentence; null if nothing was done
 */
export type TeamStep<Args extends unknown[] = []> = (
  em: EntityManager,
  team: Team,
  now: Date,
  ...args: Args
) => Promise<string | null>;

/** Makes an activity of a step. */
export function createTeamStep<Args extends unknown[]>(database: Database, step: TeamStep<Args>) {
  return async (teamId: string, ...args: Args): Promise<TeamOverview> => {
    const did = await lockedTeam(database, teamId)((em, team, now) => step(em, team, now, ...args));
    // After the commit, so that no caller waits for the lock meanwhile.
    return describeTeam(database.fork(), teamId, did);
  };
}
