import type { EventStep } from './event-step.ts';
import { type OrderEvent, rememberMoney } from './order-event.ts';
import { grantPaidOrder, readSubscriptionPayment } from './paid-order.ts';

/**
 * A cycle was paid: the `order.paid` of a subscription's first period, or of a renewal. Its line that begins a billing
 * period brings the plan's allotment and closes the earlier cycles of the subscription. Nothing else starts a cycle,
 * neither a new period nor a status that says active. The subscription's state in the order is stored first, because it
 * says which billing periods there are.
 */
export const startCycle: EventStep<OrderEvent> = {
  read: readSubscriptionPayment,
  carryOut: grantPaidOrder,
  remember: rememberMoney,
};
