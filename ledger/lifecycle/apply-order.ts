import type { EntityManager } from '@mikro-orm/postgresql';
import { formatCredits } from '../../catalog/credits.ts';
import { type Catalog, findProduct, type Product } from '../../catalog/schema.ts';
import { findCatalogVersion, type PublishedCatalog, readCatalogAt } from '../../catalog/versions.ts';
import { Debt } from '../../database/entities/debt.ts';
import { Grant } from '../../database/entities/grant.ts';
import { Order, reversedAmount } from '../../database/entities/order.ts';
import { OrderLine } from '../../database/entities/order-line.ts';
import { Subscription } from '../../database/entities/subscription.ts';
import { readOnce } from '../../database/read-once.ts';
import { DomainError } from '../../domain-error.ts';
import type { EntitledGrant } from '../rules/entitlement.ts';
import { clawbackTarget } from '../rules/plan-clawback.ts';
import { clawBack } from './claw-back.ts';
import { type CyclePolicies, type Followed, followEntitlement } from './follow-entitlement.ts';
import { grantCredits } from './grant-credits.ts';

/** An order at Polar in its current state, of a team that we know. Money in the currency's minor units. */
export interface OrderFacts {
  id: string;
  teamId: string;
  /** The catalog key of the plan or pack; null if only the order's money matters. */
  product: string | null;
  subscriptionId: string | null;
  /** The number of packs; 1 for a plan. */
  units: number;
  currency: string;
  /** `net_amount + applied_balance_amount`; 0 if that is negative. */
  paidAmount: bigint;
  /** The sum of all refunds, without tax. */
  refundedAmount: bigint;
  /** In open or lost disputes and not refunded; absent if it was not fetched from Polar. */
  disputedAmount?: bigint;
  createdAt: Date;
  /** Polar's time of this state. */
  stateAt: Date;
}

/** A paid order and what it pays for. */
export interface PaidOrderFacts extends OrderFacts {
  product: string;
  /** When Polar stated the payment. */
  paidAt: Date;
  lines: OrderLineFacts[];
  /** Whether it bills metered usage (`subscription_meter_cycle`). */
  billsUsage: boolean;
  /** The catalog version of the checkout, if the order has it: a pack grants the credits of that version. */
  checkoutCatalogVersion: number | null;
}

export interface OrderLineFacts {
  amount: bigint;
  proration: boolean;
  priceId: string | null;
  /** The period `[start, end)` that it pays for; null in older payloads and for packs. */
  start: Date | null;
  end: Date | null;
  /** Whether it is the free line of a trial at Polar. */
  inTrial: boolean;
}

/**
 * Applies a paid order: stores its lines, grants its credits once, and moves its clawback to the cumulative target. A
 * refund that came before the payment is applied with it. The order of events does not matter. The caller holds the
 * team's lock and has read `now` after it.
 *
 * @returns what was done, as a sentence
 * @throws DomainError `doubtful_team`: the order or its subscription belongs to another team; `cycle_not_granted`: its
 *   billing period is not known (yet); `money_without_credits`: it was paid and buys nothing of the catalog;
 *   `unknown_product`: the catalog, or the version that its checkout names, does not have it. Then the caller must not
 *   commit.
 */
export async function applyPaidOrder(
  em: EntityManager,
  facts: PaidOrderFacts,
  policies: CyclePolicies,
  now: Date,
): Promise<string> {
  const [order, { product, published }] = await Promise.all([adoptOrder(em, facts), productOf(em, facts)]);
  order.product = facts.product;
  order.paidAt ??= facts.paidAt;
  const first = order.grantedAt === null;
  order.grantedAt ??= now;
  if (product.kind === 'pack') {
    const done = first ? [await grantPack(em, facts, product.pack.credits, published, now)] : [];
    if (first && reversedAmount(order) === 0n) return outcomeOf(order, done);
    return outcomeOf(order, [...done, ...(await clawBackPack(em, order, policies, now))]);
  }
  const { subscriptionId, units } = facts;
  if (subscriptionId === null || units !== 1) {
    if (isRefunded(order)) return outcomeOf(order, []);
    if (subscriptionId === null) throw worthless(facts, 'it is for a plan and has no subscription');
    throw worthless(facts, `it is for ${units} units of a plan, and a team can have one`);
  }
  if (first) {
    order.dripsMonthly = product.plan.rhythm === 'monthly';
    order.billsUsage = facts.billsUsage;
    await em.flush(); // the lines refer to the order
    storeLines(em, facts.id, subscriptionId, facts.lines);
    await em.flush();
  }
  const subscription = { id: subscriptionId, teamId: facts.teamId };
  const followed = await followEntitlement(em, subscription, policies, now);
  if (first && !isRefunded(order)) await expectCredits(em, facts, subscriptionId, followed, now);
  return outcomeOf(order, describe(followed, facts.id));
}

/**
 * Applies a change of an order's money: moves its clawback to the cumulative target. Needs only the order's id,
 * neither its product nor its subscription. If an order is not granted (yet), its reversed amount is stored. The
 * caller holds the team's lock and has read `now` after it.
 *
 * @returns what was done, as a sentence
 * @throws DomainError `doubtful_team`: the order belongs to another team
 */
