import { expect, test } from '@jest/globals';
import {
  readOrder,
  readRefund,
  readSubscription,
  readTeamRef,
  subjectOf,
  usedEvents,
} from '../../polar/events.ts';
import { orderPayload, subscriptionPayload, teamId } from './payloads.ts';

test('an order is read in our words, without the fields that older payloads lack', () => {
  const order = readOrder(orderPayload());
  expect(order).toMatchObject({
    teamRef: { metadataTeamId: teamId, customerExternalId: teamId },
    productCatalogKey: 'pro_monthly',
    paid: true,
    paidAmount: 4000n,
    refundedAmount: 0n,
    units: 1,
    seats: null,
    createdAt: new Date('2026-01-31T10:00:00.123Z'),
    stateAt: new Date('2026-01-31T10:00:00.123Z'),
  });
  expect(order.lines).toEqual([
    { amount: 4900n, proration: false, priceId: 'p', start: null, end: null, inTrial: false },
    {
      amount: -250n,
      proration: true,
      priceId: null,
      start: new Date('2026-01-20T00:00:00Z'),
      end: new Date('2026-01-31T10:00:00Z'), // no zone: UTC
      inTrial: false,
    },
  ]);
});

test("an order's embedded subscription takes the team and the product from the order", () => {
  expect(readOrder(orderPayload()).subscription).toMatchObject({
    teamRef: { metadataTeamId: teamId, customerExternalId: teamId },
    productCatalogKey: 'pro_monthly',
    currentPeriodStart: new Date('2026-01-31T10:00:00Z'),
    currentPeriodEnd: new Date('2026-02-28T10:00:00Z'),
    pendingUpdate: null,
  });
});

test('an embedded subscription of another product does not take the catalog key of the order’s product', () => {
  const { subscription } = orderPayload();
  const other = { ...(typeof subscription === 'object' ? subscription : {}), product_id: 'another' };
  expect(readOrder(orderPayload({ subscription: other })).subscription?.productCatalogKey).toBeNull();
});

test.each([
  ['a pack', { subscription_id: null, subscription: null, items: [], units: 3, billing_reason: 'purchase' }],
  ['a status of tomorrow', { status: 'half_paid' }],
  ['metadata of any kind', { metadata: 'none' }],
  ['nothing of what nobody needs', { billing_reason: undefined }],
  ['no product', { product: null, product_id: null }],
  ['no customer object', { customer: undefined }],
])('an order with %s is read', (_what, changes) => {
  expect(readOrder(orderPayload(changes)).id).toBe(orderPayload().id);
});

test('if the payload does not say whether an order is paid, its status decides', () => {
  expect(readOrder(orderPayload({ paid: undefined, status: 'partially_refunded' })).paid).toBe(true);
  expect(readOrder(orderPayload({ paid: undefined, status: 'pending' })).paid).toBe(false);
});

test.each([
  ['order.net_amount', { net_amount: undefined }],
  ['order.net_amount', { net_amount: 49.5 }],
  ['order.created_at', { created_at: 'yesterday' }],
  ['order.units', { units: 0 }],
  ['order.items.0.proration', { items: [{ label: 'Pro', amount: 1 }] }],
  [
    'order.subscription.current_period_end',
    { subscription: { ...subscriptionPayload(), current_period_end: null } },
  ],
])('an order without a valid %s is refused by name', (path, changes) => {
  expect(() => readOrder(orderPayload(changes))).toThrow(
    expect.objectContaining({
      code: 'unreadable_event',
      message: expect.stringContaining(path),
    }),
  );
});

test.each([null, 'order', 7, [], {}])('%p is not an order or a subscription', (data) => {
  for (const read of [readOrder, readSubscription, readRefund]) {
    expect(() => read(data)).toThrow(expect.objectContaining({ code: 'unreadable_event' }));
  }
});

test('a subscription contains its pending change', () => {
  const pending_update = { id: 'x', product_id: 'p2', applies_at: '2026-02-28T10:00:00Z', seats: null };
  expect(readSubscription(subscriptionPayload({ pending_update })).pendingUpdate).toEqual({
    productId: 'p2',
  });
});

test('the time of a state is when it was last modified', () => {
  expect(readSubscription(subscriptionPayload()).stateAt).toEqual(new Date('2026-01-31T10:00:01Z'));
});

test('a refund has its order and customer, and its dispute if there is one', () => {
  const refund = {
    id: 'r1',
    created_at: '2026-02-01T00:00:00Z',
    modified_at: null,
    status: 'succeeded',
    reason: 'customer_request',
    amount: 1200,
    tax_amount: 0,
    currency: 'usd',
    order_id: 'o1',
    customer_id: 'c1',
  };
  expect(readRefund(refund)).toEqual({
    id: 'r1',
    teamRef: { metadataTeamId: null, customerExternalId: null, customerId: 'c1' },
    orderId: 'o1',
    status: 'succeeded',
    amount: 1200n,
    dispute: null,
    stateAt: new Date('2026-02-01T00:00:00Z'),
  });
  const dispute = { id: 'd1', created_at: '2026-02-02T00:00:00Z', status: 'lost', amount: 1200 };
  expect(readRefund({ ...refund, dispute }).dispute).toMatchObject({
    id: 'd1',
    status: 'lost',
    amount: 1200n,
  });
});

test('every used event has one subject, and all others have none', () => {
  for (const [subject, types] of Object.entries(usedEvents)) {
    for (const type of types) expect(subjectOf(type)).toBe(subject);
  }
  for (const type of ['order.created', 'checkout.updated', 'constructor', 'order.of_tomorrow', '']) {
    expect(subjectOf(type)).toBe('unused');
  }
});

test('reading the team of an event never fails', () => {
  const nobody = { metadataTeamId: null, customerExternalId: null, customerId: null };
  expect(readTeamRef('order.paid', orderPayload()).metadataTeamId).toBe(teamId);
  expect(readTeamRef('customer.deleted', { id: 'c1', external_id: teamId })).toEqual({
    ...nobody,
    customerExternalId: teamId,
    customerId: 'c1',
  });
  expect(readTeamRef('member.created', { id: 'm1', customer_id: 'c1', external_id: 'alice' })).toEqual({
    ...nobody,
    customerId: 'c1',
  });
  expect(readTeamRef('order.paid', { metadata: 7, customer: 'x' })).toEqual(nobody);
  expect(readTeamRef('order.paid', null)).toEqual(nobody);
  expect(readTeamRef('product.updated', { id: 'p', metadata: { team_id: teamId } })).toEqual(nobody);
});
