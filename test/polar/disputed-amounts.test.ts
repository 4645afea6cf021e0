import { createServer } from 'node:http';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { DomainError } from '../../domain-error.ts';
import { createPolarClient } from '../../polar/client.ts';
import { fetchDisputedAmounts } from '../../polar/disputed-amounts.ts';
import { listen } from '../setup/listen.ts';

const stated = { created_at: '2040-01-01T00:00:00Z', modified_at: null };

/** Replaces Polar: its lists of all disputes and refunds. */
const items: Record<string, object[]> = {
  '/v1/disputes/': [
    dispute('one', { order_id: 'order_1', amount: 700 }),
    dispute('two', { order_id: 'order_1', amount: 100, modified_at: '2040-01-03T00:00:00Z' }),
    dispute('three', { order_id: 'order_2', amount: 500, status: 'won' }),
    dispute('four', { order_id: 'order_3', amount: 'much' }),
    dispute('five', { order_id: 'order_4', amount: 300 }),
  ],
  '/v1/refunds/': [
    { ...stated, id: 'r1', order_id: 'order_1', status: 'succeeded', amount: 200, dispute: dispute('one') },
    { ...stated, id: 'r2', order_id: 'order_4', status: 'succeeded' },
  ],
};
const server = createServer((request, response) => {
  const found = items[new URL(request.url ?? '', 'http://polar').pathname] ?? [];
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ items: found, pagination: { total_count: found.length, max_page: 1 } }));
});
let polar: ReturnType<typeof createPolarClient>;
beforeAll(async () => {
  polar = createPolarClient({ accessToken: 'polar_oat_tests', server: await listen(server) });
});
afterAll(() => void server.close());

test('the disputed amounts of an order add up, without refunded or won ones', async () => {
  const amounts = await fetchDisputedAmounts(polar, ['order_1', 'order_2']);
  expect(amounts.get('order_1')).toEqual({ amount: 600n, stateAt: new Date('2040-01-03T00:00:00Z') });
  expect(amounts.get('order_2')).toMatchObject({ amount: 0n });
});

test('an unreadable dispute or refund affects only its own order', async () => {
  const amounts = await fetchDisputedAmounts(polar, ['order_1', 'order_3', 'order_4']);
  expect(amounts.get('order_1')).toMatchObject({ amount: 600n });
  for (const id of ['order_3', 'order_4']) {
    expect(amounts.get(id)).toBeInstanceOf(DomainError);
    expect(amounts.get(id)).toMatchObject({ code: 'unreadable_event', retriable: false });
  }
});

function dispute(id: string, more: object = {}): object {
  const { created_at, modified_at } = stated;
  return { id, created_at, modified_at, status: 'needs_response', amount: 700, ...more };
}
