import type { EntityManager } from '@mikro-orm/postgresql';
import type { Database } from '../database/connection.ts';
import { managerRoles, type Role } from '../database/entities/member.ts';
import type { Scope } from '../database/entities/service-key.ts';
import { DomainError } from '../domain-error.ts';
import { lockTeamAs } from '../teams/actor.ts';
import { findRole, findTeam } from '../teams/find-team.ts';
import type { Caller } from './authenticate.ts';

/** Who may call a route. Everyone else may not. */
export interface Access {
  /** Services whose key has one of these scopes. */
  services?: readonly Scope[];
  /** Users: `signedIn` for any user, else users with one of these roles in the team of the path. */
  persons?: 'signedIn' | readonly Role[];
  /** A session does not count, only a JWT or a service key. */
  byTokenOnly?: boolean;
  /** The handler itself checks whether the team exists, which saves a query on the hot path. */
  teamIsCheckedByHandler?: boolean;
}

/** Every member of the team. */
export const anyRole = ['owner', 'admin', 'billing', 'member'] as const satisfies readonly Role[];
/** Members who may pay, change the plan, see invoices and open the portal. */
export const billingRoles = ['owner', 'admin', 'billing'] as const satisfies readonly Role[];
/** Members who manage members and limits. */
export const memberManagers = managerRoles;

/**
 * Checks that the caller may call the route.
 * @throws DomainError `forbidden` with `allowedRoles` or `allowedScopes`; `unknown_team` also for a user who is not in
 *   the team, so that its existence is not revealed
 */
export async function authorize(
  database: Database,
  caller: Caller,
  access: Access,
  teamId: string | undefined,
): Promise<void> {
  if (caller.kind === 'service') {
    const allowed = access.services ?? [];
    if (!allowed.some((scope) => caller.scopes.includes(scope))) {
      throw allowed.length > 0
        ? forbidden(`The service key needs the scope ${allowed.join(' or ')}`, { allowedScopes: allowed })
        : forbidden('Only users may do this, not services', { allowedScopes: [] });
    }
    if (teamId !== undefined && !access.teamIsCheckedByHandler) await findTeam(database.fork(), teamId);
    return;
  }
  const { persons } = access;
  if (persons === undefined) {
    throw forbidden('Only services may do this, not users', { allowedScopes: access.services ?? [] });
  }
  if (persons === 'signedIn') return;
  if (teamId === undefined) throw new Error('a route with roles needs a team in its path');
  const role = await findRole(database.fork(), teamId, caller.userId);
  if (!persons.includes(role)) {
    throw forbidden(`A team’s ${role} may not do this, only ${persons.join(', ')}`, {
      allowedRoles: persons,
    });
  }
}

/**
 * Locks the team and checks the caller's current rights again: their role or service key. Every change of a team calls
 * it first in its transaction, so a caller who lost a right while their request waited no longer has it.
 * @throws DomainError as {@link authorize}; `unauthenticated` for a service key that was revoked meanwhile
 */
export async function confirmRights(
  em: EntityManager,
  caller: Caller,
  { persons }: Access,
  teamId: string,
): Promise<void> {
  await lockTeamAs(em, teamId, caller, persons === 'signedIn' || persons === undefined ? [] : persons);
}

export function forbidden(message: string, details: Record<string, unknown>): DomainError {
  return new DomainError('forbidden', message, details);
}
