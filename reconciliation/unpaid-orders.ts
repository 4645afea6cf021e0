import { setTimeout as pause } from 'node:timers/promises';
import type { EntityManager } from '@mikro-orm/postgresql';
import type { models, Polar } from '@polar-sh/sdk/2026-10';
import { hasCode } from '../domain-error.ts';
import { callPolar } from '../polar/client.ts';
import type { Run } from './reports.ts';

/** An order with one of these may be paid weeks after its creation: dunning, a slow bank, an invoice paid by hand. */
export const unpaidStatuses: models.OrderStatus[] = ['draft', 'pending'];

/** Orders are fetched one by one, so one activity fetches at most this many. */
const mostFetched = 50;

/** Orders that were unpaid at Polar in an earlier run and are paid now, in their current state. */
export interface SettledOrders {
  items: models.Order[];
  /** Whether there are more. */
  more: boolean;
}

/** Stores which orders are unpaid at Polar, because Polar's lists cannot be filtered by modification time. */
export async function rememberUnpaidOrders(
  em: EntityManager,
  run: Run,
  ids: readonly string[],
): Promise<void> {
  await em.execute(
    `insert into unpaid_orders (id, seen_in_run) select id, ?::uuid from jsonb_array_elements_text(?::jsonb) as list (id)
     on conflict (id) do update set seen_in_run = excluded.seen_in_run`,
    [run.id, JSON.stringify(ids)],
  );
}

/**
 * Fetches stored orders that this run did not find unpaid.
 *
 * @param fetchPauseMs  in milliseconds
 * @throws DomainError as `callPolar`
 */
export async function fetchSettledOrders(
  em: EntityManager,
  polar: Polar,
  run: Run,
  fetchPauseMs: number,
): Promise<SettledOrders> {
  const rows = await em.execute<{ id: string }[]>(
    'select id from unpaid_orders where seen_in_run <> ? order by id limit ?',
    [run.id, mostFetched],
  );
  const items: models.Order[] = [];
  for (const [index, { id }] of rows.entries()) {
    if (index > 0) await pause(fetchPauseMs);
    try {
      items.push(await callPolar('read', () => polar.orders.get(id)));
    } catch (error) {
      if (!hasCode(error, 'polar_not_found')) throw error;
      await em.execute('delete from unpaid_orders where id = ?', [id]);
    }
  }
  return { items, more: rows.length === mostFetched };
}

/**
 * Deletes stored orders after they have been compared. Orders that are still unpaid, and orders that changed so
 * recently that they are left to webhooks, are fetched again by the next run.
 *
 * @param until  as in `findDifferences`
 */
export async function forgetSettledOrders(
  em: EntityManager,
  run: Run,
  orders: readonly models.Order[],
  until: Date,
): Promise<void> {
  const isOver = ({ status, modified_at, created_at }: models.Order) =>
    !unpaidStatuses.includes(status) && new Date(modified_at ?? created_at) <= until;
  for (const order of orders) {
    await (isOver(order)
      ? em.execute('delete from unpaid_orders where id = ?', [order.id])
      : rememberUnpaidOrders(em, run, [order.id]));
  }
}
