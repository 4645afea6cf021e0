import type { EntityManager } from '@mikro-orm/postgresql';
import type { Polar } from '@polar-sh/sdk/2026-10';
import type { Database } from '../database/connection.ts';
import { Member } from '../database/entities/member.ts';
import { Team } from '../database/entities/team.ts';
import { User } from '../database/entities/user.ts';
import { unknownTeam } from '../database/lock-living-team.ts';
import { DomainError } from '../domain-error.ts';
import { callPolar } from './client.ts';

/**
 * The id of the team's customer at Polar, which is made beforehand and never by a checkout: a checkout's
 * `external_customer_id` is silently lost when the payer's e-mail already has a customer. The customer has no
 * e-mail of its own, because Polar's are unique and one person can own many teams.
 *
 * Two at once end with one customer: Polar's external ids are unique.
 *
 * @throws DomainError 404 `unknown_team`; 409 `team_deleted`, `team_without_owner`; 422 `email_refused` if Polar refuses
 *   every owner's e-mail; those of `callPolar`
 */
export async function ensureCustomer(polar: Polar, database: Database, teamId: string): Promise<string> {
  const em = database.fork();
  const team = await em.findOne(Team, { id: teamId });
  if (!team) throw unknownTeam(teamId);
  if (team.deletedAt) throw new DomainError(409, 'team_deleted', 'This team has been deleted');
  if (team.polarCustomerId !== null) return team.polarCustomerId;

  const customerId = (await findCustomer(polar, teamId)) ?? (await makeCustomer(polar, em, team));
  await em.nativeUpdate(Team, { id: teamId }, { polarCustomerId: customerId });
  return customerId;
}

/**
 * Runs `use` with the team's customer. Where Polar says that it knows no such customer (it was deleted there, and
 * we have not heard), the customer is made anew and `use` runs once more.
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
 * Forgets a customer that is no more at Polar; the next checkout or portal makes a new one. A deleted team keeps the id:
 * what Polar still has to say of it, a refund say, names nothing else.
 */
export async function unlinkCustomer(em: EntityManager, customerId: string): Promise<void> {
  await em.nativeUpdate(Team, { polarCustomerId: customerId, deletedAt: null }, { polarCustomerId: null });
}

/** The id of the customer that was made for the team, where Polar has one. */
export async function findCustomer(polar: Polar, teamId: string): Promise<string | undefined> {
  try {
    const customer = await callPolar('read', () => polar.customers.getExternal(teamId));
    return customer.id;
  } catch (error) {
    if (error instanceof DomainError && error.code === 'polar_not_found') return undefined;
    throw error;
  }
}

/** With the first of the team's owners whose e-mail Polar takes. */
async function makeCustomer(polar: Polar, em: EntityManager, team: Team): Promise<string> {
  let refused: DomainError | undefined;
  for (const owner of await ownersOf(em, team.id)) {
    try {
      return await makeCustomerOf(polar, team, owner);
    } catch (error) {
      if (!(error instanceof DomainError) || error.code !== 'email_refused') throw error;
      refused ??= error;
    }
  }
  throw (
    refused ?? new DomainError(409, 'team_without_owner', 'The team has no owner whom Polar could write to')
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
    // Somebody else has just made it: Polar refuses an external id that is taken.
    const made = isRefusal(error) ? await findCustomer(polar, team.id) : undefined;
    if (made === undefined) throw error;
    return made;
  }
}

/** The team's owners, in the order in which they joined, as Polar takes an owner. */
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
  return error instanceof DomainError && (error.code === 'polar_refused' || error.code === 'polar_conflict');
}

function saysCustomerIsGone(error: unknown): boolean {
  if (!(error instanceof DomainError)) return false;
  if (error.code === 'polar_not_found') return true;
  const { fields } = error.details;
  return Array.isArray(fields) && fields.includes('body.customer_id');
}
