import type { Server } from 'node:http';
import { connectDatabaseWithLanes } from '../database/connection.ts';
import { EnvironmentError, readEnvironment } from '../environment.ts';
import { createGroupCommit } from '../ledger/spend/group-commit.ts';
import { log } from '../log.ts';
import { createPolarClient } from '../polar/client.ts';
import { endWithin, runCommand } from '../run-command.ts';
import { createApp } from './app.ts';
import { createAuthenticate } from './authenticate.ts';
import { createHttpServer } from './http-server.ts';
import { createMetrics } from './metrics.ts';
import { createTemporalLink } from './temporal-link.ts';

/** How long requests that are under way may take once we are asked to stop. */
const drainMs = 8_000;
/** The process ends by itself this long after it was asked to, before its supervisor kills it (15 s in compose). */
const graceMs = 12_000;

/** The API process: answers until it is told to stop, and then what is under way. */
await runCommand(async () => {
  const environment = readEnvironment();
  const database = await connectDatabaseWithLanes(environment.databaseUrl);
  const temporal = createTemporalLink(environment.temporal);
  const groupCommit = createGroupCommit(database.lane('spending'));
  const app = createApp({
    database,
    groupCommit,
    temporal,
    polar: createPolarClient(environment.polar),
    authenticate: createAuthenticate({ ...environment, database }),
    metrics: createMetrics(database),
    webhookSecrets: environment.polar.webhookSecrets,
    publicUrl: environment.publicUrl,
    production: environment.production,
  });

  const server = createHttpServer(app);
  await listen(server, environment.port);
  log.info({ port: environment.port, url: environment.publicUrl }, 'the API is listening');
  process.send?.({ ready: true });

  await Promise.race(
    ['SIGTERM', 'SIGINT'].map((signal) => new Promise((resolve) => process.once(signal, resolve))),
  );
  log.info('the API stops: requests under way are answered first');
  endWithin(graceMs);
  await close(server);
  await groupCommit.close();
  await temporal.close();
  await database.close();
  if (process.connected) process.disconnect();
});

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(isTaken(error) ? portIsTaken() : error));
    server.listen(port, () => resolve());
  });
}

function isTaken(error: Error): boolean {
  return 'code' in error && error.code === 'EADDRINUSE';
}

function portIsTaken(): EnvironmentError {
  return new EnvironmentError(['The API cannot listen: the port (PORT) is in use by another program']);
}

/** Takes nothing new, answers what is under way, and cuts what takes too long. */
async function close(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  // A connection that is kept alive becomes idle only once its answer is sent.
  const sweep = setInterval(() => server.closeIdleConnections(), 50);
  const patience = setTimeout(() => server.closeAllConnections(), drainMs);
  await closed;
  clearInterval(sweep);
  clearTimeout(patience);
}
