import type { models, Polar } from '@polar-sh/sdk/2026-10';
import type { Role } from '../database/entities/member.ts';
import { DomainError } from '../domain-error.ts';
import { callPolar, readAll } from './client.ts';

export interface PayingUser {
  userId: string;
  email: string;
  name: string | null;
  role: Role;
}

/**
 * Returns the id of a user's membership of a customer, and creates or updates it if needed. A customer at Polar has
 * one owner, and a team may have several. So an owner of the team becomes Polar's owner only if Polar's owner no
 * longer owns the team.
 *
 * @param owners  user ids of the team's owners
 * @throws DomainError as `callPolar`, `email_refused` also if the e-mail belongs to another member
 */
export async function ensureMember(
  polar: Polar,
  customerId: string,
  user: PayingUser,
  owners: readonly string[],
): Promise<string> {
  return (await bringMemberInLine(polar, customerId, await listPolarMembers(polar, customerId), user, owners))
    .id;
}

/**
 * As {@link ensureMember}, with the customer's members already fetched from Polar.
 * @returns the member's id, and whether anything was changed at Polar
 */
export async function bringMemberInLine(
  polar: Polar,
  customerId: string,
  members: models.Member[],
  user: PayingUser,
  owners: readonly string[],
): Promise<{ id: string; changed: boolean }> {
  const owner = members.find(({ role }) => role === 'owner');
  const ownerId = owner?.external_id ?? null;
  const ownerStands = ownerId !== null && owners.includes(ownerId);
  const becomesOwner = user.role === 'owner' && (!ownerStands || ownerId === user.userId);
  const wanted = becomesOwner ? 'owner' : polarRoles[user.role];

  const found = findPolarMember(members, user);
  const member = found ?? (await makeMember(polar, customerId, user));
  // The role `owner` ends only if another member takes it over.
  const role: models.MemberRole = member.role === 'owner' && wanted === 'billing_manager' ? 'owner' : wanted;
  const change = {
    ...(member.role === role ? {} : { role }),
    ...(member.email.toLowerCase() === user.email.toLowerCase() ? {} : { email: user.email }),
    ...(member.name === user.name ? {} : { name: user.name }),
  };
  if (Object.keys(change).length === 0) return { id: member.id, changed: !found };
  await callPolar('change', () => polar.customers.members.update(customerId, member.id, change));
  return { id: member.id, changed: true };
}

/** The member id of the customer's owner; undefined if Polar has no members for this customer. */
export async function findOwnerMember(polar: Polar, customerId: string): Promise<string | undefined> {
  return (await listPolarMembers(polar, customerId)).find(({ role }) => role === 'owner')?.id;
}

const polarRoles = {
  owner: 'billing_manager',
  admin: 'billing_manager',
  billing: 'billing_manager',
  member: 'member',
} as const satisfies Record<Role, models.MemberRole>;

async function makeMember(polar: Polar, customerId: string, user: PayingUser): Promise<models.Member> {
  const role = polarRoles[user.role];
  try {
    const made = await callPolar('change', () =>
      polar.customers.members.create(customerId, {
        email: user.email,
        name: user.name,
        external_id: user.userId,
        role,
      }),
    );
    // For an e-mail that it knows, Polar answers 201 with the existing member, who may be another user.
    if (made.external_id === user.userId || !made.external_id) return made;
  } catch (error) {
    // It may have been created despite the error, or by another caller at the same time.
    const made = findPolarMember(await listPolarMembers(polar, customerId), user);
    if (!made) throw error;
    return made;
  }
  throw new DomainError(
    'email_refused',
    'At Polar this e-mail belongs to another member: set another e-mail for the user',
  );
}

/** By our user id, or by e-mail if the member was added at Polar by hand. */
export function findPolarMember(
  members: models.Member[],
  { userId, email }: Pick<PayingUser, 'userId' | 'email'>,
): models.Member | undefined {
  return (
    members.find(({ external_id }) => external_id === userId) ??
    members.find((member) => !member.external_id && member.email.toLowerCase() === email.toLowerCase())
  );
}

/** All members of the customer, as Polar has them now. */
export async function listPolarMembers(polar: Polar, customerId: string): Promise<models.Member[]> {
  return callPolar('read', () => readAll(polar.customers.members.iterList(customerId, { limit: 100 })));
}
