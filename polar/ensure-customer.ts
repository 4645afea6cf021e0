import type { EntityManager } from '@mikro-orm/postgresql';
import type { Polar } from '@polar-sh/sdk/2026-10';
import type { Database } from '../database/connection.ts';
import { Member } from '../database/entities/member.ts';
import { Team } from '../database/entities/team.ts';
import { User } from '../database/entities/user.ts';
import { unknownTeam } from '../database/lock-living-team.ts';
import { DomainError, hasCode } from '../domain-error.ts';
import { callPolar } from './client.ts';

/**
 * Returns the id of the team's customer at Polar, and creates the customer if needed. A checkout must not create it: a
 * checkout's `external_customer_id` is silently ignored if the payer's e-mail already has a customer. The customer has
 * no e-mail of its own, because e-mails at Polar are unique and one user can own many teams.
 *
 * If two callers create it at once there is still one customer, because Polar's external ids are unique.
 *
 * @throws DomainError `unknown_team`, `team_deleted`, `team_without_owner`, `email_refused` if Polar
 *   refuses every owner's e-mail; as `callPolar`
 */
export async function ensureCustomer(polar: Polar, database: Database, teamId: string): Promise<string> {
  const em = database.fork();
  const team = await em.findOne(Team, { id: teamId });
  if (!team) throw unknownTeam(teamId);
  if (team.deletedAt) throw new DomainError('team_deleted', 'This team has been deleted');
  if (team.polarCustomerId !== null) return team.polarCustomerId;

  const customerId = (await findCustomer(polar, teamId)) ?? (await makeCustomer(polar, em, team));
  await em.nativeUpdate(Team, { id: teamId }, { polarCustomerId: customerId });
  return customerId;
}

/**
 * Runs `use` with the team's customer. If Polar does not know that customer (it was deleted there, and its webhook has
 * not arrived), the customer is created again and `use` runs once more.
 */
export async function withCustomer<T>(
  polar: Polar,
  database: Database,
  teamId: string,
  use: (customerId: string) => Promise<T>,
): Promise<T> {
  const customerId = await ensureCustomer(polar, database, teamId);
  try {
    return await use(customerId);
  } catch (error) {
    if (!saysCustomerIsGone(error)) throw error;
    await unlinkCustomer(database.fork(), customerId);
    return use(await ensureCustomer(polar, database, teamId));
  }
}

/**
 * Removes a customer that no longer exists at Polar from the team's row. The next checkout or portal session creates a
 * new one. A deleted team keeps the id, because later events, such as a refund, may name only that customer.
 */
export async function unlinkCustomer(em: EntityManager, customerId: string): Promise<void> {
  await em.nativeUpdate(Team, { polarCustomerId: customerId, deletedAt: null }, { polarCustomerId: null });
}

/** The id of the customer that was created for the team, if Polar has one. */
export async function findCustomer(polar: Polar, teamId: string): Promise<string | undefined> {
  try {
    const customer = await callPolar('read', () => polar.customers.getExternal(teamId));
    return customer.id;
  } catch (error) {
    if (hasCode(error, 'polar_not_found')) return undefined;
    throw error;
  }
}

/** Uses the first of the team's owners whose e-mail Polar accepts. */
async function makeCustomer(polar: Polar, em: EntityManager, team: Team): Promise<string> {
  let refused: DomainError | undefined;
  for (const owner of await ownersOf(em, team.id)) {
    try {
      return await makeCustomerOf(polar, team, owner);
    } catch (error) {
      if (!hasCode(error, 'email_refused')) throw error;
      refused ??= error;
    }
  }
  throw (
    refused ?? new DomainError('team_without_owner', 'The team has no owner with an e-mail: set one first')
  );
}

interface PolarOwner {
  email: string;
  name: string | null;
  external_id: string;
}

async function makeCustomerOf(polar: Polar, team: Team, owner: PolarOwner): Promise<string> {
  try {
    return await callPolar(
      'change',
      async () => {
        const { id } = await polar.customers.create({
          type: 'team',
          external_id: team.id,
          name: team.name,
          owner,
        });
        return id;
      },
      () => findCustomer(polar, team.id),
    );
  } catch (error) {
    // Another caller has just created it: Polar refuses an external id that is in use.
    const made = isRefusal(error) ? await findCustomer(polar, team.id) : undefined;
    if (made === undefined) throw error;
    return made;
  }
}

/** The team's owners in the format of Polar, in the order in which they joined. */
async function ownersOf(em: EntityManager, teamId: string): Promise<PolarOwner[]> {
  const owners = await em.find(
    Member,
    { teamId, role: 'owner' },
    { orderBy: { createdAt: 'asc', userId: 'asc' } },
  );
  const users = await em.find(User, { id: { $in: owners.map(({ userId }) => userId) } });
  return owners.flatMap(({ userId }) => {
    const user = users.find(({ id }) => id === userId);
    return user?.email ? [{ email: user.email, name: user.name, external_id: user.id }] : [];
  });
}

function isRefusal(error: unknown): error is DomainError {
  return hasCode(error, 'polar_refused', 'polar_conflict');
}

function saysCustomerIsGone(error: unknown): boolean {
  if (!(error instanceof DomainError)) return false;
  if (error.code === 'polar_not_found') return true;
  const { fields } = error.details;
  return Array.isArray(fields) && fields.includes('body.customer_id');
}
