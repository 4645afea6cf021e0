import { mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import express, { type NextFunction, type Request, type Response } from 'express';
import { answerError } from './answer.ts';
import { checkoutRoutes } from './checkouts.ts';
import { controlRoutes } from './control-routes.ts';
import { customerSessionRoutes } from './customer-sessions.ts';
import { customerRoutes } from './customers.ts';
import { discountRoutes } from './discounts.ts';
import { disputeRoutes } from './disputes.ts';
import { type Emulator, emulatorTime } from './emulator.ts';
import { createFaults } from './faults.ts';
import { memberRoutes } from './members.ts';
import { orderRoutes } from './orders.ts';
import { ensureOrganization, organizationRoutes } from './organizations.ts';
import { pageRoutes } from './pages/page-routes.ts';
import { createPast } from './past.ts';
import { notFound, refusal } from './polar-refusal.ts';
import { productRoutes } from './products.ts';
import { refundRoutes } from './refunds.ts';
import { renewDue } from './renewals.ts';
import { openStore } from './store.ts';
import { subscriptionRoutes } from './subscription-routes.ts';
import { type WebhookDelivery, webhookDelivery } from './webhook-delivery.ts';
import { webhookRoutes } from './webhook-endpoints.ts';

export interface PolarEmulatorOptions {
  /** The token that requests must carry. */
  accessToken: string;
  /** 0, the default, chooses a free port. */
  port?: number;
  /** The directory of the state. Without it the state is lost when the process ends. */
  dataDir?: string;
  /** The emulator's time. The timestamps of signatures are always wall time. */
  clock?: () => Date;
  /** A factor on the pauses between attempts of a webhook: 1 is Polar's, 0.001 makes 2 s into 2 ms. */
  retryScale?: number;
  /** Allows webhook endpoints at `http://127.0.0.1` and the like. Polar itself accepts `https://` only. */
  loopbackWebhooks?: boolean;
  log?: (message: string) => void;
}

export interface PolarEmulator {
  /** `http://127.0.0.1:port`, for the SDK's `baseUrl`. */
  readonly url: string;
  /** Resolves when every due webhook has been attempted; with `retries`, also when no retry is left. */
  idle(options?: { retries?: boolean }): Promise<void>;
  /** Does everything that is due by the clock, each at its due time. Resolves to the number of things done. */
  renewDue(): Promise<number>;
  stop(): Promise<void>;
}

/**
 * Starts an HTTP server on 127.0.0.1 with Polar's wire format (2026-10). For development and tests only. Rejects if
 * the port is in use, or with `NODE_ENV=production`.
 */
export async function startPolarEmulator(options: PolarEmulatorOptions): Promise<PolarEmulator> {
  if (process.env.NODE_ENV === 'production')
    throw new Error('The Polar emulator does not run in production.');
  if (options.dataDir !== undefined) mkdirSync(options.dataDir, { recursive: true });
  const log = options.log ?? (() => {});
  let url = '';
  let delivery: WebhookDelivery | undefined;
  const store = openStore(options.dataDir, () => delivery?.kick());
  const past = createPast();
  const clock = options.clock ?? (() => new Date());
  const emulator: Emulator = {
    store,
    loopbackWebhooks: options.loopbackWebhooks ?? false,
    get url() {
      return url;
    },
    ...emulatorTime(() => past.now() ?? clock()),
    emit: (type, data) => (past.now() ? past.keep(emulator, type, data) : delivery?.record(type, data)),
  };
  ensureOrganization(emulator);
  const faults = createFaults();
  const webhooks = webhookDelivery(emulator, faults, options.retryScale ?? 1);
  delivery = webhooks;

  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use('/v1', requireToken(options.accessToken));
  app.use(faults.middleware);
  app.use(express.json({ limit: '1mb' }), express.urlencoded({ extended: false }));
  for (const routes of [
    productRoutes,
    discountRoutes,
    customerRoutes,
    memberRoutes,
    customerSessionRoutes,
    checkoutRoutes,
    subscriptionRoutes,
    orderRoutes,
    refundRoutes,
    disputeRoutes,
    organizationRoutes,
  ]) {
    routes(app, emulator);
  }
  webhookRoutes(app, emulator, webhooks);
  controlRoutes(app, emulator, webhooks, faults, past);
  pageRoutes(app, emulator, faults);
  app.use((request: Request) => {
    throw notFound(`The emulator has no ${request.method} ${request.path}`);
  });
  app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) => {
    answerError(error, response, log);
  });

  const server = createServer(app);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  url = `http://127.0.0.1:${address.port}`;
  webhooks.kick();

  return {
    url,
    idle: (waitFor) => webhooks.idle(waitFor),
    renewDue: async () => renewDue(emulator),
    async stop() {
      await webhooks.stop();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      store.close();
    },
  };
}

function requireToken(accessToken: string) {
  return (request: Request, response: Response, next: NextFunction) => {
    // The checkout page needs no token: its URL is secret.
    if (request.path.startsWith('/checkouts/client/')) return next();
    const header = request.get('authorization');
    if (header === undefined) throw refusal('Unauthorized', 'Unauthorized');
    if (header !== `Bearer ${accessToken}`) {
      response.status(401).set('www-authenticate', 'Bearer').json({
        error: 'invalid_token',
        error_description:
          'The access token provided is expired, revoked, malformed, or invalid for other reasons.',
      });
      return;
    }
    next();
  };
}
