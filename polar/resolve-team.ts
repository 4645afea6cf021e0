import type { EntityManager } from '@mikro-orm/postgresql';
import { z } from 'zod';
import { Team } from '../database/entities/team.ts';
import type { PolarTeamRef } from './events.ts';

export type ResolvedTeam = { teamId: string } | { unknown: true } | { doubtful: string };

/**
 * Finds the team that a Polar object belongs to: by `metadata.team_id`, else by the customer's external id, else
 * (a refund carries neither) by the customer that we made for a team. A deleted team is still a team.
 *
 * - `unknown`: no team of ours is named (yet).
 * - `doubtful`: what is said contradicts itself; an operator decides whose money it is.
 */
export async function resolveTeam(em: EntityManager, ref: PolarTeamRef): Promise<ResolvedTeam> {
  const { metadataTeamId, customerExternalId, customerId } = ref;
  const named = new Set([metadataTeamId, customerExternalId].filter((name) => name !== null).map(canonical));
  if (named.size > 1) {
    return {
      doubtful: `metadata.team_id says ${quote(metadataTeamId)}, customer.external_id says ${quote(customerExternalId)}`,
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
      doubtful: `it names the team ${quote(name)}, its customer is that of the team ${byCustomer.id}`,
    };
  }
  const team = byName ?? byCustomer;
  return team ? { teamId: team.id } : { unknown: true };
}

/** Whether all that a Polar object says of whose it is means this team: then `resolveTeam` would find no other. */
export function meansTeam(ref: PolarTeamRef, { id, polarCustomerId }: Team): boolean {
  const names = [ref.metadataTeamId, ref.customerExternalId].filter((name) => name !== null);
  return (
    ref.customerId !== null &&
    ref.customerId === polarCustomerId &&
    names.every((name) => canonical(name) === id)
  );
}

/** UUIDs are the same in any case. */
function canonical(name: string): string {
  return name.toLowerCase();
}

function quote(name: string | null): string {
  return JSON.stringify(name?.slice(0, 64) ?? null);
}
