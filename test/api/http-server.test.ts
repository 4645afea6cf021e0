import { expect, test } from '@jest/globals';
import { createHttpServer } from '../../api/http-server.ts';

test('a connection has an end, however slowly its client sends, and their number has a limit', () => {
  const server = createHttpServer(() => {});
  expect(server.headersTimeout).toBeLessThanOrEqual(15_000);
  expect(server.requestTimeout).toBeLessThanOrEqual(30_000);
  expect(server.maxConnections).toBeLessThanOrEqual(2_000);
  expect(server).toMatchObject({ connectionsCheckingInterval: expect.any(Number) });
});
