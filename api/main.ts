import { createServer, type Server } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { readCatalog } from '../catalog/versions.ts';
import { connectDatabase } from '../database/connection.ts';
import { EnvironmentError, readEnvironment } from '../environment.ts';
import { createSpender } from '../ledger/spend-credits.ts';
import { log } from '../log.ts';
import { createPolarClient } from '../polar/client.ts';
import { createApp } from './app.ts';
import { createAuthenticate } from './authenticate.ts';
import { createMetrics } from './metrics.ts';
import { createTemporalLink } from './temporal-link.ts';

/** How long requests that are under way may take once we are asked to stop. */
const drainMs = 10_000;

await main();

async function main(): Promise<void> {
  const environment = readOrExplain();
  const database = await connectDatabase(environment.databaseUrl, { pool: 20 });
  const temporal = createTemporalLink(environment.temporal);
  const { catalog } = await readCatalog(database.fork());
  const spender = createSpender(database, { keysKept: catalog.policies.idempotencyKeysKept });
  const app = createApp({
    database,
    spender,
    temporal,
    polar: createPolarClient(environment.polar),
    authenticate: createAuthenticate({ ...environment, database }),
    metrics: createMetrics(database),
    webhookSecrets: environment.polar.webhookSecrets,
    publicUrl: environment.publicUrl,
    production: environment.production,
  });

  const server = createServer(app);
  // Longer than a load balancer's idle time, so that it is never us who closes under its next request.
  server.keepAliveTimeout = 65_000;
  server.requestTimeout = 30_000;
  server.headersTimeout = 15_000;
  await listen(server, environment.port);
  log.info({ port: environment.port, url: environment.publicUrl }, 'the API is listening');
  process.send?.('ready');

  await Promise.race(
    ['SIGTERM', 'SIGINT'].map((signal) => new Promise((resolve) => process.once(signal, resolve))),
  );
  log.info('the API stops: requests under way are answered first');
  await close(server);
  await spender.close();
  await temporal.close();
  await database.close();
  if (process.connected) process.disconnect();
}

function readOrExplain() {
  try {
    return readEnvironment();
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error;
    console.error(error.message);
    process.exit(1);
  }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, () => resolve());
  });
}

/** Takes nothing new, answers what is under way, and cuts what takes too long. */
async function close(server: Server): Promise<void> {
  const patience = new AbortController();
  const closed = new Promise((resolve) => server.close(resolve));
  const late = setTimeout(drainMs, undefined, { signal: patience.signal }).catch(() => {});
  await Promise.race([closed, late]);
  patience.abort();
  server.closeAllConnections();
  await closed;
}
