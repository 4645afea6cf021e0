import type { Database } from '../database/connection.ts';
import { Team } from '../database/entities/team.ts';

/** A filter of Polar's lists of orders and subscriptions. */
export type TeamFilter =
  | { external_customer_id: string }
  | { metadata: { team_id: string } }
  | { customer_id: string };

/**
 * The filters of Polar's lists that together find everything of a team. Each alone misses some objects: Polar lists
 * nothing by the external id of a deleted customer, and objects created at Polar by hand have no metadata. Several
 * lists may contain the same object.
 */
export async function listsOfTeam(database: Database, teamId: string): Promise<TeamFilter[]> {
  const team = await database.fork().findOne(Team, { id: teamId });
  const customerId = team?.polarCustomerId ?? null;
  return [
    { external_customer_id: teamId },
    { metadata: { team_id: teamId } },
    ...(customerId === null ? [] : [{ customer_id: customerId }]),
  ];
}
