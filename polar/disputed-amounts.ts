import type { Polar } from '@polar-sh/sdk/2026-10';
import { callPolar, readAll } from './client.ts';
import { type PolarDispute, type PolarRefund, readDispute, readRefund } from './events.ts';

/** What of an order is in dispute, as Polar has it now. */
export interface DisputedOrder {
  /** Open or lost and not refunded already, in the currency's minor units without tax. */
  amount: bigint;
  /** When the newest of its disputes changed last. */
  stateAt: Date;
}

/**
 * What is disputed of each of these orders; of an order without a dispute there is nothing.
 *
 * @param orderIds  at most 100
 * @throws DomainError as `callPolar`
 */
export async function fetchDisputedAmounts(
  polar: Polar,
  orderIds: readonly string[],
): Promise<Map<string, DisputedOrder>> {
  if (orderIds.length === 0) return new Map();
  const of = { order_id: [...orderIds], limit: 100 };
  const disputes = (await callPolar('read', () => readAll(polar.disputes.iterList(of)))).map(readDispute);
  if (disputes.length === 0) return new Map();
  const refunds = (await callPolar('read', () => readAll(polar.refunds.iterList(of)))).map(readRefund);
  const orders = new Map<string, DisputedOrder>();
  for (const dispute of disputes) {
    const { amount, stateAt } = orders.get(dispute.orderId) ?? { amount: 0n, stateAt: dispute.stateAt };
    orders.set(dispute.orderId, {
      amount: amount + unpaidBy(dispute, refunds),
      stateAt: stateAt > dispute.stateAt ? stateAt : dispute.stateAt,
    });
  }
  return orders;
}

/**
 * The bank has taken the money back, for now or for good (`DisputeStatus` in Polar's OpenAPI document; `accepted` its server
 * knows besides). An early warning and a prevented dispute are no such thing: Polar's server (polarsource/polar, where it
 * counts an organisation's chargebacks) leaves both out, and where it gave the money back by itself there is a refund.
 */
const unpaying: readonly string[] = ['needs_response', 'under_review', 'lost', 'accepted'];

function unpaidBy({ id, status, amount }: PolarDispute, refunds: readonly PolarRefund[]): bigint {
  if (!unpaying.includes(status)) return 0n;
  const refunded = refunds
    .filter((refund) => refund.dispute?.id === id && refund.status === 'succeeded')
    .reduce((sum, refund) => sum + refund.amount, 0n);
  return amount > refunded ? amount - refunded : 0n;
}
