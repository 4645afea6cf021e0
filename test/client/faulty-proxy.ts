import { createServer, type IncomingMessage, type ServerResponse, request as sendRequest } from 'node:http';
import { listen, stopServer } from '../setup/listen.ts';

/** What happens to one request. Without a fault it is forwarded. */
export type Fault =
  /** The connection ends before the API gets the request. */
  | 'lose request'
  /** The API does the work, then the connection ends without an answer. */
  | 'lose answer'
  /** The API does the work, then the connection ends in the middle of the answer. */
  | 'cut answer'
  /** The API does not get the request. */
  | { status: number; retryAfter?: string };

export interface FaultyProxy {
  url: string;
  /** Faults of the next requests, in order. */
  faults: Fault[];
  /** Called for each request; a fault that it returns happens to it. */
  decide: () => Fault | undefined;
  /** Every request, in order of arrival. */
  requests: { method: string; path: string; key: string | undefined; authorization: string | undefined }[];
  stop(): Promise<void>;
}

/** An HTTP proxy in front of the API that loses, cuts and refuses requests, as a network and a load balancer may. */
export async function startFaultyProxy(target: string): Promise<FaultyProxy> {
  const server = createServer((request, response) => {
    request.on('error', () => {});
    const { method = '', url: path = '', headers } = request;
    const key = headers['idempotency-key']?.toString();
    proxy.requests.push({ method, path, key, authorization: headers.authorization });
    serve(request, response, proxy.faults.shift() ?? proxy.decide());
  });
  const proxy: FaultyProxy = {
    url: await listen(server),
    faults: [],
    decide: () => undefined,
    requests: [],
    async stop() {
      await stopServer(server);
    },
  };
  return proxy;

  function serve(request: IncomingMessage, response: ServerResponse, fault: Fault | undefined): void {
    if (fault === 'lose request') return void request.socket.destroy();
    if (typeof fault === 'object') {
      const { status, retryAfter } = fault;
      response.writeHead(status, {
        'content-type': 'text/plain',
        ...(retryAfter ? { 'retry-after': retryAfter } : {}),
      });
      return void request.resume().on('end', () => response.end('a load balancer'));
    }
    const forwarded = sendRequest(target + request.url, { method: request.method, headers: request.headers });
    forwarded.on('error', () => response.destroy());
    forwarded.on('response', (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => {
        if (fault === 'lose answer') return void request.socket.destroy();
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        const body = Buffer.concat(chunks);
        if (fault !== 'cut answer') return void response.end(body);
        response.write(body.subarray(0, body.length / 2), () => request.socket.destroy());
      });
    });
    request.pipe(forwarded);
  }
}
