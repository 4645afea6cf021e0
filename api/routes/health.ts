import { z } from 'zod';
import { type Database, lanes } from '../../database/connection.ts';
import { log } from '../../log.ts';
import { defineRoute } from '../define-route.ts';

const part = z.enum(['ok', 'unreachable']);
const readinessOut = z
  .strictObject({
    status: z.enum(['ready', 'not_ready']),
    postgres: part,
    temporal: part,
    email: z
      .enum(['on', 'off'])
      .meta({ description: 'Whether SMTP_URL is set. The SMTP server is not contacted' }),
  })
  .meta({ id: 'Readiness' });

/** On the public port: the liveness check of a load balancer. */
export const healthRoutes = [
  defineRoute({
    method: 'get',
    path: '/healthz',
    tag: 'Operations',
    operationId: 'readLiveness',
    summary: 'Check that the process is alive',
    access: 'public',
    request: {},
    answers: { 200: z.strictObject({ status: z.literal('alive') }).meta({ id: 'Liveness' }) },
    handle: async () => ({ status: 200, body: { status: 'alive' } }),
  }),
];

/** On the port for operators, which is not published. */
export const operationsRoutes = [
  defineRoute({
    method: 'get',
    path: '/readyz',
    tag: 'Operations',
    operationId: 'readReadiness',
    summary: 'Check that Postgres and Temporal are reachable',
    access: 'public',
    request: {},
    answers: { 200: readinessOut, 503: readinessOut },
    async handle(_request, { dependencies: { database, temporal, email } }) {
      const [postgres, reachable] = await Promise.all([
        answers(database),
        within(1_500, temporal.isReachable()),
      ]);
      const ready = postgres && reachable;
      const stateOf = (ok: boolean) => (ok ? 'ok' : 'unreachable');
      return {
        status: ready ? 200 : 503,
        body: {
          status: ready ? 'ready' : 'not_ready',
          postgres: stateOf(postgres),
          temporal: stateOf(reachable),
          email: email.isOn ? 'on' : 'off',
        },
      };
    },
  }),

  defineRoute({
    method: 'get',
    path: '/metrics',
    tag: 'Operations',
    operationId: 'readMetrics',
    summary: 'Read the metrics for Prometheus',
    access: 'public',
    request: {},
    answers: { 200: null },
    async handle(_request, { dependencies: { metrics } }) {
      const { contentType, text } = await metrics.render();
      return { status: 200, body: text, contentType };
    },
  }),
];

/** Whether Postgres can be written to, and the connections of every kind of work are usable. */
async function answers(database: Database): Promise<boolean> {
  const usable = await Promise.all(
    lanes.map(async (lane) => {
      const ok = await within(1_000, database.lane(lane).isUsable());
      if (!ok) log.warn({ lane }, 'readiness: the connections of this kind of work are not usable');
      return ok;
    }),
  );
  return usable.every(Boolean);
}

/** False if the answer takes longer. */
async function within(timeoutMs: number, answer: Promise<boolean>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), timeoutMs);
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
