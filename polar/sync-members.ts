import type { models, Polar } from '@polar-sh/sdk/2026-10';
import type { Database } from '../database/connection.ts';
import { Member } from '../database/entities/member.ts';
import { Team } from '../database/entities/team.ts';
import { User } from '../database/entities/user.ts';
import { DomainError, hasCode, isRefusal } from '../domain-error.ts';
import { callPolar } from './client.ts';
import { findCustomer } from './ensure-customer.ts';
import { bringMemberInLine, findPolarMember, listPolarMembers, type PayingUser } from './ensure-member.ts';

/**
 * Sets the members of the team's customer at Polar to the team's roles: one owner becomes Polar's owner; other owners,
 * admins and billing members become billing managers; all others are removed, and removed first. Each user is synced
 * alone, so that one whom Polar refuses does not block the others. It reads the current state first, so it is safe to
 * retry. If a deleted team has no members left, its customer at Polar is erased: name and e-mails are anonymised,
 * orders stay.
 *
 * @returns what was done, as a sentence
 * @throws DomainError as `callPolar`, `member_refused`, after all other changes, if Polar refuses a user of a team
 *   that is not deleted
 */
export async function syncMembers(polar: Polar, database: Database, teamId: string): Promise<string> {
  const em = database.fork();
  const team = await em.findOneOrFail(Team, { id: teamId });
  // A failure between creating a customer and storing its id leaves the id unknown. A deleted team's customer must
  // still be found.
  const customerId = team.polarCustomerId ?? (team.deletedAt ? await findCustomer(polar, teamId) : undefined);
  if (customerId === undefined) return 'The team has no customer at Polar';

  const payers = await payingUsers(database, teamId);
  try {
    if (payers.length > 0) return await bringInLine(polar, customerId, payers, team);
    if (!team.deletedAt) return 'No owner, admin or billing member of the team has an e-mail';
    await callPolar('change', () => polar.customers.delete(customerId, { anonymize: true }));
    return 'The team’s customer at Polar is erased';
  } catch (error) {
    if (!hasCode(error, 'polar_not_found')) throw error;
    return 'The customer no longer exists at Polar';
  }
}

async function bringInLine(
  polar: Polar,
  customerId: string,
  payers: PayingUser[],
  { deletedAt }: Team,
): Promise<string> {
  const failures: { who: string; error: DomainError }[] = [];
  /** Returns whether the work succeeded. */
  const alone = async (who: string, work: () => Promise<boolean>): Promise<boolean> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      failures.push({ who, error });
      return false;
    }
  };
  const removeSurplus = async (members: models.Member[]) => {
    const wanted = new Set(payers.map((user) => findPolarMember(members, user)?.id));
    const surplus = members.filter(({ id, role }) => !wanted.has(id) && role !== 'owner');
    let removed = 0;
    for (const member of surplus) {
      const done = await alone(member.external_id ?? member.id, () => remove(polar, customerId, member));
      if (done) removed += 1;
    }
    return removed;
  };

  let members = await listPolarMembers(polar, customerId);
  // Polar's owner cannot be removed. If it is not an owner of the team, an owner of the team takes over below, and the
  // old one is removed after that.
  let removed = await removeSurplus(members);
  // If Polar's owner is an owner of the team, it comes first and stays Polar's owner.
  const owners = payers.filter(({ role }) => role === 'owner');
  const current = owners.filter((user) => findPolarMember(members, user)?.role === 'owner');
  const ownerIds = owners.map(({ userId }) => userId);
  let changed = 0;
  for (const user of new Set([...current, ...payers])) {
    const done = await alone(
      user.userId,
      async () => (await bringMemberInLine(polar, customerId, members, user, ownerIds)).changed,
    );
    if (!done) continue;
    changed += 1;
    members = await listPolarMembers(polar, customerId);
  }
  if (changed > 0 || failures.length > 0)
    removed += await removeSurplus(await listPolarMembers(polar, customerId));

  // If a failure may be temporary, the whole step is retried.
  const passing = failures.find(({ error }) => !isRefusal(error));
  if (passing) throw passing.error;
  const outcome = `At Polar the team has ${payers.length} members: ${changed} changed, ${removed} removed`;
  if (failures.length === 0) return outcome;
  const refused = failures.map(({ who, error }) => `${who} (${error.code})`).join(', ');
  const shown = `${outcome}; Polar refuses ${refused}: set another e-mail or another role for them`;
  if (deletedAt) return shown;
  throw new DomainError('member_refused', shown);
}

async function remove(polar: Polar, customerId: string, { id }: models.Member): Promise<boolean> {
  try {
    await callPolar('change', () => polar.customers.members.delete(customerId, id));
  } catch (error) {
    if (!hasCode(error, 'polar_not_found')) throw error;
  }
  return true;
}

/** The users who may pay for the team, owners first, then in the order in which they joined. */
async function payingUsers(database: Database, teamId: string): Promise<PayingUser[]> {
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
