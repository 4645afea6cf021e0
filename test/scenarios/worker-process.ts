import { readEnvironment } from '../../environment.ts';
import { startWorker } from '../../worker/start-worker.ts';

/**
 * The worker process of a story in which workers are killed: `worker/main.ts`, but for a cache. The server that skips
 * time never gives a workflow that one worker has cached to another.
 */
const worker = await startWorker(readEnvironment(process.env, ['databaseUrl', 'temporal', 'polar']), {
  maxCachedWorkflows: 0,
});
process.send?.({ ready: true });
process.once('disconnect', () => void worker.stop());
process.once('SIGTERM', () => void worker.stop());
await worker.stopped;
process.exit();
