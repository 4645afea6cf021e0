import type { models, Polar } from '@polar-sh/sdk/2026-10';
import type { Database } from '../database/connection.ts';
import { Member } from '../database/entities/member.ts';
import { Team } from '../database/entities/team.ts';
import { User } from '../database/entities/user.ts';
import { DomainError } from '../domain-error.ts';
import { callPolar } from './client.ts';
import { findCustomer } from './ensure-customer.ts';
import { ensureMember, findMember, listMembers, type Person } from './ensure-member.ts';

/**
 * Brings the people who may act for the team's customer at Polar in line with the team's roles: an owner is the owner,
 * further owners, admins and billing are billing managers, anybody else is removed. Looks first, so it may be tried
 * again. A deleted team in which nobody is left has its customer erased there: name and e-mails are anonymised, what was
 * paid stays on record.
 *
 * @returns what was done, in plain words
 * @throws DomainError as `callPolar`
 */
export async function syncMembers(polar: Polar, database: Database, teamId: string): Promise<string> {
  const em = database.fork();
  const team = await em.findOneOrFail(Team, { id: teamId });
  // Between making a customer and storing its id something may have failed: nobody must be forgotten there.
  const customerId = team.polarCustomerId ?? (team.deletedAt ? await findCustomer(polar, teamId) : undefined);
  if (customerId === undefined) return 'The team has no customer at Polar';

  const people = await payingPeople(database, teamId);
  try {
    if (people.length > 0) return await bringInLine(polar, customerId, people);
    if (!team.deletedAt) return 'The team has nobody whom Polar could write to';
    await callPolar('change', () => polar.customers.delete(customerId, { anonymize: true }));
    return 'The team’s customer at Polar is erased';
  } catch (error) {
    if (!(error instanceof DomainError) || error.code !== 'polar_not_found') throw error;
    return 'Polar has no such customer any more';
  }
}

async function bringInLine(polar: Polar, customerId: string, people: Person[]): Promise<string> {
  const before = await listMembers(polar, customerId);
  const owners = people.filter(({ role }) => role === 'owner');
  // Polar's owner stays where they are one of ours. Nobody else can take the role but by its being handed over, so this
  // comes before anybody is removed.
  const owner = owners.find((person) => findMember(before, person)?.role === 'owner') ?? owners[0];
  const changed = people.filter(
    (person) => findMember(before, person)?.role !== (person === owner ? 'owner' : 'billing_manager'),
  );
  const ownerIds = owners.map(({ userId }) => userId);
  for (const person of changed) await ensureMember(polar, customerId, person, ownerIds);

  const members = changed.length > 0 ? await listMembers(polar, customerId) : before;
  const wanted = new Set(people.map((person) => findMember(members, person)?.id));
  const surplus = members.filter(({ id, role }) => !wanted.has(id) && role !== 'owner');
  for (const member of surplus) await remove(polar, customerId, member);
  return `At Polar ${people.length} may act for the team: ${changed.length} changed, ${surplus.length} removed`;
}

async function remove(polar: Polar, customerId: string, { id }: models.Member): Promise<void> {
  try {
    await callPolar('change', () => polar.customers.members.delete(customerId, id));
  } catch (error) {
    if (!(error instanceof DomainError) || error.code !== 'polar_not_found') throw error;
  }
}

/** Who may pay for the team, owners first, each in the order in which they joined. */
async function payingPeople(database: Database, teamId: string): Promise<Person[]> {
  const em = database.fork();
  const members = await em.find(
    Member,
    { teamId, role: { $ne: 'member' } },
    { orderBy: { createdAt: 'asc', userId: 'asc' } },
  );
  const users = await em.find(User, { id: { $in: members.map(({ userId }) => userId) } });
  const byId = new Map(users.map((user) => [user.id, user]));
  return members
    .flatMap(({ userId, role }) => {
      const user = byId.get(userId);
      return user?.email ? [{ userId, email: user.email, name: user.name, role }] : [];
    })
    .sort((a, b) => Number(b.role === 'owner') - Number(a.role === 'owner'));
}