export async function applyReversal(
  em: EntityManager,
  facts: OrderFacts,
  policies: CyclePolicies,
  now: Date,
): Promise<string> {
  const order = await mergeOrder(em, facts);
  await em.flush();
  if (order.grantedAt === null) return outcomeOf(order, []);
  if (order.subscriptionId === null) return outcomeOf(order, await clawBackPack(em, order, policies, now));
  const subscription = { id: order.subscriptionId, teamId: order.teamId };
  return outcomeOf(order, describe(await followEntitlement(em, subscription, policies, now), order.id));
}

/**
 * Stores an order's money, even if its payment cannot be applied (yet), so that a refund finds it. An older state
 * never replaces a newer one. The caller holds the team's lock.
 * @throws DomainError `doubtful_team`: it is granted to another team
 */
export async function rememberOrder(em: EntityManager, facts: OrderFacts): Promise<void> {
  await adoptOrder(em, facts);
  await em.flush();
}

/** As `mergeOrder`. An order that is not granted moves to this team: an operator has assigned its payment to it. */
async function adoptOrder(em: EntityManager, facts: OrderFacts): Promise<Order> {
  const known = await findOrder(em, facts.id);
  if (known && known.teamId !== facts.teamId && known.grantedAt === null) {
    // The lock of its other team is not held: that team may have been granted it since it was read.
    const moved = await em.execute<object[]>(
      'update orders set team_id = ? where id = ? and granted_at is null returning id',
      [facts.teamId, facts.id],
    );
    if (moved.length > 0) known.teamId = facts.teamId;
  }
  return mergeOrder(em, facts);
}

/**
 * Updates the stored order, or creates it. The next flush writes it.
 * @throws DomainError `doubtful_team`: it belongs to another team
 */
async function mergeOrder(em: EntityManager, facts: OrderFacts): Promise<Order> {
  const known = await findOrder(em, facts.id);
  if (known) {
    // Its credits and debts are changed under that team's lock only.
    if (known.teamId !== facts.teamId)
      throw new DomainError(
        'doubtful_team',
        `Order ${facts.id} belongs to team ${known.teamId}, not to ${facts.teamId}: assign the event to that team, or dismiss it`,
      );
    if (facts.stateAt >= known.stateAt) {
      known.refundedAmount = facts.refundedAmount;
      known.paidAmount = facts.paidAmount;
      known.stateAt = facts.stateAt;
    }
    if (facts.disputedAmount !== undefined) known.disputedAmount = facts.disputedAmount;
    known.subscriptionId ??= facts.subscriptionId;
    return known;
  }
  const order = em.create(Order, {
    id: facts.id,
    teamId: facts.teamId,
    grantedAt: null,
    paidAt: null,
    product: facts.product,
    subscriptionId: facts.subscriptionId,
    currency: facts.currency,
    paidAmount: facts.paidAmount,
    refundedAmount: facts.refundedAmount,
    disputedAmount: facts.disputedAmount ?? 0n,
    billsUsage: false,
    dripsMonthly: false,
    stateAt: facts.stateAt,
    createdAt: facts.createdAt,
  });
  em.persist(order);
  findOrder.keep(em, order, order.id);
  return order;
}

/** The order as it is stored, under its team's lock. */
export const findOrder = readOnce((em, id: string) => em.findOne(Order, { id }));

/** All of its money was reversed, so it does not matter what it was for. */
function isRefunded({ paidAmount, refundedAmount }: Order): boolean {
  return paidAmount > 0n && refundedAmount >= paidAmount;
}

function storeLines(
  em: EntityManager,
  orderId: string,
  subscriptionId: string,
  lines: readonly OrderLineFacts[],
): void {
  for (const [line, { amount, proration, priceId, start, end, inTrial }] of lines.entries()) {
    const period =
      start && end && start < end ? { startsAt: start, endsAt: end } : { startsAt: null, endsAt: null };
    em.persist(
      em.create(OrderLine, { orderId, line, subscriptionId, amount, proration, priceId, inTrial, ...period }),
    );
  }
}

/**
 * A pack grants the credits of its checkout's version. If that version does not exist or has no such pack, nobody knows
 * what the payer saw. A plan's terms are those of each cycle, whatever its checkout.
 * @throws DomainError `unknown_product`
 */
async function productOf(
  em: EntityManager,
  { id, product: key, checkoutCatalogVersion: catalogVersion, createdAt }: PaidOrderFacts,
): Promise<{ product: Product; published: PublishedCatalog }> {
  if (catalogVersion === null) return productAt(em, key, createdAt);
  const catalog = await findCatalogVersion(em, catalogVersion);
  const promised = catalog && findProduct(catalog, key);
  if (catalog && promised?.kind === 'pack')
    return { product: promised, published: { catalogVersion, catalog } };
  const found = await productAt(em, key, createdAt);
  if (found.product.kind === 'plan') return found;
  throw new DomainError(
    'unknown_product',
    `The checkout of order ${id} names catalog version ${catalogVersion}, which ${catalog ? `has no ${key}` : 'does not exist'}`,
  );
}

