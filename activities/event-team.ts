import type { EntityManager } from '@mikro-orm/postgresql';
import type { InboxEvent } from '../database/entities/inbox-event.ts';
import type { Team } from '../database/entities/team.ts';
import { DomainError } from '../domain-error.ts';
import type { PolarOrder, PolarProductRef, PolarSubscription, PolarTeamRef } from '../polar/events.ts';
import { meansTeam, resolveTeam } from '../polar/resolve-team.ts';

/**
 * Checks that the event's own ids do not contradict the team to which it was routed. Otherwise an operator decides.
 * @throws DomainError `doubtful_team`
 */
export async function checkTeam(em: EntityManager, team: Team, ref: PolarTeamRef): Promise<void> {
  if (meansTeam(ref, team)) return;
  const resolved = await resolveTeam(em, ref);
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
