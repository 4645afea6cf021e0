import { randomUUID } from 'node:crypto';

/** Payloads as Polar sends them, reduced to the differences from the SDK's models: newer fields are missing. */
export const teamId = '019a52c0-7e1b-7d6c-9b1f-0a6f1c2d3e4f';

export function orderPayload(changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: '7bd37b5b-7a36-4f5e-9c1c-2b1b3a6e1f10',
    created_at: '2026-01-31T10:00:00.123456Z',
    modified_at: null,
    status: 'paid',
    paid: true,
    subtotal_amount: 4900,
    discount_amount: 0,
    net_amount: 4900,
    tax_amount: 980,
    total_amount: 5880,
    applied_balance_amount: -900,
    due_amount: 4980,
    refunded_amount: 0,
    refunded_tax_amount: 0,
    currency: 'usd',
    billing_reason: 'subscription_cycle',
    billing_address: { country: 'AT' },
    invoice_number: 'WL-0001',
    customer_id: 'b0f0a1de-54b4-4d4e-8e0e-92a1d7c2b9f3',
    product_id: '3a5f0e3c-94d5-43a5-8ae1-5bd7f4b4a7c9',
    subscription_id: '0c9a2fb4-1f62-4d0e-a2a5-8d4f7f1a3f55',
    checkout_id: null,
    metadata: { team_id: teamId, catalog_key: 'pro_monthly' },
    customer: {
      id: 'b0f0a1de-54b4-4d4e-8e0e-92a1d7c2b9f3',
      created_at: '2025-12-31T10:00:00Z',
      external_id: teamId,
      email: null,
      type: 'team',
      name: 'Weavers',
      a_field_of_tomorrow: { any: ['thing'] },
    },
    product: {
      id: '3a5f0e3c-94d5-43a5-8ae1-5bd7f4b4a7c9',
      name: 'Pro',
      metadata: { catalog_key: 'pro_monthly' },
      is_archived: false,
    },
    subscription: {
      id: '0c9a2fb4-1f62-4d0e-a2a5-8d4f7f1a3f55',
      created_at: '2025-12-31T10:00:00Z',
      modified_at: '2026-01-31T10:00:01Z',
      metadata: { team_id: teamId },
      amount: 4900,
      currency: 'usd',
      recurring_interval: 'month',
      status: 'active',
      current_period_start: '2026-01-31T10:00:00Z',
      current_period_end: '2026-02-28T10:00:00Z',
      cancel_at_period_end: false,
      started_at: '2025-12-31T10:00:00Z',
      ends_at: null,
      ended_at: null,
      customer_id: 'b0f0a1de-54b4-4d4e-8e0e-92a1d7c2b9f3',
      product_id: '3a5f0e3c-94d5-43a5-8ae1-5bd7f4b4a7c9',
    },
    items: [
      { id: '1', label: 'Pro', amount: 4900, tax_amount: 980, proration: false, product_price_id: 'p' },
      {
        id: '2',
        label: 'Remaining time',
        amount: -250,
        tax_amount: 0,
        proration: true,
        start_timestamp: '2026-01-20T00:00:00+00:00',
        end_timestamp: '2026-01-31T10:00:00',
      },
    ],
    a_field_of_tomorrow: true,
    ...changes,
  };
}

export function subscriptionPayload(changes: Record<string, unknown> = {}): Record<string, unknown> {
  const { subscription, customer, product } = orderPayload();
  return { ...(typeof subscription === 'object' ? subscription : {}), customer, product, ...changes };
}

/** A team, and its customer at Polar. */
export interface Buyer {
  teamId: string;
  customerId: string;
}

/** A paid order of a pack, with the fields that billing uses. */
export function paidOrder(
  { teamId, customerId }: Buyer,
  catalogKey: string,
  createdAt = new Date().toISOString(),
) {
  return {
    id: randomUUID(),
    ...{ created_at: createdAt, modified_at: null, status: 'paid', paid: true, billing_reason: 'purchase' },
    ...{ net_amount: 1_200, applied_balance_amount: 0, refunded_amount: 0, currency: 'usd' },
    customer_id: customerId,
    product_id: randomUUID(),
    product: { metadata: { catalog_key: catalogKey } },
    metadata: { team_id: teamId },
    customer: { external_id: teamId },
    items: [] as object[],
  };
}

/** The payment of a cycle of 30 days that begins `days` after its subscription. */
export function paidCycle(
  buyer: Buyer,
  { subscriptionId = randomUUID(), begun = Date.now(), days = 0 } = {},
) {
  const at = (day: number) => new Date(begun + day * 86_400_000).toISOString();
  const [start, end] = [at(days), at(days + 30)];
  const order = paidOrder(buyer, 'pro_monthly', start);
  const { product_id, metadata } = order;
  const subscription = {
    ...{ id: subscriptionId, created_at: at(0), modified_at: start, started_at: at(0), status: 'active' },
    ...{ cancel_at_period_end: false, product_id, metadata, prices: [{ id: 'price' }] },
    ...{ current_period_start: start, current_period_end: end },
  };
  const line = { amount: 1_200, proration: false, product_price_id: 'price' };
  return {
    ...order,
    billing_reason: days === 0 ? 'subscription_create' : 'subscription_cycle',
    ...{ subscription_id: subscriptionId, subscription },
    items: [{ ...line, start_timestamp: start, end_timestamp: end }],
  };
}
