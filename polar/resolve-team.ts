import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { Team } from '../database/entities/team.ts';
import type { PolarTeamRef } from './events.ts';

export type ResolvedTeam = { teamId: string } | { unknown: true } | { doubtful: string };

/**
 * Finds the team of a Polar object: by `metadata.team_id`, else by the customer's external id, else by the stored
 * customer of a team (a refund has neither of the other two). A deleted team is still a team.
 *
 * - `unknown`: the object names no team of ours (yet).
 * - `doubtful`: its ids belong to different teams. An operator decides.
 */
export async function resolveTeam(em: EntityManager, ref: PolarTeamRef): Promise<ResolvedTeam> {
  const { metadataTeamId, customerExternalId, customerId } = ref;
  const named = new Set([metadataTeamId, customerExternalId].filter((name) => name !== null).map(canonical));
  if (named.size > 1) {
    return {
      doubtful: `metadata.team_id is ${quote(metadataTeamId)}, customer.external_id is ${quote(customerExternalId)}`,
    };
  }
  const [name] = named;
  const ids = z.guid().safeParse(name).success && name !== undefined ? [name] : [];
  const teams = await em.find(
    Team,
    { $or: [{ id: { $in: ids } }, ...(customerId === null ? [] : [{ polarCustomerId: customerId }])] },
    { fields: ['id', 'polarCustomerId'], disableIdentityMap: true },
  );
  const byName = teams.find((team) => team.id === name);
  const byCustomer = teams.find((team) => team.polarCustomerId === customerId);
  if (name !== undefined && byCustomer && byCustomer.id !== name) {
    return {
      doubtful: `it names the team ${quote(name)}, and its customer belongs to the team ${byCustomer.id}`,
    };
  }
  const team = byName ?? byCustomer;
  return team ? { teamId: team.id } : { unknown: true };
}

/** Whether every id in a Polar object belongs to this team: then `resolveTeam` would find no other. */
export function meansTeam(ref: PolarTeamRef, { id, polarCustomerId }: Team): boolean {
  const names = [ref.metadataTeamId, ref.customerExternalId].filter((name) => name !== null);
  return (
    ref.customerId !== null &&
    ref.customerId === polarCustomerId &&
    names.every((name) => canonical(name) === id)
  );
}

/** UUIDs are equal in upper and lower case. */
function canonical(name: string): string {
  return name.toLowerCase();
}

function quote(name: string | null): string {
  return JSON.stringify(name?.slice(0, 64) ?? null);
}
