import type { Polar } from '@polar-sh/sdk/2026-10';
import { DomainError } from '../domain-error.ts';
import { callPolar, readAll } from './client.ts';
import { type PolarDispute, type PolarRefund, readDispute, readRefund } from './events.ts';

/** The disputed part of an order, as Polar reports it now. */
export interface DisputedOrder {
  /** In open or lost disputes and not refunded, in the currency's minor units without tax. */
  amount: bigint;
  /** When the newest of its disputes changed last. */
  stateAt: Date;
}

/**
 * The disputed amounts of these orders, by order id. Orders without a dispute are absent. An order with an unreadable
 * dispute or refund maps to the `unreadable_event` error.
 *
 * @param orderIds  at most 100
 * @throws DomainError as `callPolar`
 */
export async function fetchDisputedAmounts(
  polar: Polar,
  orderIds: readonly string[],
): Promise<Map<string, DisputedOrder | DomainError>> {
  if (orderIds.length === 0) return new Map();
  const of = { order_id: [...orderIds], limit: 100 };
  const disputes = await callPolar('read', () => readAll(polar.disputes.iterList(of)));
  if (disputes.length === 0) return new Map();
  const refunds = await callPolar('read', () => readAll(polar.refunds.iterList(of)));
  const refundsOf = Map.groupBy(refunds, ({ order_id }) => order_id);
  const orders = new Map<string, DisputedOrder | DomainError>();
  for (const [orderId, itsDisputes] of Map.groupBy(disputes, ({ order_id }) => order_id))
    orders.set(orderId, readDisputed(itsDisputes, refundsOf.get(orderId) ?? []));
  return orders;
}

function readDisputed(
  disputes: readonly unknown[],
  refunds: readonly unknown[],
): DisputedOrder | DomainError {
  try {
    const itsRefunds = refunds.map(readRefund);
    const amounts = disputes
      .map(readDispute)
      .map((dispute) => ({ amount: unpaidBy(dispute, itsRefunds), stateAt: dispute.stateAt }));
    return amounts.reduce((sum, one) => ({
      amount: sum.amount + one.amount,
      stateAt: sum.stateAt > one.stateAt ? sum.stateAt : one.stateAt,
    }));
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
}

/**
 * Whether the bank has taken the money back, for now or finally (`DisputeStatus` in Polar's OpenAPI document, and
 * `accepted`, which only its server has). An early warning and a prevented dispute do not count. Polar's server
 * excludes both when it counts an organisation's chargebacks (polarsource/polar). If Polar returned the money itself,
 * there is a refund.
 */
const unpaying: readonly string[] = ['needs_response', 'under_review', 'lost', 'accepted'];

function unpaidBy({ id, status, amount }: PolarDispute, refunds: readonly PolarRefund[]): bigint {
  if (!unpaying.includes(status)) return 0n;
  const refunded = refunds
    .filter((refund) => refund.dispute?.id === id && refund.status === 'succeeded')
    .reduce((sum, refund) => sum + refund.amount, 0n);
  return amount > refunded ? amount - refunded : 0n;
}
