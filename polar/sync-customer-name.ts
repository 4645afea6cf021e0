import type { Polar } from '@polar-sh/sdk/2026-10';
import type { Database } from '../database/connection.ts';
import { Team } from '../database/entities/team.ts';
import { hasCode } from '../domain-error.ts';
import { callPolar } from './client.ts';

/**
 * Sets the name of the team's customer at Polar to the team's name. Safe to retry.
 * @returns what was done, as a sentence
 * @throws DomainError as `callPolar`
 */
export async function syncCustomerName(polar: Polar, database: Database, teamId: string): Promise<string> {
  const { name, polarCustomerId } = await database.fork().findOneOrFail(Team, { id: teamId });
  if (polarCustomerId === null) return 'The team has no customer at Polar';
  try {
    await callPolar('change', () => polar.customers.update(polarCustomerId, { name }));
    return 'The team’s customer at Polar now has the team’s name';
  } catch (error) {
    if (!hasCode(error, 'polar_not_found')) throw error;
    return 'The customer no longer exists at Polar';
  }
}
