import type { EventStep } from './event-step.ts';
import { type OrderEvent, rememberMoney } from './order-event.ts';
import { grantPaidOrder, readSubscriptionPayment } from './paid-order.ts';

/**
 * A change of plan was billed: the `order.paid` of a `subscription_update`. Its debit line grants credits for the time on
 * the new plan, its credit line takes credits back for the time on the old plan. If a line begins a billing period, the
 * change also starts a cycle.
 */
export const changePlan: EventStep<OrderEvent> = {
  read: readSubscriptionPayment,
  carryOut: grantPaidOrder,
  remember: rememberMoney,
};
