import { hostname } from 'node:os';
import { Connection } from '@temporalio/client';
import { type Environment, EnvironmentError, readEnvironment } from '../environment.ts';
import { runCommand } from '../run-command.ts';
import { taskQueue } from '../workflows/messages.ts';

/**
 * A poll is open for at most a minute (Temporal's `matching.longPollExpirationInterval`). If it was not renewed for
 * twice as long, its worker hangs or has ended.
 */
const maxSilenceMs = 2 * 60_000;
/**
 * Temporal's numbers for the kinds of tasks in a task queue (`temporal.api.enums.v1.TaskQueueType`): workflows,
 * activities.
 */
const kinds = [1, 2] as const;
const timeoutMs = 5_000;

/**
 * Checks whether the worker of this host (in a container: of this container) works: asks Temporal when it last polled
 * for tasks. Exits with 0 or 1 and one line.
 */
await runCommand(async () => {
  const { namespace, ...server } = readEnvironment(process.env, ['temporal']).temporal;
  const connection = await connect(server);
  try {
    const quiet = await connection.withDeadline(Date.now() + timeoutMs, async () => {
      const lastPolls = await Promise.all(kinds.map((kind) => lastPoll(connection, namespace, kind)));
      return Math.max(...lastPolls.map((at) => Date.now() - at));
    });
    console.log(
      Number.isFinite(quiet)
        ? `The worker polled for tasks ${Math.round(quiet / 1_000)} s ago`
        : `No worker of ${hostname()} polls for tasks`,
    );
    process.exitCode = quiet < maxSilenceMs ? 0 : 1;
  } finally {
    await connection.close();
  }
});

async function connect(server: Omit<Environment['temporal'], 'namespace'>): Promise<Connection> {
  try {
    return await Connection.connect({ ...server, connectTimeout: timeoutMs });
  } catch (error) {
    throw new EnvironmentError([`Temporal cannot be reached (TEMPORAL_ADDRESS): ${error}`]);
  }
}

/** When a worker of this host last polled for tasks of this kind, in milliseconds since 1970. */
async function lastPoll(
  connection: Connection,
  namespace: string,
  kind: (typeof kinds)[number],
): Promise<number> {
  const { pollers } = await connection.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: kind,
  });
  const ours = (pollers ?? []).filter(({ identity }) => identity?.endsWith(`@${hostname()}`));
  return Math.max(...ours.map(({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) * 1_000));
}
