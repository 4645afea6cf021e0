import { setTimeout } from 'node:timers/promises';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import {
  bundleWorkflowCode,
  DefaultLogger,
  NativeConnection,
  Worker,
  type WorkflowBundle,
} from '@temporalio/worker';
import { createActivities } from '../activities/create-activities.ts';
import { createEmailActivities } from '../activities/create-email-activities.ts';
import { createMaintenanceActivities } from '../activities/create-maintenance-activities.ts';
import { createReconciliationActivities } from '../activities/create-reconciliation-activities.ts';
import { createWebhookActivities } from '../activities/create-webhook-activities.ts';
import { connectDatabase } from '../database/connection.ts';
import { createMissingPartitions } from '../database/partitions.ts';
import type { Environment } from '../environment.ts';
import { createCreditOperations } from '../ledger/spend/credit-operations.ts';
import { log, oncePerMinute } from '../log.ts';
import { createMailer } from '../outbox/email/mailer.ts';
import { createPolarClient, requestsPerMinute } from '../polar/client.ts';
import { createTemporalClient, type TemporalClient } from '../temporal-client.ts';
import { startTeamLifecycle, taskQueue } from '../workflows/messages.ts';
import { ensureSchedules } from './ensure-schedules.ts';
import { installRuntime } from './install-runtime.ts';
import { measureActivity } from './measure-activity.ts';
import { startRelay } from './relay.ts';
import { startOutboxSignals } from './signal-outbox.ts';
import { startHoldSweep } from './sweep-lapsed-holds.ts';

export interface RunningWorker {
  /** Stops polling, lets activities in flight finish, then closes all connections. */
  stop(): Promise<void>;
  stopped: Promise<void>;
}

/** Without `publicUrl` our webhook endpoint at Polar is not checked, and no e-mail is sent. */
type WorkerEnvironment = Pick<Environment, 'databaseUrl' | 'temporal' | 'polar'> &
  Partial<Pick<Environment, 'webhooks' | 'email' | 'publicUrl' | 'production'>>;

/** When the worker stops, activities in flight have this long to finish before they are cancelled. */
const shutdownGrace = '10 seconds';
/** A worker that has not stopped after this time is abandoned. Temporal retries its activities on another worker. */
const shutdownForce = '25 seconds';
/** The maximum time of a statement, except those of the maintenance schedules, which read much data. */
const statementTimeoutMs = 60_000;
/** The pause between two attempts to reach Temporal, in milliseconds. */
const reconnectPauseMs = 250;
/** How long the start of a team's workflow may take, in milliseconds. */
const startTimeoutMs = 10_000;

/**
 * Starts the worker and the relay. Both survive an outage of the Temporal server.
 *
 * @param workflowBundle  the bundled code of the workflows, if it was made before (tests); default: it is made now
 * @param maxCachedWorkflows  0 disables the cache, so that each step replays. Tests use it to prove determinism, and
 *   because their server does not move cached workflows to another worker. Default: the SDK's
 */
