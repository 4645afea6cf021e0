import type { EventStep } from './event-step.ts';
import { followMoney, type OrderEvent, readOrderEvent, rememberMoney } from './order-event.ts';

/** An order's money or state changed at Polar: its clawback follows. This grants nothing: only `order.paid` does. */
export const followOrder: EventStep<OrderEvent> = {
  read: (em, event, fetching) => readOrderEvent(em, event, fetching, { pays: false }),
  carryOut: followMoney,
  remember: rememberMoney,
};
