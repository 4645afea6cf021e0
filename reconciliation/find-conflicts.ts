import type { EntityManager } from '@mikro-orm/postgresql';
import { standingSql } from '../database/entities/subscription.ts';
import type { ReconciliationFinding } from './store-repair.ts';

/** The maximum number of teams in a report, because the number of such teams has no bound. */
const mostTeams = 50;

/** Teams with several standing subscriptions at Polar. Each is billed, and a team needs only one. */
export async function findSubscriptionConflicts(em: EntityManager): Promise<ReconciliationFinding[]> {
  const rows = await em.execute<{ team_id: string; ids: string }[]>(
    `select team_id, string_agg(id, ', ' order by started_at, id) as ids
       from subscriptions s
      where ${standingSql('s')}
      group by team_id
     having count(*) > 1
      order by team_id
      limit ${mostTeams}`,
  );
  return rows.map(({ team_id: teamId, ids }) => ({
    state: 'needs_operator',
    what: `the team has several standing subscriptions, and Polar may bill each: ${ids}. End all but one at Polar`,
    teamId,
    inboxId: null,
    credits: '0',
  }));
}
