import type { EntityManager } from '@mikro-orm/postgresql';
import { readCatalog } from '../catalog/versions.ts';
import type { InboxEvent } from '../database/entities/inbox-event.ts';
import { Order } from '../database/entities/order.ts';
import type { Team } from '../database/entities/team.ts';
import { DomainError } from '../domain-error.ts';
import { retryParked } from '../inbox/inbox.ts';
import { applyPaidOrder, applyReversal, type PaidOrderFacts } from '../ledger/lifecycle/apply-order.ts';
import { forfeitCredits } from '../ledger/lifecycle/forfeit-credits.ts';
import { isBefore } from '../polar/orders-since.ts';
import { checkTeam } from './check-team.ts';
import { type Fetching, type NeedsPolar, needsPolar } from './event-step.ts';
import {
  followMoney,
  type OrderEvent,
  type OrderState,
  paidAmountOf,
  paidFactsOf,
  readOrderEvent,
  withoutProduct,
} from './order-event.ts';
import { rememberState } from './subscription-event.ts';

/** The order of an `order.paid`; `tooOld` if it was created before `ordersSince`. */
export type PaidOrder = OrderEvent & { tooOld: boolean };

export async function readPaidOrder(
  em: EntityManager,
  event: InboxEvent,
  fetching?: Fetching,
): Promise<PaidOrder | NeedsPolar> {
  const state = await readOrderEvent(em, event, fetching, { pays: true });
  if (state === needsPolar) return needsPolar;
  const { ordersSince } = (await readCatalog(em)).catalog.policies;
  return { ...state, tooOld: isBefore(state.order, ordersSince) };
}

/**
 * Grants the credits of a paid order. What was paid, a pack or lines of a subscription, is decided by the order itself.
 *
 * @returns what was done, as a sentence
 */
export async function grantPaidOrder(
  em: EntityManager,
  team: Team,
  state: PaidOrder,
  now: Date,
): Promise<string> {
  const { order, statedAt, subscription, tooOld } = state;
  if (tooOld) return `Recorded order ${order.id}: it was created before ordersSince, so nothing is granted`;
  // Polar does not call it paid (any more): nothing is granted, and its reversal counts.
  if (!order.paid) return followMoney(em, team, state, now);
  const sellsNothing = order.productId === null && order.productCatalogKey === null;
  if (sellsNothing) return parkWithoutProduct(em, team, order);
  const { catalog } = await readCatalog(em);
  const facts = await paidFactsOf(em, team, order, statedAt);
  // The order's own state shows the period in which it was created. The fetched one is the subscription's current
  // state.
  if (subscription?.fetched && order.subscription) {
    await rememberState(em, team, { ...order.subscription, fetched: false }, now);
  }
  if (subscription) await rememberState(em, team, subscription, now);
  if (team.deletedAt) return refuseDeletedTeam(em, team, facts, now);
  const did = await applyPaidOrder(em, facts, catalog.policies, now);
  if (facts.subscriptionId) await retryParked(em, 'cycle_not_granted', team.id);
  return did;
}

/** Money for an order without a product is parked for an operator until it is refunded. */
async function parkWithoutProduct(em: EntityManager, team: Team, order: OrderState): Promise<string> {
  await checkTeam(em, team, order.teamRef);
  const known = await em.findOne(Order, { id: order.id });
  const kept = paidAmountOf(order) - (known?.refundedAmount ?? order.refundedAmount);
  if (kept <= 0n) return `Order ${order.id} has no product, and all of its money was returned`;
  throw new DomainError(
    withoutProduct,
    `Order ${order.id} has no product, like a top-up of the customer's wallet at Polar: it grants no credits. Refund it at Polar, or adjust the team's credits`,
  );
}

/** A deleted team is granted nothing. Money for it is parked for an operator until it is refunded. */
async function refuseDeletedTeam(
  em: EntityManager,
  team: Team,
  facts: PaidOrderFacts,
  now: Date,
): Promise<string> {
  const { catalog } = await readCatalog(em);
  const did = await applyReversal(em, facts, catalog.policies, now);
  await forfeitCredits(em, team, now);
  const { grantedAt, paidAmount, refundedAmount } = await em.findOneOrFail(Order, { id: facts.id });
  if (!grantedAt && paidAmount > refundedAmount) {
    throw new DomainError(
      'team_deleted',
      `Order ${facts.id} was paid for a team that is deleted: ${paidAmount - refundedAmount} of ${facts.currency}'s minor units came in and nothing is granted. Refund it at Polar`,
    );
  }
  return `${did}; the team is deleted`;
}
