import type { Server } from 'node:http';
import { join } from 'node:path';
import { connectDatabaseWithLanes } from '../database/connection.ts';
import { readEnvironment } from '../environment.ts';
import { createCreditOperations } from '../ledger/spend/credit-operations.ts';
import { log } from '../log.ts';
import { listen, listenForOperators } from '../operations-port.ts';
import { createInvoiceCache } from '../polar/cached-invoices.ts';
import { createPolarClient } from '../polar/client.ts';
import { endWithin, runCommand } from '../run-command.ts';
import { createApp, createOperationsApp } from './app.ts';
import { createAuthenticate } from './authenticate.ts';
import type { Dependencies } from './dependencies.ts';
import { createHttpServer } from './http-server.ts';
import { createMetrics } from './metrics.ts';
import { defaultRates } from './rate-limits.ts';
import { createTeamEvents } from './team-events.ts';
import { createTemporalLink } from './temporal-link.ts';

/** How long requests in flight may take after SIGTERM. */
const drainMs = 8_000;
/** The process ends this long after SIGTERM, before its supervisor kills it (15 s in compose). */
const graceMs = 12_000;

/** The page, built from `web/`. */
const pageDirectory = join(import.meta.dirname, '../web/dist');

/** The API process: serves requests until SIGTERM, then finishes those in flight. */
await runCommand(async () => {
  const environment = readEnvironment();
  const database = await connectDatabaseWithLanes(environment.databaseUrl, {
    checkRole: environment.production,
  });
  const { email } = environment;
  if (!email.smtp) log.info('SMTP_URL is not set: no e-mail is sent');
  const temporal = createTemporalLink(environment.temporal);
  const creditOperations = createCreditOperations(database.lane('spending'));
  const dependencies: Dependencies = {
    database,
    creditOperations,
    temporal,
    polar: createPolarClient(environment.polar),
    invoices: createInvoiceCache(),
    authenticate: createAuthenticate({ ...environment, database }),
    metrics: createMetrics(database, email.smtp !== undefined),
    webhookSecrets: environment.polar.webhookSecrets,
    webhooks: environment.webhooks,
    rates: { ...defaultRates, ...environment.rateLimits },
    trustedProxies: environment.trustedProxies,
    email: { isOn: email.smtp !== undefined, tokenSecrets: email.tokenSecrets },
    mailFolder: environment.production ? undefined : join(environment.dataDir, 'mail'),
    // Real payments show that NODE_ENV was forgotten.
    signInWithoutPassword: !environment.production && environment.polar.server !== 'production',
    publicUrl: environment.publicUrl,
    page: { directory: pageDirectory, dashboardOrigin: environment.dashboardOrigin },
    teamEvents: createTeamEvents(database),
    production: environment.production,
  };

  const { host, port, publicUrl: url } = environment;
  const operations = createHttpServer(createOperationsApp(dependencies));
  const operationsPort = await listenForOperators(operations, {
    ...environment,
    port: environment.operationsPort,
    variable: 'OPERATIONS_PORT',
  });
  const server = createHttpServer(createApp(dependencies));
  await listen(server, port, host, 'PORT');
  log.info({ host, port, operationsPort, url }, 'the API is listening');
  process.send?.({ ready: true });

  await Promise.race(
    ['SIGTERM', 'SIGINT'].map((signal) => new Promise((resolve) => process.once(signal, resolve))),
  );
  log.info('the API stops: requests under way are answered first');
  endWithin(graceMs);
  dependencies.teamEvents.close();
  await close(server);
  await close(operations);
  await creditOperations.close();
  await temporal.close();
  await database.close();
  if (process.connected) process.disconnect();
});

/** Accepts no new requests, finishes those in flight, and closes connections that take too long. */
async function close(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  // A kept-alive connection becomes idle only after its answer is sent.
  const sweep = setInterval(() => server.closeIdleConnections(), 50);
  const patience = setTimeout(() => server.closeAllConnections(), drainMs);
  await closed;
  clearInterval(sweep);
  clearTimeout(patience);
}
