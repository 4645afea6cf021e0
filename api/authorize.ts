import type { EntityManager } from '@mikro-orm/postgresql';
import type { Database } from '../database/connection.ts';
import type { Role } from '../database/entities/member.ts';
import type { Scope } from '../database/entities/service-key.ts';
import { DomainError } from '../domain-error.ts';
import { lockTeamAs } from '../teams/actor.ts';
import { findRole, findTeam } from '../teams/find-team.ts';
import { managerRoles } from '../teams/members.ts';
import type { Caller } from './authenticate.ts';

/** Who may call a route. What is not said is not allowed. */
export interface Access {
  /** Services whose key has one of these scopes. */
  services?: readonly Scope[];
  /** Persons: `signedIn` for any, else those who have one of these roles in the team of the path. */
  persons?: 'signedIn' | readonly Role[];
  /** The handler finds out itself whether the team exists: one query less on the hot path. */
  teamIsCheckedByHandler?: boolean;
}

/** Everybody in the team. */
export const anyRole = ['owner', 'admin', 'billing', 'member'] as const satisfies readonly Role[];
/** Those who may pay, change the plan, see invoices and open the portal. */
export const billingRoles = ['owner', 'admin', 'billing'] as const satisfies readonly Role[];
/** Those who manage members. */
export const memberManagers = managerRoles;

/**
 * Lets the caller through or says why not.
 * @throws DomainError 403 `forbidden` with `allowedRoles` or `allowedScopes`; 404 `unknown_team` also for a person
 * who is not in the team, so that nobody learns which teams exist
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
        : forbidden('This is for persons, not for services', { allowedScopes: [] });
    }
    if (teamId !== undefined && !access.teamIsCheckedByHandler) await findTeam(database.fork(), teamId);
    return;
  }
  const { persons } = access;
  if (persons === undefined) {
    throw forbidden('This is for services, not for persons', { allowedScopes: access.services ?? [] });
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
 * Locks the team and checks the caller's rights once more: their role, or service key, as of this moment. Whatever changes
 * a team calls it first in its transaction, so that who lost a right while their request waited no longer has it.
 * @throws DomainError as {@link authorize}; 401 `unauthenticated` for a service key that was revoked meanwhile
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
