import type { EntityManager } from '@mikro-orm/postgresql';
import type { Role } from '../database/entities/member.ts';
import { type ListPage, type ListRange, pageOfRows, uuidCursor } from '../database/list-page.ts';

export interface ListedTeam {
  id: string;
  name: string;
  personal: boolean;
  /** The user's role in it; absent if no user is given. */
  role?: Role;
}

/** The teams of a user, or all teams if none is given; oldest first, without deleted ones. */
export async function listTeams(
  em: EntityManager,
  { userId, limit, cursor }: ListRange & { userId?: string },
): Promise<ListPage<ListedTeam>> {
  const after = uuidCursor(cursor);
  const rows = userId
    ? await em.execute<ListedTeam[]>(
        `select teams.id, teams.name, teams.personal, members.role
           from members join teams on teams.id = members.team_id
          where members.user_id = ? and teams.deleted_at is null and teams.id > ?
          order by teams.id limit ?`,
        [userId, after, limit + 1],
      )
    : await em.execute<ListedTeam[]>(
        `select id, name, personal from teams where deleted_at is null and id > ? order by id limit ?`,
        [after, limit + 1],
      );
  return pageOfRows(rows, limit);
}