/** A product of the catalog at an instant; if it was added later, of the first version that has it. */
async function productAt(em: EntityManager, key: string, at: Date) {
  const first = await readCatalogAt(em, at);
  let { catalogVersion } = first;
  let catalog: Catalog | null = first.catalog;
  while (catalog) {
    const product = findProduct(catalog, key);
    if (product) return { product, published: { catalogVersion, catalog } };
    catalogVersion += 1; // versions have no gaps
    catalog = await findCatalogVersion(em, catalogVersion);
  }
  throw new DomainError('unknown_product', `The catalog has no ${key}`);
}

async function grantPack(
  em: EntityManager,
  { id, teamId, product, units, createdAt }: PaidOrderFacts,
  creditsOfOne: bigint,
  { catalogVersion }: PublishedCatalog,
  now: Date,
): Promise<string> {
  const credits = creditsOfOne * BigInt(units);
  await grantCredits(
    em,
    {
      teamId,
      source: 'purchase',
      businessKey: `order:${id}`,
      credits,
      effectiveAt: createdAt,
      expiresAt: null,
      catalogVersion,
      product,
      orderId: id,
      debtKey: `order:${id}`,
    },
    now,
  );
  return `granted ${formatCredits(credits)} credits for ${product}`;
}

async function clawBackPack(
  em: EntityManager,
  order: Order,
  policies: CyclePolicies,
  now: Date,
): Promise<string[]> {
  const { id, teamId, paidAmount } = order;
  const debtKey = `order:${id}`;
  const [grants, debt] = await Promise.all([
    em.find(Grant, { orderId: id }),
    em.findOne(Debt, { key: debtKey }),
  ]);
  const granted = grants.reduce((sum, grant) => sum + grant.granted, 0n);
  const target = clawbackTarget(granted, paidAmount, reversedAmount(order));
  // Most orders are never refunded: nothing to take and nothing to give back.
  if (target === 0n && debt === null && grants.every(({ revoked }) => revoked === 0n)) return [];
  const clawback = { teamId, debtKey, debt, grants, target, lifetime: true };
  const { revoked, outstanding } = await clawBack(em, clawback, {
    lateLifeMs: policies.lateAllotmentLife,
    now,
  });
  return [
    ...(revoked > 0n ? [`${formatCredits(revoked)} of its credits are revoked`] : []),
    ...(outstanding > 0n ? [`${formatCredits(outstanding)} credits are owed`] : []),
  ];
}

/** Money that buys nothing must be checked by an operator. Until then, later events may show what it is for. */
async function expectCredits(
  em: EntityManager,
  facts: PaidOrderFacts,
  subscriptionId: string,
  { entitlement: { unplaced, cycles } }: Followed,
  now: Date,
): Promise<void> {
  const problem = unplaced.get(facts.id);
  const brings = cycles.flatMap(({ grants }) => grants).filter(({ orderId }) => orderId === facts.id);
  if (problem && brings.length === 0) {
    if (problem.code === 'no_credits') throw worthless(facts, problem.reason);
    throw new DomainError('cycle_not_granted', `Order ${facts.id} waits: ${problem.reason}`);
  }
  if (facts.lines.length === 0 && facts.paidAmount > 0n) throw worthless(facts, 'it has no lines');
  const state = await em.findOne(Subscription, { id: subscriptionId });
  const starts = brings.some(({ kind }) => kind === 'allotment');
  if (
    starts &&
    facts.paidAmount > 0n &&
    state?.endedAt &&
    state.endedAt <= facts.paidAt &&
    state.endedAt <= now
  ) {
    throw worthless(facts, `it was paid after the end of its subscription (${state.endedAt.toISOString()})`);
  }
}

function worthless({ id, paidAmount, currency }: OrderFacts, because: string): DomainError {
  return new DomainError(
    'money_without_credits',
    `Order ${id} (${paidAmount} minor units of ${currency}) grants nothing, because ${because}. Refund it at Polar, or assign or dismiss this event`,
  );
}

function describe(
  { granted, revoked, revokedBefore, outstanding, entitlement }: Followed,
  orderId: string,
): string[] {
  const done = granted.map(describeGrant);
  if (revoked > revokedBefore) done.push(`${formatCredits(revoked - revokedBefore)} credits are revoked`);
  if (revoked < revokedBefore) done.push(`${formatCredits(revokedBefore - revoked)} credits are given back`);
  if (outstanding > 0n) done.push(`${formatCredits(outstanding)} credits are owed`);
  const problem = entitlement.unplaced.get(orderId);
  if (problem) done.push(`one of its lines waits: ${problem.reason}`);
  return done;
}

function describeGrant({ kind, credits, plan, dueAt }: EntitledGrant): string {
  const granted = `granted ${formatCredits(credits)} credits`;
  if (kind === 'change') return `${granted} for the change to ${plan}`;
  return `${granted} for the cycle of ${plan} from ${dueAt.toISOString().slice(0, 10)}`;
}

function outcomeOf({ id }: Order, done: readonly string[]): string {
  return `Order ${id}: ${done.join('; ') || 'nothing to grant or take back'}`;
}
