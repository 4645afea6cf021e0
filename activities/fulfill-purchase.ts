import type { EventStep } from './event-step.ts';
import { readOrderWithLock, rememberMoney } from './order-event.ts';
import { grantPaidOrder, type PaidOrder, readPaidOrder } from './paid-order.ts';

/**
 * A pack was paid: an `order.paid` without a subscription. It grants the credits that its checkout promised, once, and
 * they never expire.
 */
export const fulfillPurchase: EventStep<PaidOrder> = {
  readWithLock: readOrderWithLock,
  read: readPaidOrder,
  carryOut: grantPaidOrder,
  remember: rememberMoney,
};
