import { hostname } from 'node:os';
import { Connection } from '@temporalio/client';
import { readEnvironment } from '../environment.ts';
import { taskQueue } from '../workflows/messages.ts';

/** A poll is held open for a minute; one that was not renewed for so long is of a worker that hangs or is gone. */
const silence = 2 * 60_000;
/** Temporal's numbers of what a task queue's tasks are: of workflows, of activities. */
const kinds = [1, 2] as const;

/**
 * Whether the worker of this host (in a container: of this container) works: Temporal itself says when it last asked for
 * work. Exits with 0 or 1 and one line.
 */
const { namespace, ...server } = readEnvironment(process.env, ['temporal']).temporal;
const connection = await Connection.connect({ ...server, connectTimeout: '5 seconds' });
try {
  const quiet = await connection.withDeadline(Date.now() + 5_000, async () => {
    const lastPolls = await Promise.all(kinds.map((kind) => lastPoll(kind)));
    return Math.max(...lastPolls.map((at) => Date.now() - at));
  });
  const healthy = quiet < silence;
  console.log(
    Number.isFinite(quiet)
      ? `The worker asked for work ${Math.round(quiet / 1_000)} s ago`
      : `No worker of ${hostname()} asks for work`,
  );
  process.exitCode = healthy ? 0 : 1;
} finally {
  await connection.close();
}

/** When a worker of this host last asked for work of this kind, in milliseconds since 1970. */
async function lastPoll(kind: (typeof kinds)[number]): Promise<number> {
  const { pollers } = await connection.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: kind,
  });
  const ours = (pollers ?? []).filter(({ identity }) => identity?.endsWith(`@${hostname()}`));
  return Math.max(...ours.map(({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) * 1_000));
}
