import type { EventStep } from './event-step.ts';
import { rememberMoney } from './order-event.ts';
import { grantPaidOrder, type PaidOrder } from './paid-order.ts';
import { readSubscriptionPayment } from './subscription-payment.ts';

/**
 * A change of plan was billed: the `order.paid` of a `subscription_update`. Its credit and debit lines change what the
 * current cycle is entitled to: credits are granted for the time on the new plan, and taken back for the time on the old
 * one. If a line begins a billing period, the change also starts a cycle.
 */
export const changePlan: EventStep<PaidOrder> = {
  read: readSubscriptionPayment,
  carryOut: grantPaidOrder,
  remember: rememberMoney,
};
