import type { EventStep } from './event-step.ts';
import { type OrderEvent, readOrderWithLock, rememberMoney } from './order-event.ts';
import { grantPaidOrder, readPaidOrder } from './paid-order.ts';

/**
 * A pack was paid: an `order.paid` without a subscription. It grants the credits that its checkout promised, once, and
 * they never expire.
 */
export const fulfillPurchase: EventStep<OrderEvent> = {
  readWithLock: readOrderWithLock,
  read: readPaidOrder,
  carryOut: grantPaidOrder,
  remember: rememberMoney,
};
