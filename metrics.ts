import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/**
 * What this process counts, for Prometheus. Labels have few values, all of them ours: never an id, a name or a text from
 * outside. `api/metrics.ts` and `worker/operations-server.ts` serve them.
 */
export const processMetrics = new Registry();

const registers = [processMetrics];
const latencyBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Spends by outcome: `debited`, or the code of the error. */
export const spends = new Counter({
  name: 'billing_spends_total',
  help: 'Spends by outcome',
  labelNames: ['outcome'] as const,
  registers,
});

/** Seconds from the submission of an operation to its durable answer or refusal. */
export const creditOperationSeconds = new Histogram({
  name: 'billing_credit_operation_seconds',
  help: 'Time from the submission of a spend, hold, capture, release, extension or lapse to its answer',
  labelNames: ['kind'] as const,
  buckets: latencyBuckets,
  registers,
});

export const waitingOperations = new Gauge({
  name: 'billing_waiting_operations',
  help: 'Credit operations that wait for a batch',
  registers,
});

/** One observation for each batch. */
export const batchOperations = new Histogram({
  name: 'billing_batch_operations',
  help: 'Credit operations in a batch',
  buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256],
  registers,
});

/** Seconds of a batch, from its first statement to its answers. `lock`: whether it waited for its team's lock. */
export const batchSeconds = new Histogram({
  name: 'billing_batch_seconds',
  help: 'Duration of a batch of credit operations',
  labelNames: ['lock'] as const,
  buckets: latencyBuckets,
  registers,
});

export const lockedTeams = new Counter({
  name: 'billing_locked_teams_total',
  help: 'Teams that a batch left out because another transaction had locked them',
  registers,
});

/** Seconds of an attempt of a call to Polar. `kind`: `read` or `change`. */
export const polarCallSeconds = new Histogram({
  name: 'billing_polar_call_seconds',
  help: 'Duration of calls to Polar: ok, busy (429), refused (4xx) or unknown (5xx, no answer)',
  labelNames: ['kind', 'outcome'] as const,
  buckets: [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  registers,
});

/** Only the limits of `api/rate-limits.ts`. `too_many_requests` is a 429 too and is not counted here. */
export const rateLimitedRequests = new Counter({
  name: 'billing_rate_limited_requests_total',
  help: 'Requests refused with rate_limited (429), by limit',
  labelNames: ['policy'] as const,
  registers,
});

/** Seconds of an attempt of an activity: `completed` or `failed`. */
export const activitySeconds = new Histogram({
  name: 'billing_activity_seconds',
  help: 'Duration of attempts of activities',
  labelNames: ['activity', 'outcome'] as const,
  buckets: [...latencyBuckets, 60, 600],
  registers,
});
