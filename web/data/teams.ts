import { queryOptions } from '@tanstack/react-query';
import { billing } from './billing.ts';
import type { Schema } from './schema.ts';

/** A team of the signed-in user, with their role in it. */
export type MyTeam = Schema<'ListedTeam'>;
export type Role = Schema<'Role'>;

/** The teams of the signed-in user, Personal Teams first, then by name. */
export const teamsQuery = queryOptions({
  queryKey: ['teams'],
  queryFn: async ({ signal }) => {
    const teams = await Array.fromAsync(
      billing.list('/v1/teams', { signal, params: { query: { limit: 100 } } }),
    );
    return teams.sort(
      (a, b) =>
        Number(b.personal) - Number(a.personal) || a.name.localeCompare(b.name) || (a.id < b.id ? -1 : 1),
    );
  },
  staleTime: 60_000,
});

const billingRoles: readonly Role[] = ['owner', 'admin', 'billing'];

/** True for the roles that may buy, change the plan, see invoices and set alerts. */
export function mayManageBilling({ role }: MyTeam): boolean {
  return role !== undefined && billingRoles.includes(role);
}

/** True for the roles that manage members and their limits. */
export function mayManageMembers({ role }: MyTeam): boolean {
  return role === 'owner' || role === 'admin';
}
