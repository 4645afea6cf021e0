import type { EntityManager } from '@mikro-orm/postgresql';
import type { Polar } from '@polar-sh/sdk/2026-10';
import type { Database } from '../database/connection.ts';
import { Member } from '../database/entities/member.ts';
import { User } from '../database/entities/user.ts';
import { DomainError } from '../domain-error.ts';
import { callPolar } from './client.ts';
import { withCustomer } from './ensure-customer.ts';
import { ensureMember, findOwnerMember, type PayingUser } from './ensure-member.ts';

/**
 * A new link into Polar's customer portal, valid for an hour: for a user with the user's own role, for a service (no
 * `userId`) with the owner's.
 *
 * @throws DomainError `forbidden` if the user may not pay for the team; as `ensureCustomer` and `callPolar`
 */
export async function openPortal(
  polar: Polar,
  database: Database,
  { teamId, userId, returnUrl }: { teamId: string; userId?: string; returnUrl?: string },
): Promise<{ url: string; expiresAt: Date }> {
  const em = database.fork();
  const user = userId === undefined ? undefined : await payingUser(em, teamId, userId);
  const owners = await em.find(Member, { teamId, role: 'owner' });
  return withCustomer(polar, database, teamId, async (customerId) => {
    const memberId = user
      ? await ensureMember(
          polar,
          customerId,
          user,
          owners.map((owner) => owner.userId),
        )
      : await findOwnerMember(polar, customerId);
    // If the answer is lost, an unused link has no effect, so no check is needed.
    const session = await callPolar('change', () =>
      polar.customerSessions.create({
        customer_id: customerId,
        ...(memberId === undefined ? {} : { member_id: memberId }),
        ...(returnUrl === undefined ? {} : { return_url: returnUrl }),
      }),
    );
    return { url: session.customer_portal_url, expiresAt: new Date(session.expires_at) };
  });
}

async function payingUser(em: EntityManager, teamId: string, userId: string): Promise<PayingUser> {
  const member = await em.findOne(Member, { teamId, userId });
  const user = member && (await em.findOne(User, { id: userId }));
  if (!user?.email || !member || member.role === 'member') {
    throw new DomainError('forbidden', 'Only an owner, admin or billing member may open the customer portal');
  }
  return { userId, email: user.email, name: user.name ?? null, role: member.role };
}
