import type { EntityManager } from '@mikro-orm/postgresql';
import type { Polar } from '@polar-sh/sdk/2026-10';
import { isBeforeAdoption } from '../catalog/schema.ts';
import { readCatalog } from '../catalog/versions.ts';
import type { Team } from '../database/entities/team.ts';
import { isRefusal } from '../domain-error.ts';
import { findOrder } from '../ledger/lifecycle/apply-order.ts';
import { listSubscriptionOrders, type PolarOrder } from '../polar/events.ts';
import { assignedTeamOrder } from '../polar/resolve-team.ts';
import type { Fetching, StoredEvent } from './step.ts';

/**
 * Grants the earlier paid orders of the order's subscription that are not granted yet, oldest first. Each has its own
 * transaction. If one is refused, its own event must settle it.
 */
export async function payEarlierOrders(
  event: StoredEvent,
  { polar, database, withTeam }: Fetching,
  order: PolarOrder,
  grant: (em: EntityManager, team: Team, earlier: PolarOrder, now: Date) => Promise<void>,
): Promise<void> {
  if (order.subscriptionId === null) return;
  const { policies } = (await readCatalog(database)).catalog;
  if (isBeforeAdoption(order.createdAt, policies)) return;
  for (const earlier of await listEarlierPaid(polar, order, order.subscriptionId)) {
    if (isBeforeAdoption(earlier.createdAt, policies)) continue;
    try {
      await withTeam(async (em, team, now) => {
        if (team.deletedAt || (await findOrder(em, earlier.id))?.grantedAt) return;
        await grant(em, team, assignedTeamOrder(earlier, event), now);
      });
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
  }
}

/** Oldest first. */
async function listEarlierPaid(
  polar: Polar,
  order: PolarOrder,
  subscriptionId: string,
): Promise<PolarOrder[]> {
  const orders = await listSubscriptionOrders(polar, subscriptionId);
  return orders
    .filter((other) => other.paid && other.id !== order.id && other.createdAt <= order.createdAt)
    .sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime());
}
