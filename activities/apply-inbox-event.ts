import type { EntityManager } from '@mikro-orm/postgresql';
import type { Polar } from '@polar-sh/sdk/2026-10';
import { type PublishedCatalog, readCatalog } from '../catalog/versions.ts';
import type { Database } from '../database/connection.ts';
import { InboxEvent } from '../database/entities/inbox-event.ts';
import type { Team } from '../database/entities/team.ts';
import { DomainError } from '../domain-error.ts';
import { applyOrder } from '../ledger/apply-order.ts';
import { applySubscription } from '../ledger/apply-subscription.ts';
import {
  fetchOrder,
  fetchSubscription,
  type PolarOrder,
  type PolarSubscription,
  type PolarTeamRef,
  readOrder,
  readRefund,
  readSubscription,
  subjectOf,
} from '../polar/events.ts';
import { resolveProduct } from '../polar/resolve-product.ts';
import { resolveTeam } from '../polar/resolve-team.ts';
import { markHandled, parkInboxEvent } from '../teams/inbox.ts';
import type { TeamStanding } from './describe-team.ts';

interface Application {
  database: Database;
  inboxId: string;
  /** Given where Polar may be asked. */
  polar?: Polar;
  withTeam(work: (em: EntityManager, team: Team, now: Date) => Promise<string | null>): Promise<TeamStanding>;
}

/** What became of an event. */
export interface AppliedEvent {
  /** Applied, or found to change nothing; a parked event is not settled. */
  settled: boolean;
  /** Nothing was done: only Polar can settle this event. */
  mustAskPolar: boolean;
  standing: TeamStanding;
}

/** What an event says, read; `order` and `subscription` as Polar has them now, where it was asked. */
type Heard =
  | { kind: 'order'; order: PolarOrder; mayGrant: boolean }
  | { kind: 'subscription'; subscription: PolarSubscription }
  | { kind: 'customer deleted' }
  | { kind: 'nothing'; outcome: string }
  | { kind: 'ask Polar' };

/**
 * Applies one inbox row to its team and marks it handled, in one transaction: a retry finds it done. What cannot be
 * applied now is parked with a stable code, and stays visible until it can.
 */
export async function applyInboxEvent({
  database,
  inboxId,
  polar,
  withTeam,
}: Application): Promise<AppliedEvent> {
  const event = await database.fork().findOneOrFail(InboxEvent, { id: inboxId });
  if (isSettled(event))
    return { settled: true, mustAskPolar: false, standing: await withTeam(async () => null) };

  let heard: Heard;
  try {
    heard = await hear(event, polar);
  } catch (error) {
    if (!(error instanceof DomainError) || error.status >= 500) throw error;
    return {
      settled: false,
      mustAskPolar: false,
      standing: await withTeam((em) => park(em, inboxId, error)),
    };
  }
  if (heard.kind === 'ask Polar')
    return { settled: false, mustAskPolar: true, standing: await withTeam(async () => null) };

  let settled = true;
  const standing = await withTeam(async (em, team, now) => {
    const stored = await em.findOneOrFail(InboxEvent, { id: inboxId });
    if (isSettled(stored)) return null; // another attempt was faster
    try {
      const outcome = await apply(em, team, heard, now);
      await em.flush();
      await markHandled(em, inboxId, outcome);
      return outcome;
    } catch (error) {
      if (!(error instanceof Doubt)) throw error;
      settled = false;
      return park(em, inboxId, error);
    }
  });
  return { settled, mustAskPolar: false, standing };
}

/** Why an event cannot be applied now. Thrown before anything is written. */
class Doubt extends DomainError {
  constructor(code: string, message: string) {
    super(409, code, message);
  }
}

function isSettled({ status }: InboxEvent): boolean {
  return status === 'handled' || status === 'ignored';
}

async function park(em: EntityManager, inboxId: string, { code, message }: DomainError): Promise<string> {
  await parkInboxEvent(em, inboxId, code, message);
  return `Parked an event (${code}): ${message}`;
}

async function hear({ source, type, payload }: InboxEvent, polar: Polar | undefined): Promise<Heard> {
  if (source !== 'polar') return { kind: 'nothing', outcome: 'The team’s workflow runs' };
  const data = payload && typeof payload === 'object' && 'data' in payload ? payload.data : payload;
  switch (subjectOf(type)) {
    case 'order':
      return { kind: 'order', order: readOrder(data), mayGrant: type === 'order.paid' };
    case 'refund': {
      // A refund tells its own amount; the clawback goes by the order's cumulative one.
      const { orderId } = readRefund(data);
      if (!polar) return { kind: 'ask Polar' };
      return { kind: 'order', order: await fetchOrder(polar, orderId), mayGrant: false };
    }
    case 'subscription': {
      const subscription = readSubscription(data);
      // Ending takes credits away at once, and a reinstated subscription exists: Polar's word of now decides.
      if (subscription.endedAt === null) return { kind: 'subscription', subscription };
      if (!polar) return { kind: 'ask Polar' };
      return { kind: 'subscription', subscription: await fetchSubscription(polar, subscription.id) };
    }
    case 'customer':
      return { kind: 'customer deleted' };
    case 'member':
    case 'unused':
      return { kind: 'nothing', outcome: 'Nothing of billing changes by this' };
  }
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
      team.polarCustomerId = null;
      return 'Polar deleted the team’s customer: the next checkout makes a new one';
    case 'subscription': {
      await checkTeam(em, team, heard.subscription.teamRef);
      return mirror(em, team, heard.subscription, await readCatalog(em), now);
    }
    case 'order': {
      const { order } = heard;
      await checkTeam(em, team, order.teamRef);
      if (order.seats !== null && order.seats > 0)
        throw new Doubt('order_with_seats', `Order ${order.id} has seats; our products have none`);
      const product = await productOf(em, order);
      const published = await readCatalog(em);
      if (order.subscription) await mirror(em, team, order.subscription, published, now);
      const facts = {
        ...order,
        teamId: team.id,
        product,
        paidAmount: order.netAmount + order.appliedBalanceAmount,
      };
      return applyOrder(em, facts, published, { mayGrant: heard.mayGrant }, now);
    }
  }
}

async function mirror(
  em: EntityManager,
  team: Team,
  subscription: PolarSubscription,
  { catalog }: PublishedCatalog,
  now: Date,
): Promise<string> {
  const plan = await productOf(em, subscription);
  return applySubscription(
    em,
    { ...subscription, teamId: team.id, plan },
    catalog.policies.renewalGrace,
    now,
  );
}

async function productOf(em: EntityManager, of: PolarOrder | PolarSubscription): Promise<string> {
  const product = await resolveProduct(em, of);
  if (product) return product;
  throw new Doubt(
    'unknown_product',
    `No plan or pack of the catalog is Polar's product ${of.productId}: run npm run polar:sync, or add metadata.catalog_key to it`,
  );
}

/** The event was routed to this team; where its own names contradict that, an operator decides whose money it is. */
async function checkTeam(em: EntityManager, team: Team, ref: PolarTeamRef): Promise<void> {
  const resolved = await resolveTeam(em, ref);
  if ('doubtful' in resolved) throw new Doubt('doubtful_team', resolved.doubtful);
  if ('teamId' in resolved && resolved.teamId !== team.id)
    throw new Doubt('doubtful_team', `It is of team ${resolved.teamId}, not of ${team.id}`);
}
