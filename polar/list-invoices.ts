import type { EntityManager } from '@mikro-orm/postgresql';
import type { models, Polar } from '@polar-sh/sdk/2026-10';
import type { Database } from '../database/connection.ts';
import { invalidCursor, type ListPage } from '../database/list-page.ts';
import { DomainError, hasCode } from '../domain-error.ts';
import { callPolar } from './client.ts';
import { readAnswer, readOrder } from './events.ts';
import { listsOfTeam, type TeamFilter } from './lists-of-team.ts';
import { resolveProduct } from './resolve-product.ts';
import { resolveTeam } from './resolve-team.ts';

/** Money is in the currency's minor units. */
export interface Invoice {
  /** Polar's order id. */
  id: string;
  /** The number on the invoice; null if Polar has not assigned one yet. */
  number: string | null;
  /** pending, paid, refunded, partially_refunded, … */
  status: string;
  paid: boolean;
  /** purchase, subscription_create, subscription_cycle, subscription_update, … */
  reason: string;
  /** The catalog key of the sold product; null if it is not ours. */
  product: string | null;
  description: string;
  /** With tax, after discounts. */
  totalAmount: number;
  taxAmount: number;
  /** Without tax. */
  refundedAmount: number;
  currency: string;
  createdAt: Date;
}

/**
 * A page of the team's orders at Polar, newest first. They are listed by the customer's external id, by
 * `metadata.team_id` and by the stored customer, because Polar lists a deleted customer's orders by the metadata only.
 * `cursor` is the `nextCursor` of the previous page.
 *
 * @param limit  1 to 100
 * @throws DomainError `invalid_cursor`; as `callPolar`
 */
export async function listInvoices(
  polar: Polar,
  database: Database,
  { teamId, limit = 20, cursor }: { teamId: string; limit?: number; cursor?: string },
): Promise<ListPage<Invoice>> {
  const after = cursor === undefined ? null : readCursor(cursor);
  const em = database.fork();
  const orders = new Map<string, models.Order>();
  for (const filter of await listsOfTeam(database, teamId)) {
    const listed = await callPolar('read', () => newestOrders(polar, em, { teamId, filter, after, limit }));
    for (const order of listed) orders.set(order.id, order);
  }
  const found = [...orders.values()].sort((a, b) => compareNewestFirst(positionOf(a), positionOf(b)));
  const page = found.slice(0, limit);
  const data: Invoice[] = [];
  for (const order of page) data.push(await toInvoice(em, order));
  const last = page.at(-1);
  return { data, nextCursor: last && found.length > limit ? writeCursor(positionOf(last)) : null };
}

/**
 * The position of an order in the list. Polar's lists are sorted by time only. If two times are equal, the id decides.
 */
interface Position {
  createdAtMs: number;
  id: string;
}

/**
 * The first `limit + 1` of the team's orders after a position, and all orders that were created in the same
 * millisecond as the last of these.
 */
async function newestOrders(
  polar: Polar,
  em: EntityManager,
  list: { teamId: string; filter: TeamFilter; after: Position | null; limit: number },
): Promise<models.Order[]> {
  const { teamId, filter, after, limit } = list;
  const found: models.Order[] = [];
  const query = {
    ...filter,
    ...(after ? { created_before: new Date(after.createdAtMs + 1).toISOString() } : {}),
    sorting: ['-created_at'] as models.OrderSortProperty[],
    limit: Math.min(limit + 1, 100),
  };
  for await (const order of polar.orders.iterList(query)) {
    const position = positionOf(order);
    const last = found[limit];
    if (last && position.createdAtMs < positionOf(last).createdAtMs) break;
    if (after && compareNewestFirst(position, after) <= 0) continue;
    if (await isOrderOfTeam(em, order, teamId)) found.push(order);
  }
  return found;
}

/** An order that names two teams belongs to no team until an operator decides. */
async function isOrderOfTeam(em: EntityManager, order: models.Order, teamId: string): Promise<boolean> {
  const resolved = await resolveTeam(em, readAnswer(readOrder, order).teamRef);
  return 'teamId' in resolved && resolved.teamId === teamId;
}

function positionOf(order: models.Order): Position {
  const { id, createdAt } = readAnswer(readOrder, order);
  return { createdAtMs: createdAt.getTime(), id };
}

/** Negative if `a` comes first. */
function compareNewestFirst(a: Position, b: Position): number {
  return b.createdAtMs - a.createdAtMs || (a.id < b.id ? -1 : Number(a.id > b.id));
}

/**
 * The URL of one invoice's PDF, valid for some minutes, so fetch it for each click. Polar creates the file at the
 * first request.
 *
 * @throws DomainError `unknown_invoice`, also for another team's order; `invoice_not_ready` (retry in a
 *   moment), `polar_conflict` (not paid); `polar_refused` if the billing address is missing: the payer sets it in
 *   the portal
 */
export async function openInvoice(
  polar: Polar,
  database: Database,
  { teamId, orderId }: { teamId: string; orderId: string },
): Promise<{ url: string }> {
  const order = await findOrder(polar, orderId);
  if (!order || !(await isOrderOfTeam(database.fork(), order, teamId))) {
    throw new DomainError(
      'unknown_invoice',
      'The team has no such invoice: take an id from its list of invoices',
    );
  }
  // Safe to repeat: a second request creates the same file.
  if (!order.is_invoice_generated) await callPolar('change', () => polar.orders.generateInvoice(orderId));
  try {
    return await callPolar('read', () => polar.orders.invoice(orderId));
  } catch (error) {
    if (!hasCode(error, 'polar_not_found')) throw error;
    throw new DomainError('invoice_not_ready', 'The invoice is being created: retry in a moment', {
      retryAfterSeconds: 2,
    });
  }
}

async function findOrder(polar: Polar, orderId: string): Promise<models.Order | null> {
  try {
    return await callPolar('read', () => polar.orders.get(orderId));
  } catch (error) {
    if (hasCode(error, 'polar_not_found')) return null;
    throw error;
  }
}

async function toInvoice(em: EntityManager, order: models.Order): Promise<Invoice> {
  const facts = readAnswer(readOrder, order);
  return {
    id: facts.id,
    number: order.invoice_number ?? null,
    status: facts.status,
    paid: facts.paid,
    reason: order.billing_reason,
    product: await resolveProduct(em, facts),
    description: order.description,
    totalAmount: order.total_amount,
    taxAmount: order.tax_amount,
    refundedAmount: order.refunded_amount,
    currency: facts.currency,
    createdAt: facts.createdAt,
  };
}

function readCursor(cursor: string): Position {
  const [, createdAtMs, id] = /^(\d{1,14})_([\w-]{1,255})$/.exec(cursor) ?? [];
  if (createdAtMs !== undefined && id !== undefined) return { createdAtMs: Number(createdAtMs), id };
  throw invalidCursor();
}

function writeCursor({ createdAtMs, id }: Position): string {
  return `${createdAtMs}_${id}`;
}
