import type { Caller } from './authenticate.ts';
import { createTurns } from './take-turns.ts';

/** The limits of files that are sent while they are produced. A client that reads slowly keeps its turn for minutes. */
export interface DownloadTurns {
  /**
   * Sends a file in turn.
   * @param teamId  the team of the file
   * @throws DomainError `too_many_requests` if the team or the user has too many; `overloaded` if all together have
   */
  take<T>(teamId: string | undefined, caller: Caller | undefined, send: () => Promise<T>): Promise<T>;
}

/** A user is limited as well as a team. Otherwise one user with four teams could have all turns. */
export function createDownloadTurns(): DownloadTurns {
  const ofTeams = createTurns({ maxPerOwner: 2, maxInAll: 8 });
  const ofUsers = createTurns({ maxPerOwner: 2, maxInAll: Number.POSITIVE_INFINITY });
  return {
    take(teamId, caller, send) {
      const user = caller?.kind === 'person' ? caller.userId : undefined;
      return ofUsers.take(user, () => ofTeams.take(teamId, send));
    },
  };
}
