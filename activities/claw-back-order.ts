import type { InboxEvent } from '../database/entities/inbox-event.ts';
import { DomainError } from '../domain-error.ts';
import { fetchDisputedAmounts } from '../polar/disputed-amounts.ts';
import { dataOf, fetchOrder, readDispute, readRefund, subjectOf } from '../polar/events.ts';
import { assignedOrder } from '../polar/resolve-team.ts';
import {
  followMoney,
  type OrderEvent,
  type OrderState,
  readOrderEvent,
  rememberMoney,
} from './follow-order.ts';
import { type EventStep, type Fetching, needsPolar } from './step.ts';

/**
 * Money of an order was refunded, is disputed, or came back: its credits are taken or given back, up to the cumulative
 * target. A refund or a dispute names only its order, so the order's current state is fetched, and the amount on the
 * event is ignored.
 */
export const clawBackOrder: EventStep<OrderEvent> = {
  async read(em, event, fetching) {
    const data = dataOf(event.payload);
    switch (subjectOf(event.type)) {
      case 'refund': {
        const { orderId, dispute } = readRefund(data);
        return fetching ? fetchMoney(event, orderId, { disputed: dispute !== null }, fetching) : needsPolar;
      }
      case 'dispute': {
        const { orderId } = readDispute(data);
        return fetching ? fetchMoney(event, orderId, { disputed: true }, fetching) : needsPolar;
      }
      default:
        return readOrderEvent(em, event, fetching, { pays: false });
    }
  },
  carryOut: followMoney,
  remember: rememberMoney,
};

async function fetchMoney(
  event: InboxEvent,
  orderId: string,
  { disputed }: { disputed: boolean },
  { polar }: Fetching,
): Promise<OrderEvent> {
  const order: OrderState = assignedOrder(await fetchOrder(polar, orderId), event);
  if (disputed) {
    const found = (await fetchDisputedAmounts(polar, [orderId])).get(orderId);
    if (found instanceof DomainError) throw found;
    order.disputedAmount = found?.amount ?? 0n;
  }
  return { order, statedAt: event.occurredAt, subscription: null };
}
