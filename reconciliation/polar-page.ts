import type { Polar } from '@polar-sh/sdk/2026-10';
import { callPolar } from '../polar/client.ts';
import { unpaidStatuses } from './unpaid-orders.ts';

/** The kinds of objects that reconciliation compares, in this order. */
export const walked = ['orders', 'unpaid_orders', 'subscriptions', 'refunds', 'disputes'] as const;
export type Walked = (typeof walked)[number];

/** One page of a list from Polar: the objects as they were sent. */
export interface PolarPage {
  items: { id: string; created_at: string }[];
  /** The number of the next page; null after the last. */
  next: number | null;
}

const recordsPerPage = 100;

/**
 * One page of all Polar's objects of a kind, created at or after `createdAfter` if given (subscriptions have no such
 * filter). Sorted so that objects created meanwhile move no unread object to an earlier page.
 *
 * @param page  from 1
 * @throws DomainError as `callPolar`
 */
export async function listPage(
  polar: Polar,
  kind: Walked,
  { page, createdAfter }: { page: number; createdAfter: Date | null },
): Promise<PolarPage> {
  const range = { page, limit: recordsPerPage };
  const { items, pagination } = await callPolar('read', async () => {
    switch (kind) {
      case 'orders':
        return polar.orders.list({
          ...range,
          sorting: ['created_at'],
          ...(createdAfter ? { created_after: createdAfter.toISOString() } : {}),
        });
      case 'unpaid_orders':
        return polar.orders.list({ ...range, sorting: ['created_at'], status: unpaidStatuses });
      case 'subscriptions':
        return polar.subscriptions.list({ ...range, sorting: ['started_at'] });
      case 'refunds':
        return polar.refunds.list({ ...range, sorting: ['-created_at'] });
      case 'disputes':
        return polar.disputes.list({ ...range, sorting: ['-created_at'] });
    }
  });
  const newestFirst = kind === 'refunds' || kind === 'disputes';
  const young = items.filter(
    ({ created_at }) => !newestFirst || !createdAfter || new Date(created_at) >= createdAfter,
  );
  const ends = page >= pagination.max_page || young.length < items.length;
  return { items: young, next: ends ? null : page + 1 };
}
