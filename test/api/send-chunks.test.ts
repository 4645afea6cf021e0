import { once } from 'node:events';
import { createServer, get, type IncomingMessage } from 'node:http';
import { expect, test } from '@jest/globals';
import { sendChunks } from '../../api/send-chunks.ts';
import { listen } from '../setup/listen.ts';

test('chunks are produced only as fast as the client reads them, and no more after the client has left', async () => {
  const chunk = 'x'.repeat(1 << 20);
  const all = 10_000;
  let produced = 0;
  const ended = Promise.withResolvers<void>();
  const stalled = Promise.withResolvers<void>();
  async function* produce() {
    try {
      for (; produced < all; produced += 1) yield chunk;
    } finally {
      ended.resolve();
    }
  }
  const server = createServer((_request, response) => {
    void sendChunks(response, produce());
    // Node's own buffer is full, so the client's buffer is full too.
    const watch = setInterval(() => {
      if (!response.writableNeedDrain) return;
      clearInterval(watch);
      stalled.resolve();
    }, 5);
  });
  const request = get(await listen(server));
  await once(request, 'response');
  await stalled.promise;
  request.destroy();
  await ended.promise;
  expect(produced).toBeLessThan(all);
  server.closeAllConnections();
  server.close();
});

test('a client that reads so slowly that the answer never ends loses its connection, and with it its turn', async () => {
  const ended = Promise.withResolvers<void>();
  async function* produceForEver() {
    try {
      for (;;) yield 'x'.repeat(1 << 16);
    } finally {
      ended.resolve();
    }
  }
  const sent = Promise.withResolvers<void>();
  const server = createServer((_request, response) => {
    void sendChunks(response, produceForEver(), 50).then(sent.resolve);
  });
  const request = get(await listen(server));
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const closed = new Promise((resolve) => response.once('close', resolve));
  response.on('error', () => {}).resume();
  await Promise.all([ended.promise, sent.promise, closed]);
  expect(response.complete).toBe(false);
  server.close();
});
