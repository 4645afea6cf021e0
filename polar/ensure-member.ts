import type { models, Polar } from '@polar-sh/sdk/2026-10';
import type { Role } from '../database/entities/member.ts';
import { callPolar, readAll } from './client.ts';

export interface Person {
  userId: string;
  email: string;
  name: string | null;
  role: Role;
}

/**
 * The id of a person's membership of a customer, made or raised where needed. Polar's customer has one owner while
 * our team may have several, so an owner of ours becomes Polar's only where Polar's is none of ours any more.
 *
 * @param owners  user ids of the team's owners
 * @throws DomainError as `callPolar`
 */
export async function ensureMember(
  polar: Polar,
  customerId: string,
  person: Person,
  owners: readonly string[],
): Promise<string> {
  const members = await listMembers(polar, customerId);
  const owner = members.find(({ role }) => role === 'owner');
  const ownerStands = owner !== undefined && owners.includes(owner.external_id ?? '');
  const role = person.role === 'owner' && (!ownerStands || owner.external_id === person.userId);
  const wanted = role ? 'owner' : polarRoles[person.role];

  const member = findMember(members, person) ?? (await makeMember(polar, customerId, person));
  if (member.role === wanted || (member.role === 'owner' && wanted === 'billing_manager')) return member.id;
  await callPolar('change', () => polar.customers.members.update(customerId, member.id, { role: wanted }));
  return member.id;
}

/** The id of the membership of the customer's owner; undefined where Polar keeps no members for it. */
export async function findOwnerMember(polar: Polar, customerId: string): Promise<string | undefined> {
  return (await listMembers(polar, customerId)).find(({ role }) => role === 'owner')?.id;
}

const polarRoles = {
  owner: 'billing_manager',
  admin: 'billing_manager',
  billing: 'billing_manager',
  member: 'member',
} as const satisfies Record<Role, models.MemberRole>;

async function makeMember(polar: Polar, customerId: string, person: Person): Promise<models.Member> {
  const role = polarRoles[person.role];
  try {
    return await callPolar('change', () =>
      polar.customers.members.create(customerId, {
        email: person.email,
        name: person.name,
        external_id: person.userId,
        role,
      }),
    );
  } catch (error) {
    // It may have been made after all, or by somebody else at the same time.
    const made = findMember(await listMembers(polar, customerId), person);
    if (!made) throw error;
    return made;
  }
}

/** By our user id; by e-mail where the person was added at Polar by hand. */
export function findMember(
  members: models.Member[],
  { userId, email }: Pick<Person, 'userId' | 'email'>,
): models.Member | undefined {
  return (
    members.find(({ external_id }) => external_id === userId) ??
    members.find((member) => !member.external_id && member.email.toLowerCase() === email.toLowerCase())
  );
}

/** Everybody who may act for the customer, as Polar has them now. */
export async function listMembers(polar: Polar, customerId: string): Promise<models.Member[]> {
  return callPolar('read', () => readAll(polar.customers.members.iterList(customerId, { limit: 100 })));
}
