import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { collectDefaultMetrics } from 'prom-client';
import type { Environment } from '../environment.ts';
import { log, oncePerMinute } from '../log.ts';
import { processMetrics } from '../metrics.ts';
import { listenForOperators } from '../operations-port.ts';
import { installRuntime } from './install-runtime.ts';

/** How long Temporal's SDK may take to answer, in milliseconds. It runs in this process. */
const scrapeTimeoutMs = 2_000;

/**
 * Serves `GET /metrics` of the worker process: ours, Node's, and those of Temporal's SDK. The SDK has a server of its
 * own, on the loopback interface only. Call it before anything of Temporal's worker.
 * @returns the port on which it listens
 * @throws EnvironmentError
 */
export async function startOperationsServer({
  host,
  workerOperationsPort,
  production,
}: Pick<Environment, 'host' | 'workerOperationsPort' | 'production'>): Promise<number> {
  const temporalAddress = `127.0.0.1:${await freeLoopbackPort()}`;
  installRuntime(temporalAddress);
  collectDefaultMetrics({ register: processMetrics });
  const server = createServer((request, response) => {
    if (request.url !== '/metrics') response.writeHead(404).end();
    else if (request.method !== 'GET') response.writeHead(405, { allow: 'GET' }).end();
    else void answer(response, temporalAddress).catch((error: unknown) => refuse(response, error));
  });
  const variable = 'WORKER_OPERATIONS_PORT';
  return await listenForOperators(server, { host, port: workerOperationsPort, variable, production });
}

async function answer(response: ServerResponse, temporalAddress: string): Promise<void> {
  const ours = await processMetrics.metrics();
  const ofTemporal = await readTemporalMetrics(temporalAddress);
  response.writeHead(200, { 'content-type': processMetrics.contentType }).end(ours + ofTemporal);
}

/** A failed scrape must not end the process. */
function refuse(response: ServerResponse, error: unknown): void {
  if (mayLog('own metrics')) log.error({ err: error }, 'The metrics of this process could not be read');
  if (!response.headersSent) response.writeHead(500);
  response.end();
}

/** If the SDK does not answer, the alerts on its metrics say that they are absent. */
async function readTemporalMetrics(address: string): Promise<string> {
  try {
    const response = await fetch(`http://${address}/metrics`, {
      signal: AbortSignal.timeout(scrapeTimeoutMs),
    });
    return await response.text();
  } catch (error) {
    if (mayLog('metrics')) log.warn({ err: error }, 'The metrics of Temporal’s SDK could not be read');
    return '';
  }
}

const mayLog = oncePerMinute();

async function freeLoopbackPort(): Promise<number> {
  const server: Server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || !address) throw new Error('A TCP server has no port');
  return address.port;
}
