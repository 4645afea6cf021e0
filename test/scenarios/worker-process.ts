import { readEnvironment } from '../../environment.ts';
import { startWorker } from '../../worker/start-worker.ts';

/**
 * The worker process of a story in which workers are killed: `worker/main.ts` without a cache. The server that skips
 * time never gives a workflow in one worker's cache to another worker.
 */
const worker = await startWorker(
  readEnvironment(process.env, ['databaseUrl', 'temporal', 'polar', 'webhooks']),
  {
    maxCachedWorkflows: 0,
  },
);
process.send?.({ ready: true });
process.once('disconnect', () => void worker.stop());
process.once('SIGTERM', () => void worker.stop());
await worker.stopped;
process.exit();
