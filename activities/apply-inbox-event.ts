import type { EntityManager } from '@mikro-orm/postgresql';
import { formatCredits } from '../catalog/credits.ts';
import { readCatalog } from '../catalog/versions.ts';
import { InboxEvent } from '../database/entities/inbox-event.ts';
import { Order } from '../database/entities/order.ts';
import type { Team } from '../database/entities/team.ts';
import { DomainError, isRefusal } from '../domain-error.ts';
import type { ErrorCode } from '../errors.ts';
import {
  markHandled,
  needsApproval,
  parkInboxEvent,
  refreshParkedEvent,
  retryParked,
} from '../inbox/inbox.ts';
import {
  applyPaidOrder,
  applyReversal,
  type OrderFacts,
  type PaidOrderFacts,
  rememberOrder,
} from '../ledger/lifecycle/apply-order.ts';
import {
  applySubscription,
  rememberSubscription,
  type SubscriptionFacts,
} from '../ledger/lifecycle/apply-subscription.ts';
import { forfeitCredits } from '../ledger/lifecycle/forfeit-credits.ts';
import { unlinkCustomer } from '../polar/ensure-customer.ts';
import {
  dataOf,
  type PolarOrder,
  type PolarOrderLine,
  type PolarProductRef,
  type PolarSubscription,
  type PolarTeamRef,
} from '../polar/events.ts';
import { isBefore } from '../polar/orders-since.ts';
import { fetchCurrentObject } from '../polar/resolve-event.ts';
import { plansOf, rememberPrices, resolveProduct } from '../polar/resolve-product.ts';
import { meansTeam, resolveTeam } from '../polar/resolve-team.ts';
import { applyDecisions } from './apply-decisions.ts';
import { type Asking, type Heard, type HeardOrder, type HeardSubscription, hearEvent } from './hear-event.ts';

interface Application {
  inboxId: string;
  /** Given where Polar may be asked. */
  asking?: Asking;
  /** One transaction behind the team's lock. */
  withTeam<Did>(work: (em: EntityManager, team: Team, now: Date) => Promise<Did>): Promise<Did>;
}

/** What was done, in plain words: `did`; or nothing, for only Polar can settle this event. */
export type AppliedEvent = { did: string } | 'ask Polar';

/**
 * Applies one inbox row to its team and marks it handled, in one transaction: a retry finds it done. Polar is asked before
 * that, outside of any transaction. What cannot be applied now is parked with a stable code, and stays visible until it can.
 */
export async function applyInboxEvent({ inboxId, asking, withTeam }: Application): Promise<AppliedEvent> {
  const asked = asking && (await ask(asking, inboxId));
  let order: HeardOrder | null = null;
  let wasParked = false;
  if (asked && !(asked instanceof DomainError) && asked.kind === 'order') await applyEarlier(asked, withTeam);
  try {
    return await withTeam(async (em, team, now) => {
      const event = await em.findOne(InboxEvent, { id: inboxId });
      // The database was restored to a time before it.
      if (!event) return { did: 'Heard of an event that the inbox does not hold' };
      if (isSettled(event)) return { did: 'Heard again of an event that is settled' };
      // An operator has assigned it to another team since it was signalled.
      if (event.teamId !== team.id) return { did: 'Skipped an event of another team' };
      if (event.parkedCode === needsApproval) return { did: 'An event waits for an operator’s approval' };
      wasParked = event.status === 'parked' && event.source === 'polar';
      if (asked instanceof DomainError) throw asked;
      const heard = applyDecisions(asked ?? (await hear(em, event)), event, team);
      if (heard.kind === 'ask Polar') return 'ask Polar';
      if (heard.kind === 'order') order = heard.order;
      const outcome = await apply(em, team, heard, now);
      await em.flush();
      await markHandled(em, inboxId, outcome);
      return { did: outcome };
    });
  } catch (error) {
    // Nothing of the event was committed.
    if (!isRefusal(error)) throw error;
    // Parked before, with what Polar said then: Polar's current state may settle it.
    if (!asking && (wasParked || error.code === 'cycle_not_granted')) return 'ask Polar';
    return withTeam(async (em, team) => {
      const { teamId } = await em.findOneOrFail(InboxEvent, { id: inboxId });
      if (teamId !== team.id) return { did: 'Skipped an event of another team' };
      // A refund of it must find what was paid.
      if (order && worthRemembering.includes(error.code))
        await rememberOrder(em, await factsOf(em, team, order));
      await parkInboxEvent(em, inboxId, error.code, error.message);
      return { did: `Parked an event (${error.code}): ${error.message}` };
    });
  }
}

