import type { Polar } from '@polar-sh/sdk/2026-10';
import { hasCode } from '../domain-error.ts';
import { callPolar } from './client.ts';
import { readIds, subjectOf } from './events.ts';
import { storable } from './verify-webhook.ts';

/** The Polar object of an event, as it is now. */
export interface CurrentObject {
  /** The event type of `data`: for refunds and disputes, that of their order. */
  type: string;
  /** The object without characters that Postgres cannot store. */
  data: unknown;
  /** Whether `data` may replace the event's `data`. False for the order of a refund. */
  replaces: boolean;
}

/**
 * Fetches the object of an event.
 *
 * @returns null if Polar does not know it, or if the event has no order, subscription, refund or dispute
 * @throws DomainError as `callPolar`
 */
export async function fetchCurrentObject(
  polar: Polar,
  type: string,
  data: unknown,
): Promise<CurrentObject | null> {
  const subject = subjectOf(type);
  const { orderId, subscriptionId } = readIds(type, data);
  try {
    if (subject === 'subscription' && subscriptionId !== null) {
      const current = await callPolar('read', () => polar.subscriptions.get(subscriptionId));
      return { type, data: asStorable(current), replaces: true };
    }
    if (orderId === null) return null;
    const current = await callPolar('read', () => polar.orders.get(orderId));
    const isOrder = subject === 'order';
    return { type: isOrder ? type : 'order.updated', data: asStorable(current), replaces: isOrder };
  } catch (error) {
    if (hasCode(error, 'polar_not_found', 'polar_refused')) return null;
    throw error;
  }
}

function asStorable(data: unknown): unknown {
  return JSON.parse(JSON.stringify(data), storable);
}
