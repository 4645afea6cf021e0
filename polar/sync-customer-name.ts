import type { Polar } from '@polar-sh/sdk/2026-10';
import type { Database } from '../database/connection.ts';
import { Team } from '../database/entities/team.ts';
import { DomainError } from '../domain-error.ts';
import { callPolar } from './client.ts';

/**
 * Gives the team's customer at Polar the team's name. May be tried again.
 * @returns what was done, in plain words
 * @throws DomainError as `callPolar`
 */
export async function syncCustomerName(polar: Polar, database: Database, teamId: string): Promise<string> {
  const { name, polarCustomerId } = await database.fork().findOneOrFail(Team, { id: teamId });
  if (polarCustomerId === null) return 'The team has no customer at Polar';
  try {
    await callPolar('change', () => polar.customers.update(polarCustomerId, { name }));
    return 'The team’s customer at Polar has the team’s name';
  } catch (error) {
    if (!(error instanceof DomainError) || error.code !== 'polar_not_found') throw error;
    return 'Polar has no such customer any more';
  }
}
