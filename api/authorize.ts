import type { Database } from '../database/connection.ts';
import type { Role } from '../database/entities/member.ts';
import type { Scope } from '../database/entities/service-key.ts';
import { DomainError } from '../domain-error.ts';
import { findRole, findTeam } from '../teams/find-team.ts';
import type { MemberEditor } from '../teams/members.ts';
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
export const memberManagers = ['owner', 'admin'] as const satisfies readonly Role[];

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

/** The caller as one who changes a team or its members: there a person's role counts, and a service may do all. */
export function editorOf(caller: Caller): MemberEditor {
  return caller.kind === 'person' ? { userId: caller.userId } : 'service';
}

export function forbidden(message: string, details: Record<string, unknown>): DomainError {
  return new DomainError(403, 'forbidden', message, details);
}
