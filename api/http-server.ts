import { createServer, type RequestListener, type Server } from 'node:http';

/**
 * An HTTP server that slow or silent clients cannot block: the time of each connection and the number of connections
 * are limited. The times for a request's headers, for the complete request, and between the checks of both are in
 * milliseconds.
 */
export function createHttpServer(listener: RequestListener): Server {
  const server = createServer(
    {
      // A client that sends one byte at a time keeps its connection for 15 seconds of headers and 30 seconds in total.
      headersTimeout: 15_000,
      requestTimeout: 30_000,
      // Node checks both times only this often. Its default of 30 seconds would double them.
      connectionsCheckingInterval: 2_000,
      // Longer than a load balancer's idle time, so that the balancer closes a connection first, never between two
      // requests.
      keepAliveTimeout: 65_000,
    },
    listener,
  );
  // Far more than a proxy opens. With 16 kB of headers and a small body each they fit into the process's memory.
  server.maxConnections = 2_000;
  return server;
}
