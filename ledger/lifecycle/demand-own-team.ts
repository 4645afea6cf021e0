import { DomainError } from '../../domain-error.ts';

/**
 * An order or a subscription has one team, because its credits and debts are changed under that team's lock only.
 * @param what  the object, for the message
 * @param ownerId  the team that it is stored for
 * @param teamId  the team whose lock the caller holds
 * @throws DomainError `doubtful_team`
 */
export function demandOwnTeam(what: string, ownerId: string, teamId: string): void {
  if (ownerId === teamId) return;
  throw new DomainError(
    'doubtful_team',
    `${what} belongs to team ${ownerId}, not to ${teamId}: assign the event to that team, or dismiss it`,
  );
}
