import type { EntityManager } from '@mikro-orm/postgresql';
import { formatCredits } from '../catalog/credits.ts';
import { type PublishedCatalog, readCatalog } from '../catalog/versions.ts';
import { InboxEvent } from '../database/entities/inbox-event.ts';
import { Order } from '../database/entities/order.ts';
import type { Team } from '../database/entities/team.ts';
import { DomainError } from '../domain-error.ts';
import { markHandled, needsApproval, parkInboxEvent, retryParked } from '../inbox/inbox.ts';
import { applyOrder, type OrderFacts } from '../ledger/lifecycle/apply-order.ts';
import { applySubscription } from '../ledger/lifecycle/apply-subscription.ts';
import { forfeitCredits } from '../ledger/lifecycle/forfeit-credits.ts';
import { unlinkCustomer } from '../polar/ensure-customer.ts';
import type { PolarOrder, PolarProductRef, PolarTeamRef } from '../polar/events.ts';
import { plansOf, resolveProduct } from '../polar/resolve-product.ts';
import { meansTeam, resolveTeam } from '../polar/resolve-team.ts';
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
  return withTeam(async (em, team, now) => {
    const event = await em.findOne(InboxEvent, { id: inboxId });
    // The database was restored to a time before it.
    if (!event) return { did: 'Heard of an event that the inbox does not hold' };
    if (isSettled(event)) return { did: 'Heard again of an event that is settled' };
    if (event.parkedCode === needsApproval) return { did: 'An event waits for an operator’s approval' };
    try {
      if (asked instanceof DomainError) throw asked;
      const heard = asked ?? (await hearEvent(em, event));
      if (heard.kind === 'ask Polar') return 'ask Polar';
      const outcome = await apply(em, team, heard, now);
      await em.flush();
      await markHandled(em, inboxId, outcome);
      return { did: outcome };
    } catch (error) {
      if (!isRefusal(error)) throw error;
      await parkInboxEvent(em, inboxId, error.code, error.message);
      return { did: `Parked an event (${error.code}): ${error.message}` };
    }
  });
}

/** What the event says, with Polar's word of now; null where it need not be asked, a refusal where it cannot be read. */
async function ask(asking: Asking, inboxId: string): Promise<Heard | DomainError | null> {
  const em = asking.database.fork();
  const event = await em.findOne(InboxEvent, { id: inboxId });
  if (!event || isSettled(event) || event.parkedCode === needsApproval) return null;
  try {
    return await hearEvent(em, event, asking);
  } catch (error) {
    if (isRefusal(error)) return error;
    throw error;
  }
}

/** What trying again at once cannot change. */
function isRefusal(error: unknown): error is DomainError {
  return error instanceof DomainError && error.status < 500;
}

/** Why an event cannot be applied now. As with every refusal of the ledger, nothing was granted or taken before. */
class Doubt extends DomainError {
  constructor(code: string, message: string) {
    super(409, code, message);
  }
}

function isSettled({ status }: InboxEvent): boolean {
  return status === 'handled' || status === 'ignored';
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
      return mirror(em, team, heard.subscription, await readCatalog(em), now);
    }
    case 'order': {
      const published = await readCatalog(em);
      if (heard.subscription) await mirror(em, team, heard.subscription, published, now);
      if (team.deletedAt) return applyToDeletedTeam(em, team, heard, published, now);
      // Earlier orders of the subscription first: what a change of plan earns depends on what was granted before.
      for (const { order, saidAt } of heard.earlier) {
        await applyOrder(em, await factsOf(em, team, order, saidAt), published, { mayGrant: true }, now);
      }
      const facts = await factsOf(em, team, heard.order, heard.saidAt);
      const done = await applyOrder(em, facts, published, { mayGrant: heard.mayGrant }, now);
      if (heard.mayGrant && facts.subscription) await retryParked(em, 'cycle_not_granted', team.id);
      return done;
    }
  }
}

/**
 * A deleted team is granted nothing, and keeps nothing that a reversed refund gives back. Money that came in for it is
 * parked for an operator, until it was refunded.
 */
async function applyToDeletedTeam(
  em: EntityManager,
  team: Team,
  { order: heard, saidAt, mayGrant }: Extract<Heard, { kind: 'order' }>,
  published: PublishedCatalog,
  now: Date,
): Promise<string> {
  const facts = await factsOf(em, team, heard, saidAt);
  const done = await applyOrder(em, facts, published, { mayGrant: false }, now);
  await forfeitCredits(em, team, now);
  const { paidAt, paidAmount, refundedAmount } = await em.findOneOrFail(Order, { id: facts.id });
  if (mayGrant && facts.paid && !paidAt && paidAmount > refundedAmount) {
    throw new Doubt(
      'team_deleted',
      `Order ${facts.id} was paid for a team that is deleted: ${paidAmount - refundedAmount} of ${facts.currency}'s minor units came in and nothing is granted. Refund it at Polar`,
    );
  }
  if (refundedAmount > 0n) await retryParked(em, 'team_deleted', team.id);
  return `${done}; the team is deleted`;
}

async function factsOf(em: EntityManager, team: Team, order: HeardOrder, paidAt: Date): Promise<OrderFacts> {
  await checkTeam(em, team, order.teamRef);
  if (order.seats !== null && order.seats > 0) {
    throw new Doubt('order_with_seats', `Order ${order.id} has seats; our products have none`);
  }
  const product = await productOf(em, order);
  return { ...order, teamId: team.id, product, paidAmount: paidAmount(order), paidAt };
}

/** An order below zero (a change to a smaller plan, billed at once) is a credit for later orders: nothing was paid. */
function paidAmount({ netAmount, appliedBalanceAmount }: PolarOrder): bigint {
  const paid = netAmount + appliedBalanceAmount;
  return paid > 0n ? paid : 0n;
}

async function mirror(
  em: EntityManager,
  team: Team,
  subscription: HeardSubscription,
  { catalog: { policies } }: PublishedCatalog,
  now: Date,
): Promise<string> {
  const { plan, nextPlan } = await plansOf(em, subscription);
  if (plan === null) throw unknownProduct(subscription);
  const how = { renewalGrace: policies.renewalGrace, asked: subscription.asked };
  return applySubscription(em, { ...subscription, teamId: team.id, plan, nextPlan }, how, now);
}

async function productOf(em: EntityManager, order: PolarOrder): Promise<string> {
  const product = await resolveProduct(em, order);
  if (product === null) throw unknownProduct(order);
  return product;
}

function unknownProduct({ productId }: PolarProductRef): Doubt {
  return new Doubt(
    'unknown_product',
    `No plan or pack of the catalog is Polar's product ${productId}: add metadata.catalog_key to it there, then run npm run polar:sync -- --apply`,
  );
}

/** The event was routed to this team; where its own names contradict that, an operator decides whose money it is. */
async function checkTeam(em: EntityManager, team: Team, ref: PolarTeamRef): Promise<void> {
  if (meansTeam(ref, team)) return;
  const resolved = await resolveTeam(em, ref);
  if ('doubtful' in resolved) throw new Doubt('doubtful_team', resolved.doubtful);
  if ('teamId' in resolved && resolved.teamId !== team.id)
    throw new Doubt('doubtful_team', `It is of team ${resolved.teamId}, not of ${team.id}`);
}
