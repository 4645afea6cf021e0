import type { EntityManager } from '@mikro-orm/postgresql';

const teamsPerBatch = 100;

/**
 * The next teams whose workflow must run without an event: they have expiring credits, a subscription or future drips.
 * For all other teams the next event starts the workflow.
 *
 * @param after  the last team of the previous batch
 * @returns ids in order, at most 100; none after the last
 */
export async function listTeamsToRun(em: EntityManager, after: string | null): Promise<string[]> {
  const rows = await em.execute<{ id: string }[]>(
    `select t.id
       from teams t
      where t.deleted_at is null
        and (?::uuid is null or t.id > ?)
        and (   exists (select from grants g where g.team_id = t.id and g.open and g.expires_at is not null)
             or exists (select from subscriptions s where s.team_id = t.id and s.ended_at is null)
             or exists (select from orders o
                          join subscription_periods p on p.subscription_id = o.subscription_id
                         where o.team_id = t.id and o.drips_monthly and p.ends_at > (select billing_now())))
      order by t.id
      limit ${teamsPerBatch}`,
    [after, after],
  );
  return rows.map(({ id }) => id);
}
