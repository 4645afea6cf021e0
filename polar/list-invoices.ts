import type { EntityManager } from '@mikro-orm/postgresql';
import type { models, Polar } from '@polar-sh/sdk/2026-10';
import type { Database } from '../database/connection.ts';
import { DomainError } from '../domain-error.ts';
import { callPolar } from './client.ts';
import { readOrder } from './events.ts';
import { resolveProduct } from './resolve-product.ts';

/** Money is in the currency's minor units. */
export interface Invoice {
  /** Polar's order id. */
  id: string;
  /** On the invoice; null where Polar has given none yet. */
  number: string | null;
  /** pending, paid, refunded, partially_refunded, … */
  status: string;
  paid: boolean;
  /** purchase, subscription_create, subscription_cycle, subscription_update, … */
  reason: string;
  /** The catalog key of what was sold; null for what is not ours. */
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
 * A page of the team's orders at Polar, newest first. `cursor` is the `nextCursor` of the page before, with the same
 * `limit` (1 to 100).
 *
 * @throws DomainError 400 `invalid_cursor`; those of `callPolar`
 */
export async function listInvoices(
  polar: Polar,
  database: Database,
  { teamId, limit = 20, cursor }: { teamId: string; limit?: number; cursor?: string },
): Promise<{ data: Invoice[]; nextCursor: string | null }> {
  const page = pageOf(cursor);
  // By the external id, so that it needs no customer made beforehand and outlives one that was made anew.
  const found = await callPolar('read', () =>
    polar.orders.list({ external_customer_id: teamId, limit, page, sorting: ['-created_at'] }),
  );
  const em = database.fork();
  const data: Invoice[] = [];
  for (const order of found.items) data.push(await toInvoice(em, order));
  return { data, nextCursor: page < found.pagination.max_page ? String(page + 1) : null };
}

/**
 * The address of one invoice's PDF, good for some minutes: asked for per click. Polar makes the file when it is
 * first asked for.
 *
 * @throws DomainError 404 `unknown_invoice`; 409 `invoice_not_ready` (try again in a moment), `polar_conflict` (not
 *   paid); 502 `polar_refused` where the billing address is missing: the portal asks for it
 */
export async function openInvoice(
  polar: Polar,
  { teamId, orderId }: { teamId: string; orderId: string },
): Promise<{ url: string }> {
  const order = await callPolar('read', () => polar.orders.get(orderId));
  if (readOrder(order).teamRef.customerExternalId !== teamId) {
    throw new DomainError(404, 'unknown_invoice', `The team has no invoice ${orderId}`);
  }
  // Making it again would only make the same file: no harm in a repeated request.
  if (!order.is_invoice_generated) await callPolar('change', () => polar.orders.generateInvoice(orderId));
  try {
    return await callPolar('read', () => polar.orders.invoice(orderId));
  } catch (error) {
    if (!(error instanceof DomainError) || error.code !== 'polar_not_found') throw error;
    throw new DomainError(409, 'invoice_not_ready', 'The invoice is being made: try again in a moment', {
      retriable: true,
      retryAfterSeconds: 2,
    });
  }
}

async function toInvoice(em: EntityManager, order: models.Order): Promise<Invoice> {
  const facts = readOrder(order);
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

function pageOf(cursor = '1'): number {
  if (/^[1-9]\d{0,5}$/.test(cursor)) return Number(cursor);
  throw new DomainError(400, 'invalid_cursor', 'cursor is the nextCursor of the page before');
}