export async function startWorker(
  {
    databaseUrl,
    temporal: target,
    polar: polarSettings,
    webhooks,
    email,
    publicUrl,
    production = false,
  }: WorkerEnvironment,
  {
    workflowBundle,
    maxCachedWorkflows,
  }: { workflowBundle?: WorkflowBundle; maxCachedWorkflows?: number } = {},
): Promise<RunningWorker> {
  installRuntime();
  const { namespace, ...server } = target;
  const bundle = workflowBundle ?? (await bundleWorkflows());
  const database = await connectDatabase(databaseUrl, {
    pool: 10,
    statementTimeoutMs,
    name: 'worker',
    checkRole: production,
  });
  const maintained = await connectDatabase(databaseUrl, { pool: 2, name: 'maintenance' });
  const creditOperations = createCreditOperations(database);
  const polar = createPolarClient(polarSettings);
  const temporal = createTemporalClient(target);
  const webhookSettings = webhooks ?? { signingKeys: [], allowPrivate: [] };
  const emailing =
    email?.smtp && publicUrl !== undefined
      ? { mailer: createMailer(email.smtp), settings: { ...email.smtp, publicUrl } }
      : undefined;
  if (!emailing) log.info('SMTP_URL is not set: no e-mail is sent');
  const activities = {
    ...createActivities({ database, polar }),
    ...createWebhookActivities(database, webhookSettings),
    ...createEmailActivities(database, emailing),
    ...createMaintenanceActivities({
      database: maintained,
      createMissingPartitions,
      signingKeys: webhookSettings.signingKeys,
    }),
    ...createReconciliationActivities({
      database,
      polar,
      polarRequestsPerMinute: requestsPerMinute(polarSettings),
      ...(publicUrl === undefined ? {} : { webhookUrl: `${publicUrl}/v1/webhooks/polar` }),
      startTeam: (teamId) => startTeam(temporal, teamId),
    }),
  };
  let lost = Promise.withResolvers<void>();
  const sweep = startHoldSweep(maintained, creditOperations);
  const outboxSignals = startOutboxSignals(database, temporal, emailing !== undefined);
  const relay = startRelay({ database, polar }, temporal, () => lost.resolve());
  const stopSchedules = new AbortController();
  const schedules = ensureSchedules(temporal, stopSchedules.signal);

  const mayLog = oncePerMinute();
  const stopping = new AbortController();
  const workers = new Set<Promise<void>>(); // one, plus workers that still finish their last tasks
  const stopped = (async () => {
    while (!stopping.signal.aborted) {
      try {
        await work();
      } catch (error) {
        if (mayLog('connect'))
          log.warn({ err: error }, 'The worker could not connect to Temporal; it retries');
      }
      if (!stopping.signal.aborted) await setTimeout(reconnectPauseMs);
    }
    stopSchedules.abort();
    await Promise.all([...workers, relay.stop(), sweep.stop(), outboxSignals.stop(), schedules]);
    emailing?.mailer.close();
    await creditOperations.close();
    await temporal.close();
    await database.close();
    await maintained.close();
  })();

  return {
    stopped,
    async stop() {
      stopping.abort();
      lost.resolve();
      await stopped;
    },
  };

  /**
   * Runs until Temporal is lost or the worker must stop. The SDK's polls wait for up to ten seconds between attempts
   * to reach a server that is down, and cannot be stopped earlier. So a new worker does not wait for the old one.
   */
  async function work(): Promise<void> {
    // A refused native connection pauses for seconds before it retries, so it is opened only when the server can be
    // reached.
    while (!(await temporal.isReachable())) {
      if (stopping.signal.aborted) return;
      await setTimeout(reconnectPauseMs);
    }
    lost = Promise.withResolvers();
    if (stopping.signal.aborted) return;
    const native = await NativeConnection.connect(server);
    const worker = await Worker.create({
      connection: native,
      namespace,
      taskQueue,
      workflowBundle: bundle,
      activities,
      interceptors: { activity: [measureActivity] },
      shutdownGraceTime: shutdownGrace,
      shutdownForceTime: shutdownForce,
      ...(maxCachedWorkflows === undefined ? {} : { maxCachedWorkflows }),
    }).catch(async (error: unknown) => {
      await native.close();
      throw error;
    });
    const running = worker
      .run()
      .catch((error: unknown) => log.warn({ err: error }, 'The worker lost Temporal; it reconnects'))
      .finally(() => native.close());
    workers.add(running);
    void running.then(() => workers.delete(running));
    await Promise.race([running, lost.promise]);
    if (worker.getState() === 'RUNNING') worker.shutdown();
  }
}

async function startTeam(temporal: TemporalClient, teamId: string): Promise<boolean> {
  try {
    await temporal.call(startTimeoutMs, (client) => startTeamLifecycle(client, teamId));
    return true;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
    throw error;
  }
}

/** Bundles the workflows' code, once per process without a bundle. */
export function bundleWorkflows(): Promise<WorkflowBundle> {
  return bundleWorkflowCode({
    workflowsPath: new URL('../workflows/index.ts', import.meta.url).pathname,
    logger: new DefaultLogger('WARN'), // without webpack's statistics at each start
  });
}