/** A top-up of a customer's wallet at Polar sells no product. */
const withoutProduct = 'order_without_product';

/** Refusals of a payment that is certainly the team's: they end once its money is refunded. */
const worthRemembering: readonly ErrorCode[] = [
  withoutProduct,
  'team_deleted',
  'money_without_credits',
  'cycle_not_granted',
];

/**
 * Applies the paid orders of the same subscription that came before, each in its own transaction: they say which cycles it
 * has. What cannot be applied of them waits for an event of its own.
 */
async function applyEarlier(
  { earlier, subscription }: Extract<Heard, { kind: 'order' }>,
  withTeam: Application['withTeam'],
): Promise<void> {
  for (const { order, saidAt } of earlier) {
    try {
      await withTeam(async (em, team, now) => {
        if (team.deletedAt) return;
        const known = await em.findOne(Order, { id: order.id });
        if (known?.grantedAt) return;
        const { catalog } = await readCatalog(em);
        for (const state of [order.subscription, subscription])
          if (state) await remember(em, team, { ...state, asked: false }, now);
        await applyPaidOrder(em, await paidFactsOf(em, team, order, saidAt), catalog.policies, now);
      });
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
  }
}

/** What the event says, with Polar's word of now; null where it need not be asked, a refusal where it cannot be read. */
async function ask(asking: Asking, inboxId: string): Promise<Heard | DomainError | null> {
  const em = asking.database.fork();
  const event = await em.findOne(InboxEvent, { id: inboxId });
  if (!event || isSettled(event) || event.parkedCode === needsApproval) return null;
  if (event.status === 'parked' && event.source === 'polar') await refresh(asking, em, event);
  try {
    return await hear(em, event, asking);
  } catch (error) {
    if (isRefusal(error)) return error;
    throw error;
  }
}

/** Reads the event. A payment from before `ordersSince` grants nothing; earlier orders from before it are left out. */
async function hear(em: EntityManager, event: InboxEvent, asking?: Asking): Promise<Heard> {
  const heard = await hearEvent(em, event, asking);
  if (heard.kind !== 'order' || !heard.mayGrant) return heard;
  const { ordersSince } = (await readCatalog(em)).catalog.policies;
  if (isBefore(heard.order, ordersSince)) {
    const outcome = `Recorded order ${heard.order.id}: it was created before ordersSince, so nothing is granted`;
    return { kind: 'nothing', outcome };
  }
  return { ...heard, earlier: heard.earlier.filter(({ order }) => !isBefore(order, ordersSince)) };
}

/** Brings a parked event up to date. If Polar does not answer, the event is applied as it was stored. */
async function refresh({ polar }: Asking, em: EntityManager, event: InboxEvent): Promise<void> {
  const data = dataOf(event.payload);
  try {
    const current = await fetchCurrentObject(polar, event.type, data);
    if (current?.replaces && (await refreshParkedEvent(em, event.id, current.data))) await em.refresh(event);
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
  }
}

function isSettled({ status }: InboxEvent): boolean {
  return status !== 'received' && status !== 'parked';
}

async function apply(
  em: EntityManager,
  team: Team,
  heard: Exclude<Heard, { kind: 'ask Polar' }>,
  now: Date,
): Promise<string> {
  switch (heard.kind) {
    case 'nothing':
      return heard.outcome;
    case 'customer deleted':
      await unlinkCustomer(em, heard.customerId);
      return 'Polar deleted the team’s customer: the next checkout makes a new one';
    case 'team deleted':
      return `Deleted the team: ${formatCredits(await forfeitCredits(em, team, now))} credits are forfeited`;
    case 'subscription': {
      await checkTeam(em, team, heard.subscription.teamRef);
      return mirror(em, team, heard.subscription, now);
    }
    case 'order':
      return heard.mayGrant && heard.order.paid
        ? applyPayment(em, team, heard, now)
        : applyMoney(em, team, heard, now);
  }
}

/** Grants what was paid for. */
async function applyPayment(
  em: EntityManager,
  team: Team,
  { order, saidAt, subscription }: Extract<Heard, { kind: 'order' }>,
  now: Date,
): Promise<string> {
  const sellsNothing = order.productId === null && order.productCatalogKey === null;
  if (sellsNothing) return applyWithoutProduct(em, team, order);
  const { catalog } = await readCatalog(em);
  const facts = await paidFactsOf(em, team, order, saidAt);
  // The order's own state says in which period it was made; the fetched one how the subscription stands.
  if (subscription?.asked && order.subscription) {
    await remember(em, team, { ...order.subscription, asked: false }, now);
  }
  if (subscription) await remember(em, team, subscription, now);
  if (team.deletedAt) return applyToDeletedTeam(em, team, facts, now);
  const done = await applyPaidOrder(em, facts, catalog.policies, now);
  if (facts.subscriptionId) await retryParked(em, 'cycle_not_granted', team.id);
  return done;
}

/** Brings what is taken back in line with the order's money. A known order needs neither its product nor its subscription. */
async function applyMoney(
  em: EntityManager,
  team: Team,
  { order, subscription }: Extract<Heard, { kind: 'order' }>,
  now: Date,
): Promise<string> {
  const { catalog } = await readCatalog(em);
  const known = await em.findOne(Order, { id: order.id });
  if (known === null || known.teamId !== team.id) await checkTeam(em, team, order.teamRef);
  else if (subscription && (await plansOf(em, subscription)).plan !== null)
    await mirror(em, team, subscription, now);
  const facts = await factsOf(em, team, order);
  const done = await applyReversal(em, facts, catalog.policies, now);
  if (facts.refundedAmount > 0n) for (const code of worthRemembering) await retryParked(em, code, team.id);
  if (!team.deletedAt) return done;
  await forfeitCredits(em, team, now);
  return `${done}; the team is deleted`;
}

/** Money for an order that sells no product is parked for an operator, until it was refunded. */
async function applyWithoutProduct(em: EntityManager, team: Team, order: HeardOrder): Promise<string> {
  await checkTeam(em, team, order.teamRef);
  const known = await em.findOne(Order, { id: order.id });
  const kept = paidAmount(order) - (known?.refundedAmount ?? order.refundedAmount);
  if (kept <= 0n) return `Order ${order.id} sells no product, and none of its money is kept`;
  throw new DomainError(
    withoutProduct,
    `Order ${order.id} sells no product, as a top-up of the customer's wallet at Polar does: no credits belong to it. Refund it at Polar, or adjust the team's credits`,
  );
}

/**
 * A deleted team is granted nothing. Money that came in for it is parked for an operator, until it was refunded.
 */
async function applyToDeletedTeam(
  em: EntityManager,
  team: Team,
  facts: PaidOrderFacts,
  now: Date,
): Promise<string> {
  const { catalog } = await readCatalog(em);
  const done = await applyReversal(em, facts, catalog.policies, now);
  await forfeitCredits(em, team, now);
  const { grantedAt, paidAmount, refundedAmount } = await em.findOneOrFail(Order, { id: facts.id });
  if (!grantedAt && paidAmount > refundedAmount) {
    throw new DomainError(
      'team_deleted',
      `Order ${facts.id} was paid for a team that is deleted: ${paidAmount - refundedAmount} of ${facts.currency}'s minor units came in and nothing is granted. Refund it at Polar`,
    );
  }
  return `${done}; the team is deleted`;
}

async function paidFactsOf(
  em: EntityManager,
  team: Team,
  order: HeardOrder,
  paidAt: Date,
): Promise<PaidOrderFacts> {
  await checkTeam(em, team, order.teamRef);
  if (order.seats !== null && order.seats > 0) {
    throw new DomainError('order_with_seats', `Order ${order.id} has seats; our products have none`);
  }
  const product = await resolveProduct(em, order);
  if (product === null) throw unknownProduct(order);
  const trial = order.subscription;
  return {
    ...(await factsOf(em, team, order)),
    product,
    paidAt,
    billsUsage: order.billsUsage,
    promisedVersion: order.promisedVersion,
    lines: order.lines.map((line) => ({ ...line, inTrial: isInTrial(line, trial) })),
  };
}

async function factsOf(em: EntityManager, team: Team, order: HeardOrder): Promise<OrderFacts> {
  return {
    ...order,
    teamId: team.id,
    product: await resolveProduct(em, order),
    paidAmount: paidAmount(order),
  };
}

/** A period that begins inside a trial at Polar grants nothing. A line with money is never a trial's. */
function isInTrial({ amount, start }: PolarOrderLine, subscription: PolarSubscription | null): boolean {
  if (amount !== 0n || !subscription?.trialEnd) return false;
  const from = start ?? subscription.currentPeriodStart;
  return from < subscription.trialEnd && (!subscription.trialStart || from >= subscription.trialStart);
}

/** An order below zero (a change to a smaller plan, billed at once) is a credit for later orders: nothing was paid. */
function paidAmount({ netAmount, appliedBalanceAmount }: PolarOrder): bigint {
  const paid = netAmount + appliedBalanceAmount;
  return paid > 0n ? paid : 0n;
}

/** Applies a state of the team's subscription, credits included. */
async function mirror(
  em: EntityManager,
  team: Team,
  subscription: HeardSubscription,
  now: Date,
): Promise<string> {
  const facts = await subscriptionFactsOf(em, team, subscription);
  const { policies } = (await readCatalog(em)).catalog;
  return applySubscription(em, facts, { policies, fetched: subscription.asked }, now);
}

/** Stores a state of the team's subscription. Its credits follow with the order that comes with it. */
async function remember(
  em: EntityManager,
  team: Team,
  subscription: HeardSubscription,
  now: Date,
): Promise<void> {
  const facts = await subscriptionFactsOf(em, team, subscription);
  await rememberSubscription(em, facts, { fetched: subscription.asked }, now);
}

async function subscriptionFactsOf(
  em: EntityManager,
  team: Team,
  subscription: PolarSubscription,
): Promise<SubscriptionFacts> {
  const { plan, nextPlan } = await plansOf(em, subscription);
  if (plan === null) throw unknownProduct(subscription);
  await rememberPrices(em, plan, subscription.priceIds);
  return { ...subscription, teamId: team.id, plan, nextPlan };
}

function unknownProduct({ productId }: PolarProductRef): DomainError {
  return new DomainError(
    'unknown_product',
    `No plan or pack of the catalog is Polar's product ${productId}: add metadata.catalog_key to it there, then run npm run polar:sync -- --apply`,
  );
}

/** The event was routed to this team; where its own names contradict that, an operator decides whose money it is. */
async function checkTeam(em: EntityManager, team: Team, ref: PolarTeamRef): Promise<void> {
  if (meansTeam(ref, team)) return;
  const resolved = await resolveTeam(em, ref);
  if ('doubtful' in resolved) throw new DomainError('doubtful_team', resolved.doubtful);
  if ('teamId' in resolved && resolved.teamId !== team.id)
    throw new DomainError('doubtful_team', `It is of team ${resolved.teamId}, not of ${team.id}`);
}
