import { z } from 'zod';
import type { Executor } from '../database/connection.ts';
import type { InboxEvent } from '../database/entities/inbox-event.ts';
import type { Team } from '../database/entities/team.ts';
import { DomainError } from '../domain-error.ts';
import {
  type PolarOrder,
  type PolarProductRef,
  type PolarSubscription,
  type PolarTeamRef,
  readIds,
  readTeamRef,
} from './events.ts';

export type ResolvedTeam = { teamId: string } | { unknown: true } | { doubtful: string };

/** Finds the team of an event, as `resolveTeam`. */
export function resolveEventTeam(em: Executor, type: string, data: unknown): Promise<ResolvedTeam> {
  return resolveTeam(em, readTeamRef(type, data), readIds(type, data));
}

/**
 * Finds the team of a Polar object by the first of these that is known. A deleted team is still a team.
 *
 * 1. its order, else its subscription, as we have stored it: an operator may have assigned it
 * 2. `metadata.team_id`
 * 3. the customer's external id
 * 4. the customer that we have stored for a team: a refund has neither 2 nor 3
 *
 * Results:
 * - `unknown`: the object names none of our teams (yet).
 * - `doubtful`: its ids belong to different teams. An operator decides.
 */
export async function resolveTeam(
  em: Executor,
  ref: PolarTeamRef,
  { orderId = null, subscriptionId = null }: { orderId?: string | null; subscriptionId?: string | null } = {},
): Promise<ResolvedTeam> {
  const { metadataTeamId, customerExternalId, customerId } = ref;
  const named = new Set([metadataTeamId, customerExternalId].filter((name) => name !== null).map(canonical));
  const [name] = named;
  const ids = { teamId: asUuid(name), customerId, orderId, subscriptionId };
  const candidates = await findCandidates(em, ids);
  const found = (what: Candidate['by']) => candidates.find(({ by }) => by === what);
  const stored = found('order') ?? found('subscription');
  if (stored) return { teamId: stored.teamId };
  if (named.size > 1) {
    return {
      doubtful: `metadata.team_id is ${quote(metadataTeamId)}, customer.external_id is ${quote(customerExternalId)}`,
    };
  }
  const byName = candidates.find(({ by, teamId }) => by === 'team' && teamId === name);
  const byCustomer = candidates.find(
    (candidate) => customerId !== null && candidate.customerId === customerId,
  );
  if (name !== undefined && byCustomer && byCustomer.teamId !== name) {
    return {
      doubtful: `it names the team ${quote(name)}, and its customer belongs to the team ${byCustomer.teamId}`,
    };
  }
  const team = byName ?? byCustomer;
  return team ? { teamId: team.teamId } : { unknown: true };
}

/** Whether every id in a Polar object belongs to this team: then `resolveTeam` would find no other. */
export function meansTeam(ref: PolarTeamRef, { id, polarCustomerId }: Team): boolean {
  const names = [ref.metadataTeamId, ref.customerExternalId].filter((name) => name !== null);
  return (
    ref.customerId !== null &&
    ref.customerId === polarCustomerId &&
    names.every((name) => canonical(name) === id)
  );
}

/**
 * Checks that the event's own ids do not contradict the team to which it was routed. Otherwise an operator decides.
 * @param subscriptionId  if it is stored, its team counts, whatever the event's own ids are
 * @throws DomainError `doubtful_team`
 */
export async function checkTeam(
  em: Executor,
  team: Team,
  ref: PolarTeamRef,
  subscriptionId: string | null,
): Promise<void> {
  if (meansTeam(ref, team)) return;
  const resolved = await resolveTeam(em, ref, { subscriptionId });
  if ('doubtful' in resolved) throw new DomainError('doubtful_team', resolved.doubtful);
  if ('teamId' in resolved && resolved.teamId !== team.id)
    throw new DomainError('doubtful_team', `Its ids belong to team ${resolved.teamId}, not to ${team.id}`);
}

type Assignment = Pick<InboxEvent, 'decisions' | 'assignedProduct' | 'teamId'>;

/**
 * The order with the team and the catalog key that an operator assigned, which replace Polar's. Only this event is
 * affected.
 */
export function assignedOrder<O extends PolarOrder>(order: O, event: Assignment): O {
  return {
    ...order,
    ...assignedProduct(event),
    // The checkout was for another product, so its catalog version does not apply.
    ...(event.assignedProduct === null ? {} : { checkoutCatalogVersion: null }),
    teamRef: assignedTeam(order.teamRef, event),
    subscription: order.subscription && assignedSubscription(order.subscription, event),
  };
}

/** As `assignedOrder`. */
export function assignedSubscription<S extends PolarSubscription>(subscription: S, event: Assignment): S {
  return {
    ...subscription,
    ...assignedProduct(event),
    teamRef: assignedTeam(subscription.teamRef, event),
  };
}

/** As `assignedOrder`, for another order of the same subscription, which has its own product. */
export function assignedTeamOrder<O extends PolarOrder>(order: O, event: Assignment): O {
  return { ...order, teamRef: assignedTeam(order.teamRef, event) };
}

function assignedTeam(ref: PolarTeamRef, { decisions, teamId }: Assignment): PolarTeamRef {
  const assigned = teamId !== null && decisions.some((decision) => decision.teamId === teamId);
  return assigned ? { metadataTeamId: teamId, customerExternalId: null, customerId: null } : ref;
}

function assignedProduct({ assignedProduct: key }: Assignment): Partial<PolarProductRef> {
  return key === null ? {} : { productId: null, productCatalogKey: key };
}

/** A team to which one of the ids belongs. */
interface Candidate {
  teamId: string;
  customerId: string | null;
  by: 'team' | 'order' | 'subscription';
}

/** One statement, because each webhook waits for it before it is stored and answered. */
async function findCandidates(
  em: Executor,
  ids: {
    teamId: string | null;
    customerId: string | null;
    orderId: string | null;
    subscriptionId: string | null;
  },
): Promise<Candidate[]> {
  return em.execute<Candidate[]>(
    `select id as "teamId", polar_customer_id as "customerId", 'team' as by
       from teams where id = ?::uuid or polar_customer_id = ?
      union all
     select team_id, null, 'order' from orders where id = ?
      union all
     select team_id, null, 'subscription' from subscriptions where id = ?`,
    [ids.teamId, ids.customerId, ids.orderId, ids.subscriptionId],
  );
}

const uuid = z.guid();

function asUuid(name: string | undefined): string | null {
  return uuid.safeParse(name).data ?? null;
}

/** UUIDs are equal in upper and lower case. */
function canonical(name: string): string {
  return name.toLowerCase();
}

function quote(name: string | null): string {
  return JSON.stringify(name?.slice(0, 64) ?? null);
}
