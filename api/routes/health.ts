import { z } from 'zod';
import type { Database } from '../../database/connection.ts';
import { defineRoute } from '../define-route.ts';

const part = z.enum(['ok', 'unreachable']);
const readiness = z.strictObject({ status: z.enum(['ready', 'not_ready']), postgres: part, temporal: part });

/** On the public port: only a load balancer's liveness check. */
export const healthRoutes = [
  defineRoute({
    method: 'get',
    path: '/healthz',
    tag: 'Operations',
    summary: 'The process runs',
    access: 'public',
    request: {},
    answers: { 200: z.strictObject({ status: z.literal('alive') }) },
    handle: async () => ({ status: 200, body: { status: 'alive' } }),
  }),
];

/** On the operators' port: what is reachable, and the metrics, are not public. */
export const operationsRoutes = [
  defineRoute({
    method: 'get',
    path: '/readyz',
    tag: 'Operations',
    summary: 'Postgres and Temporal can be reached',
    access: 'public',
    request: {},
    answers: { 200: readiness, 503: readiness },
    async handle(_request, { dependencies: { database, temporal } }) {
      const [postgres, reachable] = await Promise.all([
        within(1_000, answers(database)),
        within(1_500, temporal.isReachable()),
      ]);
      const ready = postgres && reachable;
      const say = (ok: boolean) => (ok ? 'ok' : 'unreachable');
      return {
        status: ready ? 200 : 503,
        body: { status: ready ? 'ready' : 'not_ready', postgres: say(postgres), temporal: say(reachable) },
      };
    },
  }),

  defineRoute({
    method: 'get',
    path: '/metrics',
    tag: 'Operations',
    summary: 'Metrics for Prometheus',
    access: 'public',
    request: {},
    answers: { 200: null },
    async handle(_request, { dependencies: { metrics } }) {
      const { contentType, text } = await metrics.render();
      return { status: 200, body: text, contentType };
    },
  }),
];

/** Whether Postgres can be written to over the connections of spends. */
async function answers(database: Database): Promise<boolean> {
  try {
    const { rows } = await database
      .lane('spending')
      .pool.query<{ writable: boolean }>('select not pg_is_in_recovery() as writable');
    return rows[0]?.writable ?? false;
  } catch {
    return false;
  }
}

/** False if the answer takes longer. */
async function within(milliseconds: number, answer: Promise<boolean>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), milliseconds);
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
