import { expect, test } from '@jest/globals';
import { createHttpServer } from '../../api/http-server.ts';

test('a connection has a time limit even if its client sends slowly, and the number of connections is limited', () => {
  const server = createHttpServer(() => {});
  expect(server.headersTimeout).toBeLessThanOrEqual(15_000);
  expect(server.requestTimeout).toBeLessThanOrEqual(30_000);
  expect(server.maxConnections).toBeLessThanOrEqual(2_000);
  expect(server).toMatchObject({ connectionsCheckingInterval: expect.any(Number) });
});
