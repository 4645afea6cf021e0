import type { EntityManager } from '@mikro-orm/postgresql';
import { Member, type Role } from '../database/entities/member.ts';
import { Team } from '../database/entities/team.ts';
import { unknownTeam } from '../database/lock-living-team.ts';

/**
 * The team with this id.
 * @throws DomainError `unknown_team`, also for one that was deleted
 */
export async function findTeam(em: EntityManager, teamId: string): Promise<Team> {
  const team = await em.findOne(Team, { id: teamId, deletedAt: null });
  if (!team) throw unknownTeam(teamId);
  return team;
}

/**
 * The user's role in the team. For a team that the user is not in, the error is the same as for an unknown one.
 * @throws DomainError `unknown_team`
 */
export async function findRole(em: EntityManager, teamId: string, userId: string): Promise<Role> {
  const [row] = await em.execute<{ role: Role }[]>(
    `select members.role from members join teams on teams.id = members.team_id
      where members.team_id = ? and members.user_id = ? and teams.deleted_at is null`,
    [teamId, userId],
  );
  if (!row) throw unknownTeam(teamId);
  return row.role;
}

/** A user's membership, read again, for changes of roles under the team's lock. Null: not a member. */
export async function findMember(em: EntityManager, teamId: string, userId: string): Promise<Member | null> {
  return em.findOne(Member, { teamId, userId }, { refresh: true });
}
