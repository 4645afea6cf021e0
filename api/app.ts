import { randomUUID } from 'node:crypto';
import express, { type Express, type RequestHandler } from 'express';
import helmet from 'helmet';
import { DomainError } from '../domain-error.ts';
import { log } from '../log.ts';
import { admitOrigin } from './admit-origin.ts';
import { compressAnswers } from './compress-answers.ts';
import { createRouteTurns, type Route } from './define-route.ts';
import { demandThisMachine } from './demand-this-machine.ts';
import type { Dependencies } from './dependencies.ts';
import { serveDevMail } from './dev-mail.ts';
import { serveDevSignIn } from './dev-sign-in.ts';
import type { Metrics } from './metrics.ts';
import { describeApi, serveDocs } from './openapi.ts';
import { answerProblem } from './problem.ts';
import { activityRoutes } from './routes/activity.ts';
import { adjustmentRoutes } from './routes/adjustments.ts';
import { alertRoutes } from './routes/alerts.ts';
import { auditRoutes } from './routes/audit.ts';
import { balanceRoutes } from './routes/balance.ts';
import { billingRoutes } from './routes/billing.ts';
import { catalogRoutes } from './routes/catalog.ts';
import { debtRoutes } from './routes/debts.ts';
import { eventRoutes } from './routes/events.ts';
import { healthRoutes, operationsRoutes } from './routes/health.ts';
import { holdRoutes } from './routes/holds.ts';
import { inboxRoutes } from './routes/inbox.ts';
import { invitationRoutes } from './routes/invitations.ts';
import { limitRoutes } from './routes/limits.ts';
import { memberRoutes } from './routes/members.ts';
import { notificationRoutes } from './routes/notifications.ts';
import { openHoldRoutes } from './routes/open-holds.ts';
import { polarWebhookRoutes } from './routes/polar-webhook.ts';
import { reconciliationRoutes } from './routes/reconciliations.ts';
import { runRoutes } from './routes/runs.ts';
import { serviceKeyRoutes } from './routes/service-keys.ts';
import { sessionRoutes } from './routes/session.ts';
import { subscriptionRoutes } from './routes/subscription.ts';
import { teamRoutes } from './routes/teams.ts';
import { usageRoutes } from './routes/usage.ts';
import { usageHistoryRoutes } from './routes/usage-history.ts';
import { userRoutes } from './routes/users.ts';
import { webhookEndpointRoutes } from './routes/webhook-endpoints.ts';
import { servePage } from './serve-page.ts';

/**
 * A request's log line contains only ids and routes. Removing secrets from it would cost a quarter of the hot path's
 * time.
 */
const requestLog = log.child({}, { redact: [] });

/** JSON responses need no browser policy; /docs and the page set their own. Headers that only matter for HTML are off. */
const secureHeaders = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
  },
  crossOriginOpenerPolicy: false,
  originAgentCluster: false,
  xDnsPrefetchControl: false,
  xDownloadOptions: false,
  xPermittedCrossDomainPolicies: false,
  xPoweredBy: false,
  xXssProtection: false,
});

/** Every route of the public API. The hot route comes first, because Express searches in order. */
export const routes: readonly Route[] = [
  ...usageRoutes,
  ...holdRoutes,
  ...openHoldRoutes,
  ...balanceRoutes,
  ...debtRoutes,
  ...eventRoutes,
  ...usageHistoryRoutes,
  ...runRoutes,
  ...activityRoutes,
  ...limitRoutes,
  ...alertRoutes,
  ...adjustmentRoutes,
  ...sessionRoutes,
  ...userRoutes,
  ...teamRoutes,
  ...memberRoutes,
  ...invitationRoutes,
  ...notificationRoutes,
  ...catalogRoutes,
  ...billingRoutes,
  ...subscriptionRoutes,
  ...polarWebhookRoutes,
  ...webhookEndpointRoutes,
  ...inboxRoutes,
  ...auditRoutes,
  ...serviceKeyRoutes,
  ...reconciliationRoutes,
  ...healthRoutes,
];

/** The API as an Express app; `main.ts` serves it on PORT. Outside production it also serves `/readyz`. */
export function createApp(dependencies: Dependencies): Express {
  const readiness = operationsRoutes.filter(({ path }) => path === '/readyz' && !dependencies.production);
  return createRoutedApp([...routes, ...readiness], dependencies, (app) => {
    const description = JSON.stringify(describeApi(routes, dependencies.publicUrl));
    app.get('/openapi.json', (_request, response) => {
      response.type('application/json').send(description);
    });
    serveDocs(app);
    if (!dependencies.production) app.use('/dev', demandThisMachine);
    if (dependencies.mailFolder !== undefined) serveDevMail(app, dependencies.mailFolder);
    if (dependencies.signInWithoutPassword) serveDevSignIn(app, dependencies.database);
    servePage(app, dependencies.page);
  });
}

/** The routes for operators and Prometheus; `main.ts` serves them on OPERATIONS_PORT, which is not published. */
export function createOperationsApp(dependencies: Dependencies): Express {
  return createRoutedApp([...operationsRoutes, ...healthRoutes], dependencies);
}

/** Paths are matched exactly. With another case or a final slash, a rule of a proxy would not match the path. */
function createRoutedApp(
  routes: readonly Route[],
  dependencies: Dependencies,
  addPages: (app: Express) => void = () => {},
): Express {
  const app = express();
  const turns = createRouteTurns(dependencies.rates);
  app.enable('case sensitive routing');
  app.enable('strict routing');
  app.disable('x-powered-by');
  app.set('trust proxy', dependencies.trustedProxies);
  app.disable('etag');
  app.use(observeRequest(dependencies.metrics));
  app.use(secureHeaders);
  app.get(/.*/, compressAnswers);
  app.use('/session', admitOrigin(dependencies.page.dashboardOrigin));

  for (const route of routes) {
    app[route.method](expressPath(route.path), (request, response) => {
      response.locals.route = route.path;
      // With a session no Authorization header tells a cache that the answer is for one user only.
      response.setHeader('Cache-Control', 'no-store');
      return route.serve(request, response, dependencies, turns);
    });
  }
  addPages(app);

  for (const [path, methods] of Map.groupBy(routes, ({ path }) => path)) {
    app.all(expressPath(path), refuseMethod(methods.map(({ method }) => method.toUpperCase())));
  }
  app.use((request) => {
    throw new DomainError('unknown_route', `There is no ${request.method} ${request.path.slice(0, 200)}`);
  });
  app.use(answerProblem);
  return app;
}

/** Express writes `:teamId` for OpenAPI's `{teamId}`. */
function expressPath(path: string): string {
  return path.replace(/\{(\w+)\}/g, ':$1');
}

function refuseMethod(allowed: string[]): RequestHandler {
  return (request, response) => {
    response.setHeader('Allow', allowed.join(', '));
    throw new DomainError(
      'method_not_allowed',
      `${request.method} is not allowed here, only ${allowed.join(', ')}`,
      {
        allowed,
      },
    );
  };
}

/** Measures and logs each request, with its route and ids only. */
function observeRequest({ httpSeconds }: Metrics): RequestHandler {
  return (request, response, next) => {
    const start = performance.now();
    const requestId = randomUUID();
    response.setHeader('X-Request-Id', requestId);
    response.once('close', () => {
      const milliseconds = performance.now() - start;
      const { method } = request;
      const route: string = response.locals.route ?? 'other';
      // A stream of events ends when its client closes it. Its time says nothing about the API's speed.
      const { isStream = false } = response.locals;
      const isComplete = isStream || response.writableFinished;
      const status = isComplete ? response.statusCode : 499; // 499: the client closed the connection
      if (!isStream) httpSeconds.observe({ method, route, status }, milliseconds / 1_000);
      const level = status >= 500 ? 'warn' : route.startsWith('/v1/') ? 'info' : 'debug';
      requestLog[level](
        {
          requestId,
          method,
          route,
          status,
          ms: Math.round(milliseconds * 10) / 10,
          teamId: request.params.teamId,
          caller: response.locals.caller,
        },
        'request',
      );
    });
    next();
  };
}
